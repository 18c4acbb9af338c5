"""Rows, their cells and their heads in plain text, and lines that look like rows and are none."""

import pytest

from app.text.structure import structure_of
from tests.app.text.kinds import kinds, sentences


def rows(text: str) -> list[tuple[str, list[str]]]:
    """The kind and the cells of each row."""
    blocks = structure_of(text).blocks
    return [(block.kind, [text[start:end] for start, end in block.cells]) for block in blocks if block.cells]


def test_tabs_part_the_cells_of_rows() -> None:
    text = "品名\t数量\t単価\n机\t2\t100\n椅子\t4\t50\n"
    assert kinds(text) == [
        ("table-head", "品名\t数量\t単価"),
        ("table-row", "机\t2\t100"),
        ("table-row", "椅子\t4\t50"),
    ]


def test_commas_part_the_cells_of_rows_outside_quotation_marks() -> None:
    text = '日付,品名,金額\n2026/4/1,"紙, A4",1200\n2026/4/2,封筒,300\n'
    assert kinds(text) == [
        ("table-head", "日付,品名,金額"),
        ("table-row", '2026/4/1,"紙, A4",1200'),
        ("table-row", "2026/4/2,封筒,300"),
    ]
    row = structure_of(text).blocks[1]
    assert [text[start:end] for start, end in row.cells] == ["2026/4/1", '"紙, A4"', "1200"]


@pytest.mark.parametrize(
    "text",
    [
        "人件費は1,200,000円\n物件費は2,300,000円\n旅費は1,100,000円\n",  # commas inside numbers
        "赤,青,黄がある。\n白,黒,灰がある。\n金,銀,銅がある。\n",  # sentences
        "赤,青,黄\n白,黒,灰\n",  # two lines only
    ],
)
def test_commas_of_numbers_and_of_sentences_part_no_cells(text: str) -> None:
    assert "table-row" not in [kind for kind, _ in kinds(text)]


def test_a_second_table_after_a_blank_line_has_a_head_of_its_own() -> None:
    text = "依頼者    山田    佐藤\n採水    九時    十時\n\n項目    結果    単位\n鉄    0.1    mg\n銅    0.2    mg\n"
    assert kinds(text)[2] == ("table-head", "項目    結果    単位")


def test_a_cell_that_goes_on_below_itself_is_read_in_one_piece() -> None:
    text = (
        "　点検について、毎月の初めに担当者が行う作業を次\nに示す。異常があれば、すぐに係の者へ連絡し、その指\n"
        "を受けること。\n"
        "点滅　　　使い始めて十年の印である。有料の点検を\n　　　　　申し込むこと。\n"
    )
    assert sentences(text)[-2:] == ["点滅　　　使い始めて十年の印である。", "有料の点検を\n　　　　　申し込むこと。"]


def test_values_under_each_other_are_no_cell_that_goes_on() -> None:
    text = "金額　　総額三百円\n　　　　令和七年度　百円\n　　　　令和八年度　二百円\n"
    assert [part for _, part in kinds(text)] == ["金額　　総額三百円", "令和七年度　百円", "令和八年度　二百円"]


def test_a_sentence_that_begins_in_a_cell_goes_on_below_it() -> None:
    first, rest = "用法　　朝に飲みます。牛乳やジュース", "　　　　と一緒に飲まないでください。"

    assert kinds(f"{first}\n{rest}\n")[0] == ("paragraph", f"{first}\n{rest}")


def test_a_first_row_of_a_key_and_its_value_is_no_head() -> None:
    assert [kind for kind, _ in kinds("対象\t全社員\n場所\t会議室\n日時\t4月1日\n")] == ["table-row"] * 3
    assert next(kind for kind, _ in kinds("氏名\t金額\n山田\t1,000円\n佐藤\t900円\n")) == "table-head"


def test_a_timetable_with_three_columns_is_no_chat() -> None:
    assert [kind for kind, _ in kinds("7:40\t市役所\t1番\n7:50\t病院\t2番\n")] == ["table-row"] * 2


def test_rows_that_begin_with_their_number_are_rows() -> None:
    text = "No.  内容          担当  期限\n1    手順書の改訂  原田  10/24\n2    部品の手配    林    10/14\n"
    assert rows(text) == [
        ("table-head", ["No.", "内容", "担当", "期限"]),
        ("table-row", ["1", "手順書の改訂", "原田", "10/24"]),
        ("table-row", ["2", "部品の手配", "林", "10/14"]),
    ]


def test_single_spaces_part_the_cells_of_a_row_that_is_then_as_long_as_the_others() -> None:
    text = "勤務　　　始業　　　終業\n日勤　　　午前８時　午後５時\n早番　　　午前６時　　　午後３時\n"
    assert [cells for _, cells in rows(text)] == [
        ["勤務", "始業", "終業"],
        ["日勤", "午前８時", "午後５時"],
        ["早番", "午前６時", "午後３時"],
    ]


def test_lines_with_single_spaces_below_the_head_of_a_table_are_its_rows() -> None:
    text = "名称　　　位置　　　台数\n東口駐車場　東町一丁目　1,200台\n西口駐車場　西町三丁目　850台\n"
    assert rows(text) == [
        ("table-head", ["名称", "位置", "台数"]),
        ("table-row", ["東口駐車場", "東町一丁目", "1,200台"]),
        ("table-row", ["西口駐車場", "西町三丁目", "850台"]),
    ]


def test_columns_with_a_number_in_their_name_have_a_head() -> None:
    text = "停留所   1便    2便\n市役所   7:40   9:20\n病院     7:48   9:28\n"
    assert rows(text)[0] == ("table-head", ["停留所", "1便", "2便"])


def test_rows_of_equal_values_have_no_head() -> None:
    text = "一年   1組    2組\n二年   3組    4組\n三年   5組    6組\n"
    assert [kind for kind, _ in rows(text)] == ["table-row"] * 3


def test_a_gap_inside_a_name_or_a_word_parts_no_cells() -> None:
    text = "市　　長　　　大　橋　　　進　君\n総務部長　　　林　　茂　君\n構　　造　　　木造　　　二階\n"
    assert [cells for _, cells in rows(text)] == [
        ["市　　長", "大　橋　　　進　君"],
        ["総務部長", "林　　茂　君"],
        ["構　　造", "木造", "二階"],
    ]


def test_the_days_of_the_week_are_cells() -> None:
    assert rows("月　　火　　水　　休み\n○　　×　　○　　土日\n")[0][1] == ["月", "火", "水", "休み"]

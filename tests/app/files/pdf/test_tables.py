"""Tables: ruled grids, cells over several rows and columns, rows without rules."""

from app.files.pdf.geometry import Box
from app.files.pdf.glyphs import Glyph
from tests.app.files.pdf.setting import across, blocks, down, page


def rule(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(left, top, right, bottom)


def grid(lefts: list[float], tops: list[float]) -> list[Box]:
    across_ = [rule(lefts[0], top, lefts[-1], top) for top in tops]
    return across_ + [rule(left, tops[0], left, tops[-1]) for left in lefts]


def text(*cells: tuple[str, float, float]) -> list[Glyph]:
    return [glyph for string, left, top in cells for glyph in across(string, left, top)]


def test_a_ruled_table_has_a_row_for_each_line_and_empty_cells() -> None:
    cells = text(("品名", 55, 55), ("数", 155, 55), ("机", 55, 85), ("3", 155, 85), ("椅子", 55, 115))

    assert blocks(page(cells, rules=grid([50, 150, 250], [50, 80, 110, 140]))) == [
        ("table-head", "品名\t数"),
        ("table-row", "机\t3"),
        ("table-row", "椅子\t"),
    ]


def test_lines_of_one_cell_are_joined() -> None:
    cells = text(("備考", 55, 55), ("船が二隻増えたた", 155, 55), ("めである", 155, 67))

    assert blocks(page(cells, rules=grid([50, 150, 240], [50, 80]))) == [
        ("table-row", "備考\t船が二隻増えたためである")
    ]


def test_a_line_of_a_cell_that_ends_early_is_not_joined_to_the_next() -> None:
    lines = ["確認", "説明があり、承認された。", "予算", "佐藤委員から、来年度の額について質", "問があった。"]
    minutes = [(line, 105.0, 55.0 + 12 * n) for n, line in enumerate(lines * 3)]

    found = blocks(page(text(("議事", 55, 55), *minutes), rules=grid([50, 100, 290], [50, 250])))

    joined = "確認\n説明があり、承認された。\n予算\n佐藤委員から、来年度の額について質問があった。"
    assert found == [("table-row", "議事\t" + "\n".join([joined] * 3))]


def test_a_cell_over_two_rows_stands_in_the_first_and_one_over_two_columns_once() -> None:
    rules = [rule(50, top, 250, top) for top in (50, 110)] + [rule(100, 80, 250, 80)]
    rules += [rule(left, 50, left, 110) for left in (50, 100, 250)] + [rule(175, 80, 175, 110)]
    cells = text(("地区", 55, 75), ("漁獲量", 105, 60), ("前年", 105, 90), ("今年", 180, 90))

    assert [block[1] for block in blocks(page(cells, rules=rules))] == ["地区\t漁獲量", "\t前年\t今年"]


def test_rules_in_short_pieces_are_one_grid() -> None:
    pieces = [
        piece
        for whole in grid([50, 150, 250], [50, 80, 110])
        for piece in (
            [rule(whole.left, whole.top, 150, whole.bottom), rule(150, whole.top, whole.right, whole.bottom)]
            if whole.top == whole.bottom
            else [rule(whole.left, whole.top, whole.left, 80), rule(whole.left, 80, whole.left, whole.bottom)]
        )
    ]

    assert [block[1] for block in blocks(page(text(("甲", 60, 60), ("乙", 160, 90)), rules=pieces))] == ["甲\t", "\t乙"]


def test_a_box_around_text_is_no_table() -> None:
    inside = across("注意事項をよく読むこと。", 60, 60)

    assert blocks(page(inside, rules=grid([50, 250], [50, 80]))) == [("paragraph", "注意事項をよく読むこと。")]


def test_rows_without_rules_are_a_table_when_their_columns_stand_below_each_other() -> None:
    rows = [
        text((name, 50, 50 + 18 * n), (number, 150, 50 + 18 * n), (unit, 200, 50 + 18 * n))
        for n, (name, number, unit) in enumerate([("灯台", "3", "基"), ("桟橋", "12", "本"), ("倉庫", "27", "棟")])
    ]

    assert blocks(page(*rows)) == [
        ("table-row", "灯台\t3\t基"),
        ("table-row", "桟橋\t12\t本"),
        ("table-row", "倉庫\t27\t棟"),
    ]


def test_rows_of_a_table_in_vertical_text_follow_from_right_to_left() -> None:
    lefts, tops = [200.0, 230.0, 260.0], [50.0, 150.0, 250.0]
    cells = [*down("品名", 250, 60), *down("数量", 250, 160), *down("机", 220, 60), *down("三台", 220, 160)]
    body = [down("次の表のとおりとする", 320 - 16 * n, 50) for n in range(3)]

    assert [block[1] for block in blocks(page(*body, cells, rules=grid(lefts, tops)))][-2:] == [
        "品名\t数量",
        "机\t三台",
    ]


def test_a_table_that_is_open_at_its_sides_keeps_its_outer_columns() -> None:
    rules = [rule(60, top, 360, top) for top in (50, 80, 110)] + [rule(left, 50, left, 110) for left in (160, 260)]
    cells = text(
        ("品名", 65, 60), ("数量", 165, 60), ("金額", 265, 60), ("机", 65, 90), ("2", 165, 90), ("9円", 265, 90)
    )

    assert [block[1] for block in blocks(page(cells, rules=rules))] == ["品名\t数量\t金額", "机\t2\t9円"]


def test_a_frame_with_a_band_for_its_title_is_no_table() -> None:
    rules = [*grid([40, 360], [50, 350]), rule(40, 90, 360, 90)]
    content = text(("学習会の計画", 60, 65), ("町の人の学びを助ける。", 60, 110), ("費用は会費でまかなう。", 60, 160))

    assert [block[1] for block in blocks(page(content, rules=rules))] == [
        "学習会の計画", "町の人の学びを助ける。", "費用は会費でまかなう。"
    ]  # fmt: skip


def test_rows_without_rules_of_four_columns_are_one_table() -> None:
    names = ["科目", "現金及び預金", "受取手形", "売掛金", "商品", "前払費用", "流動資産合計"]
    rows = []
    for n, name in enumerate(names):
        rows.append(across(name, 40, 50 + 18 * n))
        for right in (220, 280, 340):
            number = f"{right},{n}00"
            rows.append(across(number, right - 5 * len(number), 50 + 18 * n))

    assert [block[1].count("\t") for block in blocks(page(*rows))] == [3] * len(names)

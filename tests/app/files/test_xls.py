"""What old workbooks hold, and damage to them. LibreOffice 7.4 wrote data/workbook.xls from data/workbook.xlsx."""

import random
from pathlib import Path

import pytest

from app.errors import BrokenFile, EncryptedFile, FileError, FileTooLarge
from app.files import sheets
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.xls import read_xls
from app.files.xlsx import read_xlsx
from tests.app.files.biff_records import (
    CHART,
    WORKSHEET,
    chart,
    drawn,
    font,
    label,
    label5,
    number,
    number_format,
    record,
    rich,
    shared,
    strings,
    style,
    text8,
    xls,
)
from tests.app.files.compound_files import compound
from tests.hostile import HOSTILE_TEXTS

DATA = Path(__file__).parent / "data"
WORKBOOK = (DATA / "workbook.xls").read_bytes()
STRUCK = font() + font(is_struck=True)  # 0 and 1


def _read(data: bytes) -> Document:
    return read_xls(data, FileLimits())


def _blocks(document: Document) -> list[tuple[int | None, str, str]]:
    return [
        (document.page_of(block.start), block.kind, document.text[block.start : block.end]) for block in document.blocks
    ]


def _text(*sheets: bytes, more: bytes = b"") -> str:
    return _read(xls(*sheets, more=more)).text


def test_a_workbook_is_read_as_the_same_one_in_the_new_form() -> None:
    new = read_xlsx((DATA / "workbook.xlsx").read_bytes(), FileLimits())
    old = _read(WORKBOOK)
    assert _blocks(old) == _blocks(new)
    assert old.warnings == new.warnings


def test_a_workbook_of_excel_5_is_read_in_the_code_page_that_it_names() -> None:
    cells = label5(0, 0, "品名㈱髙") + label5(0, 1, "ｶﾞｽ") + label5(1, 0, "灯油") + number(1, 1, 1200.5)
    assert _blocks(_read(xls(cells, names=["料金表"], version=5))) == [
        (1, "heading", "料金表"),
        (1, "table-row", "品名㈱髙\tｶﾞｽ"),
        (1, "table-row", "灯油\t1200.5"),
    ]


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_a_cell_keeps_every_text(name: str) -> None:
    text = HOSTILE_TEXTS[name][:4000]
    found = _text(label(0, 0, text) + label(0, 1, "右"))
    cell = " ".join(text.strip().splitlines()) if len(text) < 20 else text.strip()
    assert found.removesuffix("右").strip() == cell if "\n" not in text and "\t" not in text else "右" in found


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        ('#,##0"円"', 8800, "8,800円"),
        ('[$-411]ggge"年"m"月"d"日"', 45731, "令和7年3月15日"),
        ("yyyy/m/d h:mm", 45731.5, "2025/3/15 12:00"),
        ("0.0%", 0.1234, "12.3%"),
        ('"\\"#,##0', 1500, "¥1,500"),  # as Japanese Excel stores the yen sign
        ("\\\\#,##0", 1500, "¥1,500"),
        ("General", 0.5, "0.5"),
        ("0", float("nan"), ""),
        ("0", float("inf"), ""),
        ("0;;", -1, ""),
    ],
)
def test_numbers_are_shown_in_their_formats(code: str, value: float, shown: str) -> None:
    found = _text(number(0, 0, value, 1), more=font() + number_format(164, code) + style() + style(164))
    assert found == shown


@pytest.mark.parametrize(("key", "shown"), [(14, "2025/3/15"), (31, "2025年3月15日"), (57, "R7.3.15"), (3, "45,731")])
def test_formats_that_a_file_names_by_number_are_those_of_japanese_excel(key: int, shown: str) -> None:
    assert _text(number(0, 0, 45731, 1), more=font() + style() + style(key)) == shown


def test_dates_count_from_1904_where_the_workbook_says_so() -> None:
    more = record(0x22, "H", 1) + font() + style() + style(14)
    assert _text(number(0, 0, 45731 - 1462, 1), more=more) == "2025/3/15"


def test_booleans_errors_and_results_of_formulas() -> None:
    cells = (
        record(0x205, "HHHBB", 0, 0, 0, 1, 0)
        + record(0x205, "HHHBB", 0, 1, 0, 0, 0)
        + record(0x205, "HHHBB", 0, 2, 0, 0x2A, 1)
        + record(0x06, "HHHdHI", 1, 0, 0, 2.5, 0, 0)
        + record(0x06, "HHHBxB3xHHI", 1, 1, 0, 1, 1, 0xFFFF, 0, 0)  # a boolean
        + record(0x06, "HHHBxB3xHHI", 1, 2, 0, 2, 0x07, 0xFFFF, 0, 0)  # an error
        + record(0x06, "HHHBxB3xHHI", 2, 0, 0, 0, 0, 0xFFFF, 0, 0)  # a text in the next record
        + record(0x207, more=text8("合計は𠮷野円"))
        + record(0x27E, "HHHi", 2, 1, 0, 1234 << 2 | 2)
        + record(0xBD, "HHHiHiH", 2, 2, 0, 7 << 2 | 2, 0, 8 << 2 | 2, 3)
    )
    assert _text(cells) == "TRUE\tFALSE\t#N/A\n2.5\tTRUE\t#DIV/0!\n合計は𠮷野円\t1234\t7\t8"


def test_the_text_of_a_formula_may_go_on_in_another_record() -> None:
    formula = record(0x06, "HHHBxB3xHHI", 0, 0, 0, 0, 0, 0xFFFF, 0, 0)
    first, second = ("𠮷野" * 50).encode("utf-16-le"), ("㍻の" * 50).encode("utf-16-le")
    cells = formula + record(0x207, "HB", 250, 1, more=first) + record(0x3C, more=b"\1" + second)
    assert _text(cells + label(1, 0, "次")) == "𠮷野" * 50 + "㍻の" * 50 + "\n次"


def test_the_text_of_a_formula_of_excel_5() -> None:
    formula = record(0x06, "HHHBxB3xHHI", 0, 0, 0, 0, 0, 0xFFFF, 0, 0)
    text = "水道料金①".encode("cp932")
    assert _read(xls(formula + record(0x207, "H", len(text), more=text), version=5)).text == "水道料金①"


def test_what_is_struck_out_is_left_out_with_a_warning() -> None:
    texts = strings(rich("𠮷1,000円800円", (2, 1), (8, 0)), text8("前"))
    cells = shared(0, 0, 0) + shared(0, 1, 1) + shared(1, 0, 1, 1) + shared(1, 1, 1) + number(2, 1, 5, 1)
    document = _read(xls(cells, more=STRUCK + style() + style(0, 1) + texts))
    assert document.text == "𠮷800円\t前\n\n前"
    assert [warning.warning_type for warning in document.warnings] == ["struck_out_text"]


def test_the_fonts_of_a_text_of_excel_5_are_counted_in_bytes() -> None:
    def narrow(is_struck: bool) -> bytes:
        return record(0x31, "HHHHHBBBBB", 200, 8 * is_struck, 0x7FFF, 400, 0, 0, 0, 128, 0, 1, more=b"A")

    text = "旧価格100円".encode("cp932")
    cell = record(0xD6, "HHHH", 0, 0, 0, len(text), more=text + bytes([2, 0, 1, 6, 0]))
    assert _read(xls(cell, more=narrow(False) + narrow(True), version=5)).text == "100円"


def test_raised_and_lowered_characters_have_characters_of_their_own() -> None:
    fonts = font() + font(escapement=1) + font(escapement=2)
    texts = strings(rich("10m2とCO2", (3, 1), (4, 0), (7, 2)))
    assert _text(shared(0, 0, 0), more=fonts + texts) == "10m²とCO₂"


def test_ruby_is_left_out() -> None:
    ruby = "ゆき".encode("utf-16-le")
    text = text8("雪国", flags=4)
    with_ruby = text[:3] + len(ruby).to_bytes(4, "little") + text[3:] + ruby
    assert _text(shared(0, 0, 0) + shared(1, 0, 1), more=strings(with_ruby, text8("次の行"))) == "雪国\n次の行"


def test_only_the_first_cell_of_merged_ones_has_text() -> None:
    cells = (
        label(0, 0, "見出し") + record(0x201, "HHH", 0, 1, 0) + label(0, 2, "右") + record(0xE5, "HHHHH", 1, 0, 0, 0, 1)
    )
    assert _text(cells) == "見出し\t右"


def test_a_long_text_keeps_its_lines() -> None:
    text = "第１条　この契約は、甲と乙が結ぶ。\n第２条　期間は一年とする。\n" * 5 + "以上"
    assert _text(label(0, 0, "条項") + label(0, 1, text)).endswith(text)


def test_hidden_sheets_rows_and_columns_are_read_and_named() -> None:
    row = record(0x208, "HHHHHHi", 0, 0, 1, 255, 0, 0, 0x20)
    column = record(0x7D, "HHHHHH", 0, 0, 2000, 0, 1, 0)
    shown = record(0x208, "HHHHHHi", 0, 0, 1, 255, 0, 0, 0)
    cell = label(0, 0, "あ")
    document = _read(xls(cell, cell, row + cell, column + cell, shown + cell, states=[0, 1]))
    assert [(one.warning_type, one.pages) for one in document.warnings] == [
        ("hidden_sheets", (2,)),
        ("hidden_cells", (3, 4)),
    ]


def test_tabs_without_cells_count_as_sheets() -> None:
    data = xls(label(0, 0, "一"), chart("月ごとの来館者"), label(0, 0, "三"), kinds=[WORKSHEET, CHART])
    assert _blocks(_read(data)) == [(1, "paragraph", "一"), (2, "paragraph", "月ごとの来館者"), (3, "paragraph", "三")]


def test_text_boxes_titles_of_charts_and_comments_follow_the_cells() -> None:
    over = drawn("税込みの額㍻", 0x19) + chart("来館者の推移") + drawn("問い合わせは𠮷野まで（旧）", 6, (0, 0), (11, 1))
    document = _read(xls(over + label(0, 0, "料金"), more=STRUCK))
    assert _blocks(document) == [
        (1, "paragraph", "料金"),
        (1, "paragraph", "来館者の推移"),
        (1, "paragraph", "問い合わせは𠮷野まで"),
        (1, "note", "税込みの額㍻"),
    ]
    assert [warning.warning_type for warning in document.warnings] == ["struck_out_text"]


@pytest.mark.parametrize(
    "odd",
    [
        record(0x1B1, "BBHHI", 1, 3, 0, 0, 1 << 25, more=b"\0" * 20),  # a conditional format of numbers
        record(0x1B8, more=b"\xff" * 9),  # a link
        record(0xAB, more=b"\0"),
        record(0x1C, more=b"\0"),
        record(0x1B6, more=b"\0"),
        record(0xEF, more=b""),
    ],
)
def test_a_record_that_is_not_needed_cannot_spoil_a_sheet(odd: bytes) -> None:
    assert _text(label(0, 0, "前") + odd + label(1, 0, "後")) == "前\n後"


def test_a_broken_name_of_a_range_cannot_spoil_a_workbook() -> None:
    assert (
        _text(label(0, 0, "あ"), more=record(0x18, "H", 1) + record(0x293, "H", 0x8000) + record(0x5C, "H", 9)) == "あ"
    )


def test_a_workbook_with_a_password_is_said_to_have_one() -> None:
    with pytest.raises(EncryptedFile, match="protected with a password"):
        _read(xls(label(0, 0, "あ"), more=record(0x2F, "HHH", 1, 1, 1, more=b"\7" * 48)))


def test_a_workbook_past_a_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = b"".join(shared(row, 0, 0) for row in range(100))
    data = xls(one, one, more=strings(text8("長い文章です。")))
    with pytest.raises(FileTooLarge, match=r"characters of text; 600 are allowed"):
        read_xls(data, FileLimits(max_characters=600))
    monkeypatch.setattr(sheets, "MAX_SHEETS", 1)
    with pytest.raises(FileTooLarge, match="The workbook has 2 sheets; at most 1 are read"):
        _read(data)


def test_cells_far_below_and_right_cost_little() -> None:
    assert _text(label(65_535, 255, "隅") + label(0, 0, "始め")) == "始め\n\n隅"


@pytest.mark.parametrize(
    "data",
    [
        compound({"WordDocument": b"x"}),
        compound({"Workbook": b""}),
        compound({"Workbook": b"PK\3\4" * 2000}),
        xls(label(0, 300, "あ")),
        xls(shared(0, 0, 7), more=strings(text8("あ"))),
        xls(more=record(0x42, "H", 9999), version=5),
        xls(label(0, 0, "あ"), more=strings(text8("\ud842"))),
        WORKBOOK[:600],
        b"",
    ],
)
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(BrokenFile, match=r"^The (file|workbook) is (damaged|incomplete)"):
        _read(data)


def test_a_file_that_is_cut_off_anywhere_is_broken() -> None:
    for length in range(0, len(WORKBOOK) - 512, 512):
        with pytest.raises(BrokenFile):
            _read(WORKBOOK[:length])


def test_flipped_bytes_give_a_document_or_a_sentence() -> None:
    draw = random.Random(20)
    for _ in range(150):
        data = bytearray(WORKBOOK)
        for _ in range(draw.randint(1, 5)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        try:
            assert isinstance(_read(bytes(data)), Document)
        except FileError:
            continue

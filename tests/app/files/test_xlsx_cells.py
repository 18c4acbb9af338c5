"""What a cell shows, by its type, its style and the strings of the workbook."""

from xml.etree.ElementTree import Element

import pytest

from app.files.safe_xml import parse_xml
from app.files.sheets import Cell
from app.files.xlsx_cells import CellReader
from tests.app.files.packages import xml

STYLES = """
<x:numFmts><x:numFmt numFmtId="164" formatCode="#,##0&quot;円&quot;"/>
<x:numFmt numFmtId="165" formatCode="@&quot;様&quot;"/></x:numFmts>
<x:fonts><x:font/><x:font><x:strike/></x:font><x:font><x:strike val="0"/></x:font></x:fonts>
<x:cellXfs><x:xf numFmtId="0" fontId="0"/><x:xf numFmtId="164" fontId="2"/><x:xf numFmtId="165"/><x:xf numFmtId="14"/>
<x:xf fontId="1"/></x:cellXfs>"""
STRINGS = """
<x:si><x:t>東京</x:t><x:rPh sb="0" eb="2"><x:t>トウキョウ</x:t></x:rPh></x:si>
<x:si><x:r><x:rPr><x:strike/></x:rPr><x:t>100円</x:t></x:r><x:r><x:t>200円</x:t></x:r></x:si>
<x:si><x:r><x:t>10</x:t></x:r><x:r><x:rPr><x:vertAlign val="superscript"/></x:rPr><x:t>6</x:t></x:r></x:si>
<x:si><x:t>一行目_x000D_二行目_x005F_x000D_</x:t></x:si>"""


def _part(tag: str, inner: str) -> Element:
    return parse_xml(xml(tag, inner).encode(), "part.xml")


def _cells(inner: str, from_1904: bool = False) -> list[Cell]:
    cells = CellReader(_part("x:styleSheet", STYLES), _part("x:sst", STRINGS), from_1904)
    return list(cells.cells(_part("x:sheetData", f"<x:row>{inner}</x:row>")))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<x:c><x:v>8800</x:v></x:c>', "8800"),
        ('<x:c s="1"><x:v>8800</x:v></x:c>', "8,800円"),
        ('<x:c s="3"><x:v>45731</x:v></x:c>', "2025/3/15"),
        ('<x:c s="99"><x:v>0.1</x:v></x:c>', "0.1"),
        ('<x:c t="s"><x:v>0</x:v></x:c>', "東京"),  # without its ruby
        ('<x:c t="s"><x:v>2</x:v></x:c>', "10⁶"),
        ('<x:c t="s"><x:v>3</x:v></x:c>', "一行目\n二行目_x000D_"),
        ('<x:c t="s" s="2"><x:v>0</x:v></x:c>', "東京様"),
        ('<x:c t="str"><x:f>A1</x:f><x:v>計算した字</x:v></x:c>', "計算した字"),
        ('<x:c t="b"><x:v>1</x:v></x:c>', "TRUE"),
        ('<x:c t="b"><x:v>0</x:v></x:c>', "FALSE"),
        ('<x:c t="e"><x:v>#REF!</x:v></x:c>', "#REF!"),
        ('<x:c t="d"><x:v>2025-03-15</x:v></x:c>', "2025-03-15"),
        ('<x:c t="inlineStr"><x:is><x:t>葛󠄀城の㍻と𠮷</x:t></x:is></x:c>', "葛󠄀城の㍻と𠮷"),
    ],
)  # fmt: skip
def test_a_cell_shows(cell: str, text: str) -> None:
    assert _cells(cell) == [Cell(1, 1, text, is_struck=False, lacks_result=False)]


def test_dates_of_a_workbook_that_counts_from_1904() -> None:
    assert [cell.text for cell in _cells('<x:c s="3"><x:v>0</x:v></x:c>', from_1904=True)] == ["1904/1/1"]


def test_struck_text_is_left_out_and_said() -> None:
    struck = '<x:c t="s"><x:v>1</x:v></x:c><x:c s="4" t="s"><x:v>0</x:v></x:c>'
    assert _cells(struck) == [Cell(1, 1, "200円", True, False), Cell(1, 2, "", True, False)]


def test_a_formula_without_a_result_is_said_and_an_empty_result_is_a_result() -> None:
    formulas = '<x:c><x:f>1+1</x:f></x:c><x:c t="str"><x:f>""</x:f><x:v></x:v></x:c>'
    assert _cells(formulas) == [Cell(1, 1, "", False, lacks_result=True)]


@pytest.mark.parametrize(
    "cell",
    [
        "<x:c/>",
        '<x:c t="s"/>',
        '<x:c t="s"><x:v>9</x:v></x:c>',
        '<x:c t="s"><x:v>-1</x:v></x:c>',
        '<x:c t="inlineStr"/>',
        '<x:c t="b"><x:v/></x:c>',
    ],
)
def test_a_cell_without_text_or_with_an_index_out_of_range_shows_nothing(cell: str) -> None:
    assert _cells(cell) == []


@pytest.mark.parametrize("value", ["NaN", "inf", "1e999", "字"])
def test_a_value_that_is_no_number_is_shown_as_it_is(value: str) -> None:
    assert [cell.text for cell in _cells(f'<x:c s="1"><x:v>{value}</x:v></x:c>')] == [value]


def test_columns_and_rows_by_their_references() -> None:
    cells = _cells('<x:c r="XFD12"><x:v>1</x:v></x:c><x:c><x:v>2</x:v></x:c><x:c r="?"><x:v>3</x:v></x:c>')
    assert [(cell.column, cell.text) for cell in cells] == [(16384, "1"), (16385, "2"), (16386, "3")]

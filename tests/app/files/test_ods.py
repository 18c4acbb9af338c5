"""Workbooks of OpenDocument, and what their cells show. The fixture of LibreOffice is made by
`soffice --headless --convert-to ods --outdir tests/app/files/data tests/app/files/data/workbook.xlsx`.
"""

from pathlib import Path

import pytest

from app.errors import FileTooLarge
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.ods import read_ods
from app.files.xlsx import read_xlsx
from tests.app.files.packages import odf

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits()


def _row(*cells: str, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def _cell(text: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def _read(*rows: str, styles: str = "", sheet: str = "", limits: FileLimits = LIMITS) -> Document:
    table = f'<table:table table:name="Sheet1" {sheet}>{"".join(rows)}</table:table>'
    return read_ods(odf("spreadsheet", table, styles), limits)


def test_an_ods_of_libreoffice_is_read_as_the_xlsx_of_the_same_workbook() -> None:
    ods = read_ods((DATA / "workbook.ods").read_bytes(), LIMITS)
    xlsx = read_xlsx((DATA / "workbook.xlsx").read_bytes(), LIMITS)

    assert ods.text == xlsx.text
    assert ods.blocks == xlsx.blocks
    assert ods.pages == xlsx.pages
    assert ods.warnings == xlsx.warnings


def test_equal_cells_and_rows_are_written_out_and_empty_ones_end_a_table() -> None:
    document = _read(
        _row(_cell("品"), _cell("価", 'table:number-columns-repeated="2"')),
        _row(_cell("筆"), _cell("10"), _cell("12"), attributes='table:number-rows-repeated="2"'),
        _row(
            '<table:table-cell table:number-columns-repeated="16384"/>', attributes='table:number-rows-repeated="1000"'
        ),
        _row("<table:covered-table-cell/>", _cell("終わりの文。")),
    )
    assert document.text == "品\t価\t価\n筆\t10\t12\n筆\t10\t12\n\n終わりの文。"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (_cell("1,200円", 'office:value-type="float" office:value="1200"'), "1,200円"),
        ("<table:table-cell><text:p>一行目</text:p><text:p>二行目</text:p></table:table-cell>", "一行目\n二行目"),
        ('<table:table-cell office:value-type="float" office:value="12.5"/>', "12.5"),
        ('<table:table-cell office:value-type="date" office:date-value="2026-04-01"/>', "2026-04-01"),
        ('<table:table-cell office:value-type="string" office:string-value="㍻か\u3099"/>', "㍻か\u3099"),
    ],
)
def test_a_cell_is_the_text_that_it_shows_or_its_value(cell: str, text: str) -> None:
    assert _read(_row(cell)).text == text


def test_struck_cells_are_left_out_and_formulas_without_a_result_are_counted() -> None:
    styles = (
        '<style:style style:name="S" style:family="table-cell"><style:text-properties '
        'style:text-line-through-style="solid"/></style:style>'
    )
    document = _read(
        _row(_cell("旧", 'table:style-name="S"'), _cell("新"), '<table:table-cell table:formula="of:=A1"/>'),
        _row('<table:table-cell table:formula="of:=A1" office:value-type="string"/>'),
        styles=styles,
    )
    assert document.text == "新"
    assert document.warnings == (
        "Formulas without a stored result were not read: 1. Open the workbook in Excel and save it.",
        "Text that is struck out was not read.",
    )


def test_text_boxes_follow_the_cells_and_comments_are_notes() -> None:
    box = "<draw:frame><draw:text-box><text:p>枠の文。</text:p></draw:text-box></draw:frame>"
    shapes = "<table:shapes><draw:custom-shape><text:p>図形の文。</text:p></draw:custom-shape></table:shapes>"
    comment = "<office:annotation><text:p>注記</text:p></office:annotation>"
    document = _read(shapes, _row(f"<table:table-cell>{comment}{box}<text:p>値</text:p></table:table-cell>"))

    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("paragraph", "値"),
        ("paragraph", "枠の文。"),
        ("paragraph", "図形の文。"),
        ("note", "注記"),
    ]


@pytest.mark.parametrize(
    ("sheet", "row", "warning"),
    [
        ('table:style-name="T"', "", "Hidden sheets were read as well: 1."),
        ("", 'table:visibility="collapse"', "Hidden rows or columns were read as well, on these sheets: 1."),
        ("", 'table:visibility="visible"', None),
    ],
)
def test_what_is_hidden_is_read_and_named(sheet: str, row: str, warning: str | None) -> None:
    styles = (
        '<style:style style:name="T" style:family="table"><style:table-properties table:display="false"/></style:style>'
    )
    document = _read(_row(_cell("文。"), attributes=row), styles=styles, sheet=sheet)

    assert document.text == "文。"
    assert document.warnings == ((warning,) if warning else ())


def test_a_cell_that_repeats_without_end_meets_the_limit_on_characters() -> None:
    row = _row(
        _cell("あ", 'table:number-columns-repeated="99999999"'), attributes='table:number-rows-repeated="99999999"'
    )
    with pytest.raises(FileTooLarge):
        _read(row, limits=FileLimits(max_characters=1000))

"""XLSX -> Document: each sheet a page, its name a heading, its rows tables or paragraphs, then its text boxes.

Cells show what Excel shows: numbers and dates in their formats, formulas as the result that the file holds. Rows that
follow one another are a table, and columns without text are left out of it. A row of one cell is text: many documents
are typed into cells, a line in each. Hidden sheets, rows and columns are read, and warnings name their sheets. Text
boxes and titles of charts follow the cells; comments are notes. app/files/xlsx_cells.py reads cells; this module knows
the parts.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element

from app.errors import FileTooLarge
from app.files.document import Document, DocumentBuilder
from app.files.limits import FileLimits
from app.files.ooxml import Package, Relationship, link_of
from app.files.pptx_shapes import Text, in_reading_order, is_struck, read_shapes
from app.files.raised import STRUCK_OUT
from app.files.sniff import check_characters
from app.files.warnings import FileWarning, numbers_in_words
from app.files.xlsx_cells import Cell, CellReader, rich_text
from app.text.line_shapes import text_start
from app.text.structure import structure_of

# Excel has no limit; all sheets of a hostile workbook may be the same part.
MAX_SHEETS = 1_000
_TRUE = ("1", "true")
_BARE_NUMBER = re.compile("[0-9０-９〇一二三四五六七八九十百]+")  # in a column of numbers, and no mark of a text
_UNNAMED = re.compile(r"(?:sheet|シート|ｼｰﾄ)\s*\d*", re.IGNORECASE)  # the name that the program gave


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    is_hidden: bool
    part: str | None  # None: missing in the file


def read_xlsx(data: bytes, limits: FileLimits) -> Document:
    """Read an XLSX file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    package = Package(data, limits)
    main = package.main_part() or "xl/workbook.xml"
    workbook = package.xml(main)
    links = package.relationships(main)
    properties = workbook.find("x:workbookPr")
    cells = CellReader(
        package.optional_xml(link_of(links, "styles")),
        package.optional_xml(link_of(links, "sharedStrings")),
        from_1904=properties is not None and properties.get("date1904") in _TRUE,
    )
    reader = _XlsxReader(package, cells, limits)
    for number, sheet in enumerate(_sheets(package, workbook, links), 1):
        reader.add_sheet(number, sheet)
    return reader.build()


def _sheets(package: Package, workbook: Element, links: dict[str, Relationship]) -> Iterator[_Sheet]:
    """The sheets in the order of their tabs."""
    sheets = workbook.find("x:sheets")
    if sheets is None:
        return
    if len(sheets) > MAX_SHEETS:
        raise FileTooLarge(f"The workbook has {len(sheets):,} sheets; at most {MAX_SHEETS:,} are read.")
    for sheet in sheets:
        part = package.linked_part(links, sheet.get("r:id", ""))
        yield _Sheet(sheet.get("name", ""), sheet.get("state", "visible") != "visible", part)


class _XlsxReader:
    """Adds the sheets to a builder, one page each."""

    def __init__(self, package: Package, cells: CellReader, limits: FileLimits) -> None:
        self._package = package
        self._cells = cells
        self._limits = limits
        self._builder = DocumentBuilder()
        self._has_struck = False
        self._without_result = 0
        self._hidden: list[int] = []
        self._partly_hidden: list[int] = []
        self._missing: list[int] = []

    def add_sheet(self, number: int, sheet: _Sheet) -> None:
        """Add a page with the rows, shapes and comments of a sheet; an empty page for a sheet without a part."""
        self._builder.start_page()
        if sheet.part is None:
            self._missing.append(number)
            return
        root = self._package.xml(sheet.part)
        links = self._package.relationships(sheet.part)
        if not _UNNAMED.fullmatch(sheet.name.strip()):
            self._builder.add("heading", sheet.name, level=1)
        rows = root.find("x:sheetData")
        if rows is not None:
            self._add_cells(self._cells.cells(rows))
        drawing = link_of(links, "drawing")
        if drawing is not None:
            self._add_shapes(drawing)
        comments = self._package.optional_xml(link_of(links, "comments"))
        for comment in comments.iter("x:text") if comments is not None else ():
            self._builder.add("note", rich_text(comment))
        if sheet.is_hidden:
            self._hidden.append(number)
        elif any(one.get("hidden") in _TRUE for tag in ("x:row", "x:col") for one in root.iter(tag)):
            self._partly_hidden.append(number)

    def build(self) -> Document:
        warnings = []
        if self._hidden:
            sentence = f"Hidden sheets were read as well: {numbers_in_words(self._hidden)}."
            warnings.append(FileWarning("hidden_sheets", sentence, self._hidden))
        if self._partly_hidden:
            sheets = numbers_in_words(self._partly_hidden)
            sentence = f"Hidden rows or columns were read as well, on these sheets: {sheets}."
            warnings.append(FileWarning("hidden_cells", sentence, self._partly_hidden))
        if self._missing:
            sentence = f"Sheets are missing from the file: {numbers_in_words(self._missing)}."
            warnings.append(FileWarning("missing_sheets", sentence, self._missing))
        if self._without_result:
            sentence = (
                f"Formulas without a stored result were not read: {self._without_result}. Open the workbook in Excel "
                "and save it."
            )
            warnings.append(FileWarning("formulas_without_result", sentence))
        if self._has_struck:
            warnings.append(STRUCK_OUT)
        return self._builder.build(warnings)

    def _add_cells(self, cells: Iterator[Cell]) -> None:
        rows: dict[int, dict[int, str]] = {}
        characters = self._builder.length
        for cell in cells:
            self._has_struck = self._has_struck or cell.is_struck
            self._without_result += cell.lacks_result
            if text := cell.text.strip():
                rows.setdefault(cell.row, {})[cell.column] = text
                characters += len(text)
                check_characters(characters, self._limits)  # one string may stand in a million cells
        lines: list[str] = []  # the text since the last table
        for region in _regions(rows):
            columns = sorted({column for row in region for column in row})
            for row, line in zip(region, _lines(region), strict=True):
                if line is not None:
                    lines.append(line)
                    continue
                if lines:
                    self._add_text(lines)
                    lines = []
                last = max(row)
                self._builder.add_row([row.get(column, "") for column in columns if column <= last])
                check_characters(self._builder.length, self._limits)
            self._builder.end_list()
            lines.append("")
        self._add_text(lines)

    def _add_text(self, lines: Sequence[str]) -> None:
        """Add lines of text with their structure. Their headings are below the name of the sheet."""
        text = "\n".join(lines)
        check_characters(self._builder.length + len(text), self._limits)
        blocks = [replace(one, level=one.level + 1) if one.level else one for one in structure_of(text).blocks]
        self._builder.add_text(text, blocks)

    def _add_shapes(self, part: str) -> None:
        """Add the text boxes that lie over the cells, and the titles of charts."""
        drawing = self._package.optional_xml(part)
        if drawing is None:
            return
        links = self._package.relationships(part)
        self._has_struck = self._has_struck or any(map(is_struck, drawing.iter("a:rPr")))
        package = self._package
        shapes = list(read_shapes(drawing, {}, lambda id_: package.optional_xml(package.linked_part(links, id_))))
        for shape in in_reading_order(shapes):
            self._builder.end_list()
            for item in shape.content:
                if isinstance(item, Text):  # the rows of a chart stand in cells
                    self._builder.add("list-item" if item.is_list_item else "paragraph", item.text)


def _regions(rows: dict[int, dict[int, str]]) -> Iterator[list[dict[int, str]]]:
    """The rows between empty ones, from the top."""
    region: list[dict[int, str]] = []
    last = 0
    for number in sorted(rows):
        if region and number != last + 1:
            yield region
            region = []
        region.append(rows[number])
        last = number
    if region:
        yield region


def _lines(region: Sequence[dict[int, str]]) -> Iterator[str | None]:
    """The text of each row that is a line of text; None for a row of a table.

    A row of one cell is a line, unless it stands between two rows of a table, where it names those below it. A mark and
    a text in two cells are one line: (1) and 目的.
    """
    lines = [_line(row) for row in region]
    for place, line in enumerate(lines):
        is_inside = 0 < place < len(lines) - 1 and lines[place - 1] is None and lines[place + 1] is None
        yield None if is_inside and len(region[place]) == 1 else line


def _line(row: dict[int, str]) -> str | None:
    if len(row) == 1:
        return next(iter(row.values()))
    first, second = sorted(row)[:2]
    if len(row) > 2 or _BARE_NUMBER.fullmatch(row[first]):
        return None
    line = f"{row[first]}\u3000{row[second]}"
    return line if len(row[first]) <= text_start(line, 0, len(line)) <= len(row[first]) + 1 else None

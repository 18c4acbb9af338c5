"""ODS -> Document: each sheet a page, its cells as LibreOffice shows them, then its text boxes and comments.

A cell of OpenDocument holds the text that it shows next to its value, so no format of a number is computed here. What
becomes of rows and of hidden sheets is decided in app/files/sheets.py; app/files/odf_items.py reads the text boxes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from xml.etree.ElementTree import Element

from app.files.body import Paragraph
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.odf import open_odf, repeats
from app.files.odf_items import OdfReader, around, rows_of
from app.files.odf_styles import Styles
from app.files.odf_text import read_paragraph
from app.files.sheets import Cell, WorkbookBuilder, check_sheets

MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
_HIDDEN = ("collapse", "filter")
_VALUES = ("office:string-value", "office:date-value", "office:time-value", "office:boolean-value", "office:value")


def read_ods(data: bytes, limits: FileLimits) -> Document:
    """Read an ODS file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    file = open_odf(data, "office:spreadsheet", limits)
    tables = file.body.findall("table:table")
    check_sheets(len(tables))
    builder = WorkbookBuilder(limits)
    reader = OdfReader(file.styles, file.objects)
    for table in tables:
        sheet = _Sheet(file.styles)
        builder.start_sheet(table.get("table:name", ""))
        builder.add_cells(sheet.cells(table))
        _add_around_cells(builder, sheet, table, reader)
        if file.styles.of_drawing("table", table.get("table:style-name"), "table:display") == "false":
            builder.mark_hidden()
        elif any(one.get("table:visibility") in _HIDDEN for one in table.iter()):
            builder.mark_partly_hidden()
    document = builder.build()
    others = [warning for warning in reader.warnings if warning not in document.warnings]
    return replace(document, warnings=(*document.warnings, *others))


def _add_around_cells(builder: WorkbookBuilder, sheet: "_Sheet", table: Element, reader: OdfReader) -> None:
    """Add the text boxes over the cells, then the comments."""
    shapes = (shape for part in table.findall("table:shapes") for shape in part)
    for frame in chain(sheet.frames, shapes):
        builder.end_list()
        for item in reader.items_of([around(frame)]):
            if isinstance(item, Paragraph):  # the rows of a chart stand in cells
                builder.add_paragraph(item.text, item.role.is_list_item)
    for item in reader.items_of(sheet.comments):
        if isinstance(item, Paragraph):
            builder.add_note(item.text)


@dataclass(slots=True)
class _Sheet:
    """Reads the cells of a sheet, and keeps what stands over them."""

    styles: Styles
    frames: list[Element] = field(default_factory=list)
    comments: list[Element] = field(default_factory=list)

    def cells(self, table: Element) -> Iterator[Cell]:
        """The cells that hold something. Rows and cells that are equal stand once in the file, with a count."""
        number = 1
        for row, _ in rows_of(table):
            count = repeats(row, "rows", MAX_ROWS)
            found = list(self._row(row))
            for shift in range(count if found else 0):
                for column, text, is_struck, lacks_result in found:
                    yield Cell(number + shift, column, text, is_struck, lacks_result)
            number += count

    def _row(self, row: Element) -> Iterator[tuple[int, str, bool, bool]]:
        column = 1
        for element in row:
            if element.tag not in ("table:table-cell", "table:covered-table-cell"):
                continue
            count = repeats(element, "columns", MAX_COLUMNS)
            if len(element) or element.get("office:value-type") or element.get("table:formula"):
                text, is_struck = self._shown(element)
                lacks_result = not text and not is_struck and element.get("table:formula") is not None
                lacks_result = lacks_result and element.get("office:value-type") != "string"  # an empty text
                if text or is_struck or lacks_result:
                    yield from ((column + shift, text, is_struck, lacks_result) for shift in range(count))
            column += count

    def _shown(self, cell: Element) -> tuple[str, bool]:
        """The text of a cell, and whether something in it is struck out."""
        lines = []
        is_struck = False
        for child in cell:
            if child.tag == "text:p":
                read = read_paragraph(child, self.styles)
                lines.append(read.text)
                is_struck = is_struck or read.has_struck
                self.frames += read.frames
                self.comments += read.notes
            elif child.tag == "office:annotation":
                self.comments.append(child)
            elif child.tag.startswith("draw:"):
                self.frames.append(child)
        if self.styles.is_struck("table-cell", cell.get("table:style-name")):
            return "", any(lines)
        text = "\n".join(lines)
        if not text.strip() and not is_struck:  # a program need not write what it shows
            text = next((value for key in _VALUES if (value := cell.get(key))), "")
        return text, is_struck

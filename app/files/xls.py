"""XLS (Excel 5 to 2003) -> Document: each sheet with its cells as Excel shows them, its text boxes and its comments.

xlrd reads the cells; app/files/biff.py makes their stream ready for it, and app/files/sheets.py makes blocks of them.
Comments of Excel 5 and 95 are not read. xlrd fails in many ways on hostile bytes and can be kept
busy by them, so that files of strangers must be read in a process with limits.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import xlrd
from xlrd.biffh import error_text_from_code

from app.errors import BrokenFile
from app.files.biff import WORKSHEET, Tab, read_stream
from app.files.compound import CompoundFile
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.number_formats import BUILT_IN, GENERAL, shown_number, shown_text
from app.files.raised import lowered, raised
from app.files.sheets import Cell, WorkbookBuilder, check_sheets

_STREAMS = ("Workbook", "Book")  # of Excel 97 and of Excel 5; some files have both
_UNICODE = 80  # the version of BIFF from which on texts are UTF-16
_DAMAGE = (xlrd.XLRDError, AssertionError, LookupError, OverflowError, TypeError, ValueError, struct.error)


class _Nowhere(io.TextIOBase):
    """Takes what xlrd says about damage, and keeps nothing of it."""

    def write(self, text: str) -> int:
        return len(text)


@dataclass(frozen=True, slots=True)
class _Font:
    is_struck: bool
    place: int  # 1: raised, 2: lowered


_PLAIN = _Font(False, 0)


def read_xls(data: bytes, limits: FileLimits) -> Document:
    """Read an XLS file. Raises BrokenFile, EncryptedFile or FileTooLarge."""
    file = CompoundFile(data)
    stream = next((found for name in _STREAMS if (found := file.read(name)) is not None), None)
    if stream is None:
        raise BrokenFile("The file is incomplete: it has no stream Workbook.")
    prepared, tabs = read_stream(stream)
    check_sheets(len(tabs))
    with _damage_in_words():
        book = xlrd.open_workbook(
            file_contents=prepared, formatting_info=True, on_demand=True, ragged_rows=True, logfile=_Nowhere()
        )
    reader = _XlsReader(book, limits)
    number = 0  # of the next sheet with cells; xlrd counts no others
    for tab in tabs:
        sheet = None
        if tab.kind == WORKSHEET:
            with _damage_in_words():
                sheet = book.sheet_by_index(number)
        reader.add_tab(tab, sheet)
        if sheet is not None:
            book.unload_sheet(number)
            number += 1
    return reader.build()


@contextmanager
def _damage_in_words() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise BrokenFile("The workbook is damaged or cut off. Open it in Excel, and save it as XLSX.") from error


class _XlsReader:
    """Adds the tabs of one workbook to a builder, one page each."""

    def __init__(self, book: xlrd.book.Book, limits: FileLimits) -> None:
        self._builder = WorkbookBuilder(limits)
        self._from_1904 = book.datemode == 1
        self._width = 2 if book.biff_version >= _UNICODE else 1
        self._encoding: str = "utf-16-le" if self._width == 2 else book.encoding
        self._fonts = [_Font(bool(font.struck_out), font.escapement) for font in book.font_list]
        # Only formats that stand in the file: xlrd adds those of American Excel.
        codes = BUILT_IN | {one.format_key: one.format_str for one in book.format_list}
        self._styles = [(codes.get(one.format_key, GENERAL), self._font(one.font_index)) for one in book.xf_list]

    def add_tab(self, tab: Tab, sheet: xlrd.sheet.Sheet | None) -> None:
        """Add a page with the cells of a sheet and what is drawn over them; without a sheet, the tab is a chart."""
        self._builder.start_sheet(sheet.name if sheet is not None else "")
        if sheet is not None:
            self._builder.add_cells(self._cells(sheet))
        for drawn in sorted(tab.drawn, key=lambda one: one.is_comment):
            text, is_struck = self._without_struck(drawn.units, "utf-16-le", 2, drawn.runs, _PLAIN)
            if is_struck:
                self._builder.mark_struck()
            if drawn.is_comment:
                self._builder.add_note(text)
            else:
                self._builder.end_list()
                self._builder.add_lines(text.splitlines())
        if tab.is_hidden:
            self._builder.mark_hidden()
        elif sheet is not None and any(
            one.hidden for one in (*sheet.rowinfo_map.values(), *sheet.colinfo_map.values())
        ):
            self._builder.mark_partly_hidden()

    def build(self) -> Document:
        return self._builder.build()

    def _cells(self, sheet: xlrd.sheet.Sheet) -> Iterator[Cell]:
        """The cells that show a text, or would if it were not struck out."""
        for row in range(sheet.nrows):
            for column, kind in enumerate(sheet.row_types(row)):
                if kind not in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                    text, is_struck = self._shown(sheet, row, column, kind)
                    if text or is_struck:
                        yield Cell(row + 1, column + 1, text, is_struck, lacks_result=False)

    def _shown(self, sheet: xlrd.sheet.Sheet, row: int, column: int, kind: int) -> tuple[str, bool]:
        """The text of a cell, and whether something in it is struck out."""
        value = sheet.cell_value(row, column)
        index = sheet.cell_xf_index(row, column)
        code, font = self._styles[index] if 0 <= index < len(self._styles) else (GENERAL, _PLAIN)
        if kind == xlrd.XL_CELL_TEXT:
            units = value.encode(self._encoding, "replace")
            runs = sheet.rich_text_runlist_map.get((row, column), ())
            text, has_struck = self._without_struck(units, self._encoding, self._width, runs, font)
            return (shown_text(text, code) if text else ""), has_struck
        if kind == xlrd.XL_CELL_BOOLEAN:
            text = "TRUE" if value else "FALSE"
        elif kind == xlrd.XL_CELL_ERROR:
            text = error_text_from_code.get(value, "")
        elif abs(value) < 1e308:  # no infinity, and no NaN
            text = shown_number(value, code, self._from_1904).replace("\\", "¥")  # Japanese Excel stored ¥ so
        else:
            text = ""
        return ("", bool(text)) if font.is_struck else (text, False)

    def _without_struck(
        self, units: bytes, encoding: str, width: int, runs: Sequence[tuple[int, int]], first: _Font
    ) -> tuple[str, bool]:
        """A text without what is struck out, and whether something is.

        Each run begins at a unit of `width` bytes, and has the number of its font; the `first` font holds before them.
        """
        starts = [(0, first), *((start * width, self._font(number)) for start, number in runs)]
        parts, has_struck = [], False
        for (start, font), (end, _) in pairwise([*starts, (len(units), first)]):
            text = units[start:end].decode(encoding, "replace")
            if font.is_struck:
                has_struck = has_struck or bool(text.strip())
            else:
                parts.append(raised(text) if font.place == 1 else lowered(text) if font.place == 2 else text)
        return "".join(parts), has_struck

    def _font(self, number: int) -> _Font:
        return self._fonts[number] if 0 <= number < len(self._fonts) else _PLAIN

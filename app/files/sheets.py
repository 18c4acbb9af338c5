"""The sheets of a workbook -> Document: each sheet a page, its name a heading, its rows tables or paragraphs.

Rows that follow one another are a table, and columns without text are left out of it. A row of one cell is text: many
documents are typed into cells, a line in each. Hidden sheets, rows and columns are read, and warnings name their
sheets. This module knows cells as text, and does not know files: app/files/xlsx.py and app/files/xls.py read those.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.errors import FileTooLarge
from app.files.document import Document, DocumentBuilder
from app.files.limits import FileLimits
from app.files.raised import STRUCK_OUT
from app.files.sniff import check_characters
from app.files.warnings import FileWarning, numbers_in_words
from app.text.line_shapes import text_start
from app.text.structure import structure_of

# Excel has no limit; all sheets of a hostile workbook may be the same part.
MAX_SHEETS = 1_000
_BARE_NUMBER = re.compile("[0-9０-９〇一二三四五六七八九十百]+")  # in a column of numbers, and no mark of a text
_UNNAMED = re.compile(r"(?:sheet|シート|ｼｰﾄ)\s*\d*", re.IGNORECASE)  # the name that the program gave


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that holds something. `row` and `column` count from 1."""

    row: int
    column: int
    text: str
    is_struck: bool  # whether something in it is struck out; that is not in the text
    lacks_result: bool  # a formula of which the file holds no result


def check_sheets(count: int) -> None:
    """Raise FileTooLarge for a workbook of more than MAX_SHEETS sheets."""
    if count > MAX_SHEETS:
        raise FileTooLarge(f"The workbook has {count:,} sheets; at most {MAX_SHEETS:,} are read.")


class WorkbookBuilder:
    """Builds the Document of a workbook sheet by sheet, in the order of their tabs."""

    def __init__(self, limits: FileLimits) -> None:
        self._limits = limits
        self._builder = DocumentBuilder()
        self._number = 0  # of the open sheet
        self._has_struck = False
        self._without_result = 0
        self._hidden: list[int] = []
        self._partly_hidden: list[int] = []
        self._missing: list[int] = []

    def start_sheet(self, name: str) -> None:
        """Begin the page of the next sheet. A name that the program gave is no heading, and neither is an empty one."""
        self._builder.start_page()
        self._number += 1
        if not _UNNAMED.fullmatch(name.strip()):
            self._builder.add("heading", name, level=1)

    def mark_missing(self) -> None:
        """The file does not hold the open sheet."""
        self._missing.append(self._number)

    def mark_hidden(self) -> None:
        """Excel does not show the open sheet."""
        self._hidden.append(self._number)

    def mark_partly_hidden(self) -> None:
        """Excel does not show some rows or columns of the open sheet."""
        self._partly_hidden.append(self._number)

    def mark_struck(self) -> None:
        """Something outside of cells is struck out, and was left out."""
        self._has_struck = True

    def add_paragraph(self, text: str, is_list_item: bool = False) -> None:
        """Add a text that stands over the cells."""
        self._builder.add("list-item" if is_list_item else "paragraph", text)

    def end_list(self) -> None:
        """End the table or list."""
        self._builder.end_list()

    def add_note(self, text: str) -> None:
        """Add a comment."""
        self._builder.add("note", text)

    def add_cells(self, cells: Iterable[Cell]) -> None:
        """Add the cells of the open sheet, in any order. Raises FileTooLarge past the limit on characters."""
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
                    self.add_lines(lines)
                    lines = []
                last = max(row)
                self._builder.add_row([row.get(column, "") for column in columns if column <= last])
                check_characters(self._builder.length, self._limits)
            self._builder.end_list()
            lines.append("")
        self.add_lines(lines)

    def add_lines(self, lines: Sequence[str]) -> None:
        """Add lines of text with their structure; headings among them are below the name of the sheet."""
        text = "\n".join(lines)
        check_characters(self._builder.length + len(text), self._limits)
        blocks = [replace(one, level=one.level + 1) if one.level else one for one in structure_of(text).blocks]
        self._builder.add_text(text, blocks)

    def build(self) -> Document:
        """The Document of all sheets, with what its reader should know as warnings."""
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

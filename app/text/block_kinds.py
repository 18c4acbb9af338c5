"""The kind of a group of lines: heading, clause, item, row and so on, decided by its shape and its neighbours.

This module knows lines, shapes and columns, and does not know sentences.
"""

import re
from collections.abc import Sequence

from app.text.blocks import BlockKind
from app.text.groups import Group, Groups
from app.text.headings import (
    MAX_MARKED_HEADING_COLUMNS,
    VALUE,
    is_numbered_heading,
    is_plain_heading,
    is_spaced_title,
    is_title_with_tail,
    is_wrapped_heading,
)
from app.text.line_shapes import NUMBERED
from app.text.lines import Line
from app.text.markup import heading_level, is_markup
from app.text.notes import (
    MAX_LETTER_COLUMNS,
    MIN_RIGHT_INDENT,
    is_colophon,
    is_enactment,
    is_letter_line,
    is_organisation,
    is_remark,
    is_signed,
    is_sitting,
)
from app.text.signatures import settle_signatures
from app.text.tables import cells_of, is_head, parts_of

# The number in the first cell of a row.
_NUMBER_CELL = re.compile("[（(]?[0-9０-９]{1,3}[)）.．]?")
_AFTER_DATE = re.compile("[ \u3000][^0-9０-９（(、]*[一-鿿ァ-ヺ]")
# Single spaces between the cells of a row, in which others have wide gaps; two cells are too few to tell.
_PARTS = re.compile("\u3000+")
_MIN_FILLED_CELLS = 3
# The second line of a cell stands further to the right of the row's beginning than this.
_MIN_CELL_INDENT = 5

_KIND_OF_SHAPE: dict[str, BlockKind] = {
    "separator": "furniture",
    "page": "furniture",
    "head": "furniture",
    "contents": "furniture",
    "copyright": "furniture",
    "mail-header": "furniture",
    "markdown-heading": "heading",
    "note": "note",
    "bullet": "list-item",
    "article-title": "heading",
    "article": "clause",
    "row": "table-row",
    "message": "paragraph",
    "csv": "table-row",
    "ruled": "heading",
}
_LEVELS = {"article-title": 4, "ruled": 2}
_CHAPTER_LEVELS = {"編": 1, "部": 1, "章": 1, "節": 2, "款": 3, "目": 3}


def settle_kinds(text: str, lines: Sequence[Line], groups: Sequence[Group]) -> None:
    """Give every group its kind, its level and its cells."""
    _Settler(text, lines, groups).settle()


class _Settler:
    def __init__(self, text: str, lines: Sequence[Line], groups: Sequence[Group]) -> None:
        self._around = Groups(text, lines, groups)
        self._groups = groups
        self._aozora = "見出し" in text
        self._copied = "底本" in text

    def settle(self) -> None:
        self._settle_mail_dates()
        for place, group in enumerate(self._groups):
            group.kind = self._kind(place, group)
        settle_signatures(self._around)
        for place, group in enumerate(self._groups):
            if group.kind == "heading" and not group.level:
                group.level = 1 if place == 0 else 2
        self._settle_tables()

    def _settle_mail_dates(self) -> None:
        """日付 and 日時 next to a line of a mail's header are one too; elsewhere they are the key of a fact."""
        for place, group in enumerate(self._groups):
            if group.shape == "key" and self._around.content(group).startswith(("日付", "日時")):
                near = (self._around.near_shape(place, -1), self._around.near_shape(place, 1))
                if len(group.lines) == 1 and "mail-header" in near:
                    group.shape = "mail-header"

    def _kind(self, place: int, group: Group) -> BlockKind:
        line, shape = self._around.first_line(group), group.shape
        if kind := _KIND_OF_SHAPE.get(shape):
            if kind == "heading":
                group.level = _LEVELS.get(shape) or max(self._around.content(group).count("#", 0, 6), 1)
            return kind
        single = len(group.lines) == 1
        if self._aozora and single and (level := heading_level(self._around.content(group))):
            group.level = level
            return "heading"
        if shape == "annotation" and is_markup(self._around.content(group)):
            return "note"
        titled = single and not self._around.ends_sentence(group)
        width = line.edge - line.indent
        if shape in ("chapter", "annex"):
            if titled and width <= MAX_MARKED_HEADING_COLUMNS:
                group.level = _CHAPTER_LEVELS.get(
                    self._around.content(group).lstrip("第 　0123456789０１２３４５６７８９一二三四五六七八九十百")[:1],
                    1,
                )
                return "heading"
            return "clause" if shape == "chapter" else "paragraph"
        if shape in ("section", "agenda") and titled and width <= MAX_MARKED_HEADING_COLUMNS and not line.gaps:
            if shape == "agenda" and not self._opens_item(place):
                return "clause"
            group.level = 1 if shape == "section" else 2
            return "heading"
        if shape in ("section", "agenda") and not line.gaps:
            return "clause"
        if shape in ("number", "bracket-number") and single and self._is_numbered_row(place, line):
            return "table-row"
        if shape in NUMBERED:
            return "heading" if titled and is_numbered_heading(self._around, place, group, width) else "clause"
        if shape == "bracketed":
            if is_remark(self._around.content(group)):
                return "note"
            if self._around.is_last(place):
                return "note"
            group.level = 3
            return "heading"
        if shape == "symbol":
            alike = self._around.near_shape(place, 1) == shape or self._around.near_shape(place, -1) == shape
            if titled and not alike and width <= MAX_MARKED_HEADING_COLUMNS:
                content = self._around.content(group)
                if not VALUE.search(content) and "：" not in content:
                    return "heading"
            return "list-item"
        if shape == "circle" and titled and self._is_circled_heading(place, group, width):
            return "heading"
        if titled and self._outside(place, group, width):
            return "note"
        if titled and is_spaced_title(self._around, place, group):
            return "heading"
        if line.gaps and place == 0 and is_title_with_tail(self._around, group):
            return "heading"
        if line.gaps and self._is_row(place, group):
            return "table-row"
        if shape == "" and titled and self._fills_row(place, group):
            return "table-row"
        plain = shape in ("", "quotation") or (shape == "date" and place == 0 and self._is_dated_title(group, width))
        if plain and titled and is_plain_heading(self._around, place, group, width):
            return "heading"
        if shape == "" and len(group.lines) == 2 and is_wrapped_heading(self._around, place, group):
            return "heading"
        return "paragraph"

    def _opens_item(self, place: int) -> bool:
        """Whether an item of an agenda stands over its text, and is none of a list of items."""
        before = self._around.near(place, -1)
        apart = before is None or before.kind in ("heading", "furniture") or self._around.ends_sentence(before)
        return apart and "agenda" not in (self._around.near_shape(place, -1), self._around.near_shape(place, 1))

    def _outside(self, place: int, group: Group, width: int) -> bool:
        """Whether a line stands outside the running text: an address, a date, a remark, a colophon."""
        line, content = self._around.first_line(group), self._around.content(group)
        if self._around.is_last(place) and width <= MAX_MARKED_HEADING_COLUMNS * 2 and is_signed(content):
            return True
        if self._copied and group.shape == "key" and is_colophon(content):
            return True
        if group.shape not in ("", "date", "quotation", "label"):
            return False
        if is_sitting(content) or is_remark(content):
            return True
        if width > MAX_LETTER_COLUMNS or line.gaps:
            return False
        before = self._around.near(place, -1)
        at_right = place > 0 and line.indent >= MIN_RIGHT_INDENT and (before is None or before.kind == "note")
        after = self._around.near(place, 1)
        if after is not None and is_organisation(content, self._around.content(after)):
            return True
        return is_letter_line(content) or (place > 0 and is_enactment(content)) or at_right

    def _is_dated_title(self, group: Group, width: int) -> bool:
        """Whether a title stands after a date, as in 2026年3月期　決算短信."""
        return width <= MAX_MARKED_HEADING_COLUMNS and bool(_AFTER_DATE.search(self._around.content(group)))

    def _is_circled_heading(self, place: int, group: Group, width: int) -> bool:
        """Whether a line with ○ is the title of the text, or stands over other lines and is none of a list."""
        content = self._around.content(group)
        if width > MAX_MARKED_HEADING_COLUMNS or self._around.first_line(group).gaps or self._around.is_last(place):
            return False
        if "、" in content:  # the authors of a paper: ○山田、鈴木
            return False
        if place == 0:
            return True
        after = self._around.near_shape(place, 1)
        alike = "circle" in (after, self._around.near_shape(place, -1))
        return after is not None and not alike and not VALUE.search(content) and "：" not in content

    def _is_numbered_row(self, place: int, line: Line) -> bool:
        """Whether a line is a row whose first cell is a number: wide gaps follow it, and the next line has as many."""
        if len(line.gaps) < 2 or not _NUMBER_CELL.fullmatch(self._around.text, line.first, line.gaps[0][0]):
            return False
        near = (self._around.near(place, step) for step in (-1, 1))
        return any(one is not None and len(self._around.first_line(one).gaps) == len(line.gaps) for one in near)

    def _fills_row(self, place: int, group: Group) -> bool:
        """Whether a line below a row has as many parts between single spaces as the row has cells."""
        above = self._around.near(place, -1)
        if above is None or above.kind != "table-row" or len(group.lines) > 1:
            return False
        cells = len(self._around.first_line(above).gaps) + 1
        parts = _PARTS.split(self._around.content(group))
        if cells < _MIN_FILLED_CELLS:
            cells = len(_PARTS.split(self._around.content(above)))
        return cells >= _MIN_FILLED_CELLS and len(parts) == cells and "。" not in self._around.content(group)

    def _is_row(self, place: int, group: Group) -> bool:
        """Whether a line with wide gaps is a row: it has two, or a neighbour has one as well."""
        if not self._is_one_row(group):
            return False
        gaps = self._around.first_line(group).gaps
        if len(gaps) >= 2:
            return True
        for step in (-1, 1):
            near = self._around.near(place, step)
            if near is not None and self._around.first_line(near).gaps and (len(near.lines) == 1 or self._hangs(near)):
                return not self._around.ends_sentence(group)
        return False

    def _is_one_row(self, group: Group) -> bool:
        """Whether lines are one row: one line, or lines of a cell that continues below itself, without a sentence."""
        return len(group.lines) == 1 or (self._hangs(group) and "。" not in self._around.content(group))

    def _hangs(self, group: Group) -> bool:
        first = self._around.first_line(group)
        return len(first.gaps) == 1 and self._around.lines[group.lines[1]].indent > first.indent + _MIN_CELL_INDENT

    def _settle_tables(self) -> None:
        """The cells of all rows, and the head of each table; a rule between two rows ends no table."""
        rows: list[Group] = []
        for place, group in enumerate(self._groups):
            if group.kind == "furniture" and group.shape == "separator" and rows:
                if len(rows) == 1 and self._groups[place - 1] is rows[0] and group.lines[0] == rows[0].lines[0] + 1:
                    rows[0].kind = "table-head"
                continue
            if group.kind != "table-row" or (rows and group.lines[0] - rows[-1].lines[0] > 2):
                self._settle_table(rows)
                rows = []
            if group.kind == "table-row":
                group.cells = cells_of(self._around.text, self._around.first_line(group), commas=group.shape == "csv")
                if len(group.lines) > 1:  # its last cell continues on the next line
                    group.cells = (*group.cells[:-1], (group.cells[-1][0], self._around.last_line(group).last))
                rows.append(group)
        self._settle_table(rows)

    def _settle_table(self, rows: list[Group]) -> None:
        """Cut cells at single spaces where the row is then as long as the longest one, and settle the head."""
        longest = max((len(row.cells) for row in rows), default=0)
        for row in rows:
            if len(row.cells) < longest and len(row.lines) == 1 and row.shape not in ("row", "csv"):
                cut = [part for cell in row.cells for part in parts_of(self._around.text, cell)]
                if len(cut) == longest:
                    row.cells = tuple(cut)
        self._settle_head(rows)

    def _settle_head(self, rows: list[Group]) -> None:
        """Whether a row may be the head: the first row, or a row after a blank line."""
        for place, row in enumerate(rows):
            if place and not self._blank_before(row):
                continue
            if len(rows) > place + 2 and is_head(
                self._around.text, row.cells, [one.cells for one in rows[place + 1 : place + 4]]
            ):
                row.kind = "table-head"

    def _blank_before(self, row: Group) -> bool:
        line = self._around.lines[row.lines[0] - 1]
        return line.first == line.last

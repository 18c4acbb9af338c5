"""The kind of a group of lines: heading, clause, item, row and so on, decided by its shape and its neighbours.

This module knows lines, shapes and columns, and does not know sentences.
"""

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
    is_letter_line,
    is_remark,
    is_signed,
    is_sitting,
)
from app.text.signatures import settle_signatures
from app.text.tables import cells_of, is_head

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
}
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
                group.level = 4 if shape == "article-title" else max(self._around.content(group).count("#", 0, 6), 1)
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
        if titled and self._outside(place, group, width):
            return "note"
        if titled and is_spaced_title(self._around, place, group):
            return "heading"
        if line.gaps and place == 0 and is_title_with_tail(self._around, group):
            return "heading"
        if line.gaps and self._is_row(place, group):
            return "table-row"
        if shape in ("", "quotation") and titled and is_plain_heading(self._around, place, group, width):
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
        return is_letter_line(content) or at_right

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
                self._settle_head(rows)
                rows = []
            if group.kind == "table-row":
                group.cells = cells_of(self._around.text, self._around.first_line(group), commas=group.shape == "csv")
                if len(group.lines) > 1:  # its last cell continues on the next line
                    group.cells = (*group.cells[:-1], (group.cells[-1][0], self._around.last_line(group).last))
                rows.append(group)
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

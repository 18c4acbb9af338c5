"""What a group of lines is in its text: a heading, a clause, an item, a row; asked of its shape and its neighbours.

Knows lines, shapes and columns; nothing of sentences.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.text.blocks import BlockKind, Spans
from app.text.line_shapes import NUMBERED, STRONG, ends_sentence
from app.text.lines import Line
from app.text.markup import heading_level
from app.text.tables import cells_of, is_head

# A heading without a mark is no wider than this many columns, and no wider than the second with one.
MAX_HEADING_COLUMNS = 64
MAX_MARKED_HEADING_COLUMNS = 80

_KIND_OF_SHAPE: dict[str, BlockKind] = {
    "separator": "furniture",
    "page": "furniture",
    "head": "furniture",
    "copyright": "furniture",
    "mail-header": "furniture",
    "markdown-heading": "heading",
    "note": "note",
    "bullet": "list-item",
    "article-title": "heading",
    "article": "clause",
    "row": "table-row",
}
_CHAPTER_LEVELS = {"編": 1, "部": 1, "章": 1, "節": 2, "款": 3, "目": 3}
_DATE = re.compile(r"(?:令和|平成|昭和|大正|西暦)?\s*[0-9０-９元一二三四五六七八九十〇]{1,4}\s*[年/.／]")
_ADDRESSED = re.compile(
    r"(?:(?<![仕模多各異有同一王])様|[皆み]な?[さ様]ま?ん?|殿|御中|各位|先生|敬具|草々|敬白|以\s*上|拝啓|前略|記|宛て?|行き?|印|㊞|へ)\Z"
)
_CLOSING_WORD = re.compile(r"(?:敬\s*具|草\s*々|敬\s*白|以\s*上|記|かしこ)\Z")
# Not a heading but a label with what it is: 代金　車両本体 380,000円; or words that end a sentence.
_VALUE = re.compile(r"(?<=[^\s0-9０-９一二三四五六七八九十.．)）])\u3000[^\s].*?[0-9０-９]|[：:][^\s]")
_SENTENCE_LIKE = re.compile("。|(?:です|ます|ました|ません|ください|下さい|でした|でしょう|ましょう)\\Z")
_STAGE = re.compile(
    r"[〔［\[][^〔〕［］\[\]]{1,60}[〕］\]]\Z|[（(](?:拍手|笑い?|笑声|略|中略|後略|以下略|了|終わり?|完|続く|つづく|以上|文責.{0,20})[）)]\Z"
)
_SPECIAL_DATE = re.compile(
    r"(?:[0-9０-９]{4}|(?:令和|平成|昭和)\s*[0-9０-９元一二三四五六七八九十]{1,3})\s*[年/.．－-]\s*[0-9０-９一二三四五六七八九十]{1,3}(?:\s*[月/.．－-]\s*[0-9０-９一二三四五六七八九十]{1,3})?\s*日?(?:\s*[（(].{1,3}[）)])?\Z"
)


@dataclass(slots=True)
class Group:
    """Lines that make one block."""

    lines: list[int]
    shape: str
    kind: BlockKind = "paragraph"
    level: int = 0
    cells: Spans = ()


def settle_kinds(text: str, lines: Sequence[Line], groups: Sequence[Group]) -> None:
    """Give every group its kind, its level and its cells."""
    _Settler(text, lines, groups).settle()


class _Settler:
    def __init__(self, text: str, lines: Sequence[Line], groups: Sequence[Group]) -> None:
        self._text = text
        self._lines = lines
        self._groups = groups
        self._aozora = "見出し" in text

    def settle(self) -> None:
        for place, group in enumerate(self._groups):
            group.kind = self._kind(place, group)
            if group.kind == "heading" and not group.level:
                group.level = 1 if place == 0 else 2
        self._settle_tables()

    def _content(self, group: Group) -> str:
        return self._text[self._lines[group.lines[0]].first : self._lines[group.lines[-1]].last]

    def _kind(self, place: int, group: Group) -> BlockKind:
        line, shape = self._lines[group.lines[0]], group.shape
        if kind := _KIND_OF_SHAPE.get(shape):
            if kind == "heading":
                group.level = 4 if shape == "article-title" else max(self._content(group).count("#", 0, 6), 1)
            return kind
        single = len(group.lines) == 1
        if self._aozora and single and (level := heading_level(self._content(group))):
            group.level = level
            return "heading"
        titled = single and not ends_sentence(self._text, line)
        width = line.edge - line.indent
        if shape in ("chapter", "annex"):
            if titled and width <= MAX_MARKED_HEADING_COLUMNS:
                group.level = _CHAPTER_LEVELS.get(
                    self._content(group).lstrip("第 　0123456789０１２３４５６７８９一二三四五六七八九十百")[:1], 1
                )
                return "heading"
            return "clause" if shape == "chapter" else "paragraph"
        if shape in NUMBERED:
            return "heading" if titled and self._numbered_heading(place, group, width) else "clause"
        if shape == "bracketed":
            if _STAGE.match(self._content(group)):
                return "note"
            if place + 1 == len(self._groups):
                return "note"
            group.level = 3
            return "heading"
        if shape == "symbol":
            alike = self._neighbour(place, 1) == shape or self._neighbour(place, -1) == shape
            valued = _VALUE.search(self._content(group)) or "：" in self._content(group)
            if titled and not alike and not valued and width <= MAX_MARKED_HEADING_COLUMNS:
                return "heading"
            return "list-item"
        if self._lines[group.lines[0]].gaps and self._is_row(place, group):
            return "table-row"
        if shape in ("", "quotation") and titled and self._plain_heading(place, group, width):
            return "heading"
        return "paragraph"

    def _near(self, place: int, step: int) -> Group | None:
        """The next group before or after, where no blank line stands between."""
        other = place + step
        if not 0 <= other < len(self._groups):
            return None
        here, there = self._groups[place], self._groups[other]
        if (there.lines[0] - here.lines[-1] if step > 0 else here.lines[0] - there.lines[-1]) != 1:
            return None
        return there

    def _neighbour(self, place: int, step: int) -> str | None:
        near = self._near(place, step)
        return near.shape if near else None

    def _numbered_heading(self, place: int, group: Group, width: int) -> bool:
        """Whether a short numbered line is the heading of what follows, and not one of several short items."""
        if width > MAX_MARKED_HEADING_COLUMNS or place + 1 == len(self._groups):
            return False
        if self._lines[group.lines[0]].gaps or "、" in self._content(group)[6:] or _VALUE.search(self._content(group)):
            return False
        after, before = self._groups[place + 1], self._near(place, -1)
        if after.shape == group.shape or after.kind == "furniture":
            return False
        return not (before is not None and before.shape == group.shape and before.kind == "clause")

    def _plain_heading(self, place: int, group: Group, width: int) -> bool:
        """Whether a short line without a mark is a heading: first of the text, or after a blank line and over more."""
        content = self._content(group)
        line = self._lines[group.lines[0]]
        if width > (MAX_MARKED_HEADING_COLUMNS if place == 0 else MAX_HEADING_COLUMNS) or line.quotes:
            return False
        if content[-1] in "、,，：:；;→＝=…‥」』" or _ADDRESSED.search(content) or _SPECIAL_DATE.match(content):
            return False
        if line.gaps or _SENTENCE_LIKE.search(content) or (place and _VALUE.search(content)):
            return False
        if place == 0 and len(self._groups) > 3:
            return line.indent < 20 or line.edge > 3 * line.indent // 2
        before, after = self._near(place, -1), self._near(place, 1)
        if before is not None and before.kind not in ("heading", "furniture"):
            return False
        if place + 1 == len(self._groups) or line.indent >= 24:
            return False
        following = self._groups[place + 1]
        if after is None:  # it stands alone
            return (
                following.shape not in ("page", "head", "separator")
                and content.count("、") == 0
                and not _DATE.match(content)
            )
        if before is not None and before.kind == "heading" and before.shape == "":
            return False
        more = self._lines[after.lines[0]]
        return (
            len(after.lines) > 1
            or ends_sentence(self._text, self._lines[after.lines[-1]])
            or after.shape in STRONG
            or after.shape == "bracketed"
            or more.indent > line.indent
            or more.edge - more.indent > 2 * width
            or bool(more.gaps)
        )

    def _is_row(self, place: int, group: Group) -> bool:
        """Whether a line with wide gaps is a row: it has two, or a neighbour has one as well."""
        if len(group.lines) > 1:
            return False
        gaps = self._lines[group.lines[0]].gaps
        if len(gaps) >= 2:
            return True
        for step in (-1, 1):
            near = self._near(place, step)
            if near is not None and self._lines[near.lines[0]].gaps and len(near.lines) == 1:
                return not ends_sentence(self._text, self._lines[group.lines[0]])
        return False

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
                group.cells = cells_of(self._text, self._lines[group.lines[0]])
                rows.append(group)
        self._settle_head(rows)

    def _settle_head(self, rows: list[Group]) -> None:
        if len(rows) > 2 and is_head(self._text, rows[0].cells, [row.cells for row in rows[1:4]]):
            rows[0].kind = "table-head"

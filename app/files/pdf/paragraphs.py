"""Lines become paragraphs: hard line ends are joined, across columns and pages, where a sentence continues.

Two lines are joined without a space, unless both sides are Latin. This module does not know headings or lists.
"""

from bisect import bisect_right
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal

from app.files.pdf import marks
from app.files.pdf.columns import Placement
from app.files.pdf.geometry import Box
from app.files.pdf.lines import Line, spaced
from app.files.pdf.marks import is_latin
from app.files.pdf.tables import Table, TableRow

HEADING_SIZE = 1.12  # times the body size; smaller differences are noise
_LEAST_OUTSIDE = 0.1  # of the characters in tables: less text outside them does not show the body size
_SAME_SIZE = 1.08
_SHORT_BY = 0.5  # em that a full line may leave free, apart from the word that did not fit on it
_LEADING = 0.45  # em more than between the lines of a paragraph
_INDENT = 0.7  # em
_DEEPEST_FIRST = 6.0  # em by which the first line of a paragraph stands in; a date at the right edge stands further in
_DEEPEST_HANG = 8.0  # em by which the lines after 第１条 or （１） stand in
_EDGE = 1.5  # em, at most, between the ends of full lines
_MOST_OUTLIERS = 2  # lines that end behind the full ones
_LEAST_WIDTH = 0.85  # of the column with the outliers
_LEAST_FULL = 3
_FULL_SHARE = 0.4  # of the lines of a column
_CUT_SHARE = 0.6  # of the lines of a column that are cut
_STEP = 6.0  # points; columns whose edges differ by less have the same edges


@dataclass(slots=True)
class PageLines:
    """The result of page_placements() for a page, with the page's size, and whether the page is a scan."""

    width: float
    height: float
    placements: list[Placement]
    scanned: bool


@dataclass(slots=True)
class PlacedText:
    """Text of joined lines, with a box for each character except spaces."""

    text: str = ""
    boxes: list[Box | None] = field(default_factory=list)
    lines: list[tuple[int, int, int]] = field(default_factory=list)  # start, end and page of each visual line

    def end_line(self) -> None:
        """Keep the line end after the last line: the next line does not continue it."""
        self.text += "\n"
        self.boxes.append(None)

    def add(self, line: Line, page: int) -> None:
        text, boxes = spaced(line)
        last = self.text[-1:]
        if last and last not in "\n-\u2010" and is_latin(last) and is_latin(text[0]):
            self.text += " "
            self.boxes.append(None)
        self.lines.append((len(self.text), len(self.text) + len(text), page))
        self.text += text
        self.boxes += boxes


@dataclass(slots=True)
class Paragraph:
    """Lines that are read in one go; `placed` is their text."""

    placed: PlacedText
    size: float
    bold: bool  # all of it
    lines: list[tuple[Line, Placement]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.placed.text

    @property
    def first_page(self) -> int:
        return self.placed.lines[0][2]

    @property
    def last_page(self) -> int:
        return self.placed.lines[-1][2]

    def add(self, line: Line, placement: Placement, page: int) -> None:
        self.placed.add(line, page)
        self.lines.append((line, placement))
        self.bold = self.bold and all(glyph.bold for glyph in line.glyphs)


@dataclass(slots=True)
class Item:
    """The next item of the text, and the pages on which it begins and ends."""

    kind: Literal["text", "furniture", "note"]
    content: Paragraph | TableRow
    first_page: int
    last_page: int


def ends_early(line: Line, following: Line, edge: float) -> bool:
    """Whether a line of a cell is no wrapped one: the next line's first word had room before the edge of the cell."""
    text = spaced(following)[0]
    if marks.begins_part(text) and marks.ends_sentence(spaced(line)[0]):
        return True
    return _has_room(line, text, edge) and not _centred(line, following)


def body_size(pages: Sequence[PageLines]) -> float:
    """The size of most characters, in half points; those in tables count where nearly all text stands in tables."""
    sizes: Counter[float] = Counter()
    for line, _ in _all_lines(pages):
        sizes[half_points(line.size)] += len(line.glyphs)
    in_tables: Counter[float] = Counter()
    for line in _lines_of_tables(pages):
        in_tables[half_points(line.size)] += len(line.glyphs)
    if sizes.total() < _LEAST_OUTSIDE * in_tables.total():
        sizes += in_tables
    return sizes.most_common(1)[0][0] if sizes else 10.5


def usual_leading(pages: Sequence[PageLines], body: float) -> float:
    """The usual distance between two lines of body text, in em; `body` is its size."""
    gaps = []
    for page in pages:
        for first, second in pairwise(page.placements):
            if not (isinstance(first.item, Line) and isinstance(second.item, Line)):
                continue
            gap = (second.item.over - first.item.flow.after) / body
            same = half_points(first.item.size) == half_points(second.item.size) == body
            if same and 0 <= gap < 2 and first.direction == second.direction:
                gaps.append(gap)
    return median(gaps) if gaps else 0.7


def fit_columns(pages: Sequence[PageLines], furniture: set[tuple[int, int]]) -> None:
    """Let the columns start and end where their text does, without the furniture above and below it."""
    fitted: list[tuple[list[Placement], float, tuple[object, int]]] = []
    cut: dict[tuple[object, int], list[tuple[float, float]]] = defaultdict(list)  # over all pages
    for number, page in enumerate(pages):
        columns: dict[object, list[Placement]] = defaultdict(list)
        for index, placement in enumerate(page.placements):
            if (number, index) not in furniture:
                columns[placement.column].append(placement)
        for placements in columns.values():
            start = min(placement.item.flow.start for placement in placements)
            alike: tuple[object, int] = (placements[0].direction, round(start / _STEP))
            fitted.append((placements, start, alike))
            cut[alike] += _cut_ends([placement.item for placement in placements])
    usual = {alike: _common_end(ends) for alike, ends in cut.items()}
    for placements, start, alike in fitted:
        content = [placement.item for placement in placements]
        end = _common_end(_cut_ends(content)) or usual[alike] or _column_end(content, start)
        for placement in placements:
            placement.start, placement.end = start, end


def _column_end(content: Sequence[Line | Table], start: float) -> float:
    """Where the text of a column ends. A line or two that go a little further do not count: a date, a running head."""
    ends = sorted((item.flow.end for item in content), reverse=True)
    lines = [item for item in content if isinstance(item, Line)]
    for end in ends[: _MOST_OUTLIERS + 1]:
        full = sum(-_EDGE * line.size < line.flow.end - end <= 0 for line in lines)
        if end - start < _LEAST_WIDTH * (ends[0] - start):
            break
        if full >= _LEAST_FULL and full >= _FULL_SHARE * len(lines):
            return end
    return ends[0]


def _cut_ends(content: Sequence[Line | Table]) -> list[tuple[float, float]]:
    """The end and the size of each line of a column that is cut in mid-sentence."""
    return [
        (first.flow.end, first.size)
        for first, second in pairwise(content)
        if isinstance(first, Line) and isinstance(second, Line) and _is_cut(first, second)
    ]


def _common_end(cut: Sequence[tuple[float, float]]) -> float | None:
    """Where the text of a column ends, though its rows and rules go further: there most of its sentences are cut."""
    ends = sorted(cut)
    most, end = 0, 0.0
    for index, (first, size) in enumerate(ends):
        stop = bisect_right(ends, first + _EDGE * size, key=lambda one: one[0])
        if stop - index > most:
            most, end = stop - index, ends[stop - 1][0]
    return end if most >= max(_LEAST_FULL, _CUT_SHARE * len(ends)) else None


def _is_cut(first: Line, second: Line) -> bool:
    """Whether a line is cut in mid-sentence: the next one, right below it, begins as no sentence does."""
    if not 0 <= second.over - first.flow.after < first.size or half_points(first.size) != half_points(second.size):
        return False
    text, after = spaced(first)[0], spaced(second)[0]
    return not marks.begins_part(after) and marks.is_cut(text, after)


def half_points(size: float) -> float:
    return round(2 * size) / 2


def items(
    pages: Sequence[PageLines],
    furniture: set[tuple[int, int]],
    notes: set[tuple[int, int]],
    body: float,
    leading: float,
) -> list[Item]:
    """Everything on all pages in order; `furniture` and `notes` are (page, placement) indices.

    A paragraph that continues on the next page is not cut by the items between its lines: the furniture of a page comes
    before the first paragraph that begins on it, and its footnotes before the paragraph that continues after it.
    """
    joining = _Joining(pages, furniture | notes, body, leading)

    def chosen(page: int, indices: set[tuple[int, int]]) -> list[tuple[int, Placement]]:
        return [(page, placement) for i, placement in enumerate(pages[page].placements) if (page, i) in indices]

    everything = {(page, index) for page in range(len(pages)) for index in range(len(pages[page].placements))}
    text = everything - furniture - notes
    waiting = deque(joining.joined("text", [line for page in range(len(pages)) for line in chosen(page, text)]))
    found: list[Item] = []
    for page in range(len(pages)):
        while waiting and waiting[0].first_page < page:
            found.append(waiting.popleft())
        for line in chosen(page, furniture):
            found += joining.joined("furniture", [line])
        while waiting and waiting[0].last_page == page:
            found.append(waiting.popleft())
        found += joining.joined("note", chosen(page, notes))
    return [*found, *waiting]


def _all_lines(pages: Sequence[PageLines]) -> Iterator[tuple[Line, Placement]]:
    for page in pages:
        for placement in page.placements:
            if isinstance(placement.item, Line):
                yield placement.item, placement


def _lines_of_tables(pages: Sequence[PageLines]) -> Iterator[Line]:
    for page in pages:
        for placement in page.placements:
            if isinstance(placement.item, Table):
                yield from (line for row in placement.item.rows for cell in row.cells for line in cell)


class _Joining:
    """Decides whether a line continues a paragraph, from what is usual in the whole document."""

    def __init__(self, pages: Sequence[PageLines], apart: set[tuple[int, int]], body: float, leading: float) -> None:
        self._body = body
        self._leading = leading
        self._usual_column = _usual_column(pages, apart)

    def joined(
        self, kind: Literal["text", "furniture", "note"], placements: Iterable[tuple[int, Placement]]
    ) -> Iterator[Item]:
        """The paragraphs and rows of the placements, which are given with their page."""
        open_: Paragraph | None = None
        for page, placement in placements:
            item = placement.item
            if open_ is not None and isinstance(item, Line) and self._continues(open_, item, placement, page):
                open_.add(item, placement, page)
                continue
            if open_ is not None:
                yield Item(kind, open_, open_.first_page, open_.last_page)
                open_ = None
            if isinstance(item, Line):
                open_ = Paragraph(PlacedText(), item.size, bold=True)
                open_.add(item, placement, page)
            else:
                yield from (Item(kind, row, page, page) for row in item.rows)
        if open_ is not None:
            yield Item(kind, open_, open_.first_page, open_.last_page)

    def _continues(self, paragraph: Paragraph, line: Line, placement: Placement, page: int) -> bool:
        last, before = paragraph.lines[-1]
        small, large = sorted((last.size, line.size))
        if placement.direction != before.direction or large > _SAME_SIZE * small:
            return False
        if marks.is_contents_line(paragraph.text) or page > paragraph.first_page + 1:
            return False  # over three pages: the furniture of the second one would have no place
        text = spaced(line)[0]
        gap = (line.over - last.flow.after) / line.size
        same_column = page == paragraph.last_page and before.column == placement.column
        if not same_column or gap < -0.5:
            return self._goes_on_elsewhere(paragraph, line, placement, text)
        if gap > self._leading + _LEADING:
            return False
        if paragraph.size >= HEADING_SIZE * self._body and _centred(last, line):
            return True
        if marks.begins_part(text) and (marks.ends_sentence(paragraph.text) or marks.begins_part(paragraph.text)):
            return False
        if len(paragraph.lines) == 1 and _is_set_right(last, before) and _is_set_right(line, placement):
            return False
        return self._is_full(paragraph, text) and _aligned(paragraph, line)

    def _goes_on_elsewhere(self, paragraph: Paragraph, line: Line, placement: Placement, text: str) -> bool:
        """Whether a paragraph continues in the next column or on the next page: only in mid-sentence."""
        return (
            self._is_full(paragraph, text)
            and not marks.ends_sentence(paragraph.text)
            and not marks.begins_part(text)
            and paragraph.size < HEADING_SIZE * self._body
            and line.flow.start - placement.start < _INDENT * line.size
        )

    def _is_full(self, paragraph: Paragraph, next_text: str) -> bool:
        """Whether the last line has no room for the first word of the next line."""
        line, placement = paragraph.lines[-1]
        end = placement.end
        direction, start, usual_end = self._usual_column
        if placement.direction == direction and abs(placement.start - start) < 2 * _STEP:
            end = max(end, usual_end)  # a page of short lines only has a narrow column
        if line.flow.end - end > _EDGE * line.size:  # a row or a date, or text that is wider than the rest
            return marks.is_cut(spaced(line)[0], next_text)
        return not _has_room(line, next_text, end)


def _usual_column(pages: Sequence[PageLines], apart: set[tuple[int, int]]) -> tuple[object, float, float]:
    """The direction, start and end of the column of most lines of the document."""
    found: Counter[tuple[object, int, int]] = Counter()
    for number, page in enumerate(pages):
        for index, placement in enumerate(page.placements):
            if (number, index) not in apart and isinstance(placement.item, Line):
                found[placement.direction, round(placement.start / _STEP), round(placement.end / _STEP)] += 1
    if not found:
        return None, 0.0, 0.0
    (direction, start, end), _ = found.most_common(1)[0]
    return direction, start * _STEP, end * _STEP


def _has_room(line: Line, next_text: str, edge: float) -> bool:
    """Whether a line leaves room before `edge` for the first word of a text."""
    return edge - line.flow.end > (marks.unbreakable_width(next_text) + _SHORT_BY) * line.size


def _aligned(paragraph: Paragraph, line: Line) -> bool:
    """Whether a line starts where the paragraph's lines do; the first one may stand in, or out after a mark."""
    last = paragraph.lines[-1][0]
    indent = (line.flow.start - last.flow.start) / line.size
    if len(paragraph.lines) > 1:
        return abs(indent) < _INDENT
    return -_DEEPEST_FIRST < indent < (_DEEPEST_HANG if marks.begins_part(paragraph.text) else _INDENT)


def _is_set_right(line: Line, placement: Placement) -> bool:
    """Whether a line stands in the right half of its column, as the date and the sender of a letter do."""
    return line.flow.start > (placement.start + placement.end) / 2


def _centred(first: Line, second: Line) -> bool:
    shift = (first.flow.start + first.flow.end - second.flow.start - second.flow.end) / 2
    return abs(shift) < second.size

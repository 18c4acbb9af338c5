"""The lines and tables of a page in reading order: columns of text one after another, tables where they stand.

It works on flow boxes, so columns of vertical text (upper and lower half of a page) are the same as columns of
horizontal text. This module does not know paragraphs or other pages.
"""

from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from app.files.pdf.directions import directions
from app.files.pdf.geometry import Box, Direction, around
from app.files.pdf.glyphs import Glyph, PageContent
from app.files.pdf.lines import Fragment, Line, Placed, fragments, line, rows, without_ruby
from app.files.pdf.recognised import settled
from app.files.pdf.tables import Table, aligned_table, grids, wide_gaps

_GUTTER = 0.9  # em between two columns of text
_LEAST_COLUMN_LINES = 3
_LEAST_COLUMN_WIDTH = 8  # em
_FULL_LINES = 0.5  # of the lines of a column of text reach across most of it
_MOST_OF_COLUMN = 0.7
_USUAL_SIZE = 10.0  # points, where only tables say nothing of the size


@dataclass(slots=True)
class Placement:
    """A line or a table, and its column: where the lines of that column start and end."""

    item: Line | Table
    direction: Direction | None  # None for glyphs turned by no multiple of 90 degrees
    start: float
    end: float

    @property
    def column(self) -> tuple[Direction | None, float, float]:
        return self.direction, self.start, self.end

    @property
    def box(self) -> Box:
        """The box around it, in points from the top left corner of the page."""
        boxes = [glyph.box for line_ in self._lines() for glyph in line_.glyphs]
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        return Box(min(lefts), min(tops), max(rights), max(bottoms))

    def _lines(self) -> list[Line]:
        if isinstance(self.item, Line):
            return [self.item]
        return [line_ for row in self.item.rows for cell in row.cells for line_ in cell]


def page_placements(content: PageContent) -> list[Placement]:
    """The lines and tables of a page in reading order.

    Text in the direction of most glyphs is one piece. Text in another direction that stands higher on the page comes
    before it, and all other text after it.
    """
    groups: dict[Direction | None, list[tuple[Glyph, str]]] = {}
    for glyph, direction, space in _visible(settled(content.glyphs)):
        groups.setdefault(direction, []).append((glyph, space))
    skew = groups.pop(None, [])
    if not groups:
        return _skew_placements(skew)
    main = max(groups, key=lambda direction: len(groups[direction]) if direction else 0)
    found = {
        direction: _flow_placements(direction, group, content.rules) for direction, group in groups.items() if direction
    }
    body = found.pop(main) if main else []
    top = min(placement.box.top for placement in body)
    others = [placement for placements in found.values() for placement in placements]
    above = [placement for placement in others if placement.box.top <= top]
    below = [placement for placement in others if placement.box.top > top]
    return [*above, *body, *below, *_skew_placements(skew)]


def _visible(glyphs: Sequence[Glyph]) -> Iterable[tuple[Glyph, Direction | None, str]]:
    """The glyphs that are no white space, each with its direction and the white space before it."""
    visible: list[tuple[Glyph, str]] = []
    space = ""
    for glyph in glyphs:
        if glyph.text.isspace():
            space = "\u3000" if glyph.text == "\u3000" else space or " "
        else:
            visible.append((glyph, space))
            space = ""
    ways = directions([glyph for glyph, _ in visible])
    return [(glyph, way, before) for (glyph, before), way in zip(visible, ways, strict=True)]


def _flow_placements(
    direction: Direction, glyphs: Iterable[tuple[Glyph, str]], rules: Iterable[Box]
) -> list[Placement]:
    found_grids = grids(direction.flow(rule) for rule in rules)
    free: list[Placed] = []
    for glyph, space in glyphs:
        placed = Placed(glyph.text, glyph.size, glyph.bold, glyph.box, direction.flow(glyph.box), space)
        if not any(grid.take(placed) for grid in found_grids):
            free.append(placed)
    tables = [grid.table() for grid in found_grids if grid.glyphs]
    parts: list[Fragment | Table] = [*without_ruby(fragments(free)), *tables]
    return [
        Placement(item, direction, start, end) for column in _columns(parts) for item, start, end in _in_column(column)
    ]


def _skew_placements(glyphs: Iterable[tuple[Glyph, str]]) -> list[Placement]:
    """Turned text, such as a watermark, as one line in the order of the file."""
    placed = [
        Placed(glyph.text, glyph.size, glyph.bold, glyph.box, Direction.RIGHT.flow(glyph.box), space)
        for glyph, space in glyphs
    ]
    if not placed:
        return []
    flow = around(glyph.flow for glyph in placed)
    size = median(glyph.size for glyph in placed)
    return [Placement(Line(placed, flow, size, flow.before), None, flow.start, flow.end)]


def _columns(parts: Sequence[Fragment | Table]) -> list[list[Fragment | Table]]:
    """Cut the content of a page into columns, in reading order.

    Lines are taken together as long as they leave the same gutter free; a heading or a table across the page ends the
    columns above it.
    """
    bands = [_Band(band) for band in _bands(parts)]
    found: list[list[Fragment | Table]] = []
    at = 0
    while at < len(bands):
        stop, gutter = _columns_from(bands, at)
        here = [part for band in bands[at:stop] for part in band.parts]
        if gutter is None:
            if found and not _is_split(found[-1]):
                found[-1] += here
            else:
                found.append(here)
        else:
            before = [part for part in here if part.flow.end <= gutter]
            after = [part for part in here if part.flow.end > gutter]
            found += [_Split(column) for side in (before, after) for column in _columns(side)]
        at = stop
    return found


class _Split(list[Fragment | Table]):
    """A column that has another one next to it."""


def _is_split(column: list[Fragment | Table]) -> bool:
    return isinstance(column, _Split)


def _bands(parts: Sequence[Fragment | Table]) -> list[list[Fragment | Table]]:
    """Parts in groups between which a straight line across the page can be drawn."""
    bands: list[list[Fragment | Table]] = []
    reach = 0.0
    for part in sorted(parts, key=lambda part: part.flow.before):
        if bands and part.flow.before < reach - 0.2 * (part.flow.after - part.flow.before):
            bands[-1].append(part)
            reach = max(reach, part.flow.after)
        else:
            bands.append([part])
            reach = part.flow.after
    return bands


@dataclass(frozen=True, slots=True)
class _Side:
    """What stands on one side of a gap: its lines, the sizes of its text, and the extent along the line.

    The extent only grows, so a line that is not full now is never full later, and only its number is kept.
    """

    lines: int = 0
    full: tuple[float, ...] = ()  # of lines that may be full: points that are covered by text, gaps left out
    sizes: tuple[tuple[float, ...], ...] = ()  # of each band
    start: float = float("inf")
    end: float = float("-inf")

    @classmethod
    def of(cls, parts: Sequence[Fragment | Table]) -> "_Side":
        """The side of a gap in one band."""
        if not parts:
            return cls()
        texts = [part for part in parts if isinstance(part, Fragment)]
        extent = around(part.flow for part in parts)
        covered = (*(sum(part.flow.end - part.flow.start for part in row) for row in rows(texts)),)
        return cls(len(covered), covered, ((*(part.size for part in texts),),), extent.start, extent.end)

    def plus(self, other: "_Side") -> "_Side":
        """This side with that of one band more."""
        start, end = min(self.start, other.start), max(self.end, other.end)
        least = _MOST_OF_COLUMN * (end - start)
        full = (*(line_ for line_ in self.full + other.full if line_ >= least),)
        return _Side(self.lines + other.lines, full, self.sizes + other.sizes, start, end)

    @property
    def is_running_text(self) -> bool:
        """Whether most lines are full; the cells of a table are shorter than their column, and leave gaps."""
        width = self.end - self.start
        full = sum(line_ >= _MOST_OF_COLUMN * width for line_ in self.full)
        if self.lines < _LEAST_COLUMN_LINES or full < _FULL_LINES * self.lines:
            return False
        return width >= _LEAST_COLUMN_WIDTH * median(chain.from_iterable(self.sizes))


@dataclass(frozen=True, slots=True)
class _Gap:
    """A range that all bands so far leave free. One inside the page knows what stands before and after it."""

    low: float = float("-inf")
    high: float = float("inf")
    before: _Side = _Side()
    after: _Side = _Side()

    @property
    def is_inside(self) -> bool:
        """Whether something can stand on both sides: most gaps are the margins of the page."""
        return self.low > float("-inf") and self.high < float("inf")

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    def within(self, low: float, high: float, bands: Sequence["_Band"]) -> "_Gap":
        """The part of this gap, which all but the last of `bands` leave free, that the last one leaves free too."""
        low, high = max(self.low, low), min(self.high, high)
        before, after = self.before, self.after
        if low > float("-inf") and high < float("inf"):
            for band in bands[-1:] if self.is_inside else bands:
                band_before, band_after = band.sides((low + high) / 2)
                before, after = before.plus(band_before), after.plus(band_after)
        return _Gap(low, high, before, after)

    @property
    def parts_columns(self) -> bool:
        return self.is_inside and self.before.is_running_text and self.after.is_running_text


class _Band:
    """One band of parts: its free ranges, and its two sides of a place, each found once."""

    def __init__(self, parts: Sequence[Fragment | Table]) -> None:
        self.parts = parts
        self.gaps = _gaps(parts)
        self.sizes = [part.size for part in parts if isinstance(part, Fragment)]
        self.is_table = len(parts) == 1 and isinstance(parts[0], Table)
        self._sides: dict[int, tuple[_Side, _Side]] = {}

    def sides(self, place: float) -> tuple[_Side, _Side]:
        """What stands before and after a place in a gap."""
        before = [part for part in self.parts if part.flow.end <= place]
        if len(before) not in self._sides:
            after = [part for part in self.parts if part.flow.end > place]
            self._sides[len(before)] = _Side.of(before), _Side.of(after)
        return self._sides[len(before)]


def _columns_from(bands: Sequence[_Band], at: int) -> tuple[int, float | None]:
    """How many bands from `at` on are text in columns, and where their gutter is; or one band, and None."""
    best: tuple[int, float | None] = (at + 1, None)
    gaps = [_Gap()]
    sizes: list[float] = []  # in order, so that each median is at hand
    for stop in range(at, len(bands)):
        band = bands[stop]
        if band.is_table:
            break
        for size in band.sizes:
            insort(sizes, size)
        least = _GUTTER * (_middle(sizes) if sizes else _USUAL_SIZE)
        seen = bands[at : stop + 1]
        gaps = [gap.within(low, high, seen) for gap, low, high in _shared(gaps, band.gaps, least)]
        if not gaps:
            break
        for gap in gaps:
            if gap.parts_columns:
                best = (stop + 1, gap.middle)
    return best


def _shared(
    gaps: Sequence[_Gap], free: Sequence[tuple[float, float]], least: float
) -> Iterable[tuple[_Gap, float, float]]:
    """Each gap with each free range of which it shares at least so much. Both stand in order and do not overlap."""
    first = 0
    for gap in gaps:
        while first < len(free) and free[first][1] <= gap.low:
            first += 1
        for low, high in free[first:]:
            if low >= gap.high:
                break
            if min(gap.high, high) - max(gap.low, low) >= least:
                yield gap, low, high


def _middle(values: Sequence[float]) -> float:
    """The median of values in order."""
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _gaps(band: Sequence[Fragment | Table]) -> list[tuple[float, float]]:
    """The free ranges of a band, from the far left to the far right of the page."""
    gaps = []
    reach = float("-inf")
    for part in sorted(band, key=lambda part: part.flow.start):
        if part.flow.start > reach:
            gaps.append((reach, part.flow.start))
        reach = max(reach, part.flow.end)
    return [*gaps, (reach, float("inf"))]


def _in_column(parts: Sequence[Fragment | Table]) -> Iterable[tuple[Line | Table, float, float]]:
    """The lines and tables of one column in order, each with the start and end of the column."""
    extent = around(part.flow for part in parts)
    texts = rows(part for part in parts if isinstance(part, Fragment))
    items: list[Line | Table] = [part for part in parts if isinstance(part, Table)]
    for group in _aligned_groups(texts):
        table = aligned_table(group)
        items += [table] if table else [line(row) for row in group]
    items.sort(key=lambda item: item.flow.before)
    return [(item, extent.start, extent.end) for item in items]


def _aligned_groups(texts: Sequence[list[Fragment]]) -> list[list[list[Fragment]]]:
    """Lines in groups: those in a row that have wide gaps together, every other line alone."""
    groups: list[list[list[Fragment]]] = []
    for row in texts:
        if groups and wide_gaps(row) and wide_gaps(groups[-1][-1]) and _near(groups[-1][-1], row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _near(first: Sequence[Fragment], second: Sequence[Fragment]) -> bool:
    em = max(part.size for part in (*first, *second))
    return min(part.flow.before for part in second) - max(part.flow.after for part in first) < 2 * em

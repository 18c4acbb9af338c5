"""Tables on a page: grids of ruled lines, and rows of fragments that stand below each other.

All places are flow boxes: in vertical writing the rows of a table follow from right to left. This module does not know
pages.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from app.files.pdf.geometry import FlowBox, around
from app.files.pdf.lines import Fragment, Line, Placed, fragments, line, rows, spaced, without_ruby
from app.text.tables import is_head

_TOLERANCE = 2.5  # points, at most, between the ends of two rules that meet
_LEAST_ALIGNED_ROWS = 2
_COLUMN_GAP = 1.5  # em between the cells of a row without rules


@dataclass(slots=True)
class TableRow:
    """A row: the lines of each cell, none for an empty cell or one that a cell above it reaches into."""

    cells: list[list[Line]]
    flow: FlowBox
    head: bool = False


@dataclass(slots=True)
class Table:
    rows: list[TableRow]
    flow: FlowBox

    def __post_init__(self) -> None:
        """Mark the first row if it names the columns."""
        text = ""
        spans: list[list[tuple[int, int]]] = []
        for row in self.rows:
            spans.append([])
            for cell in row.cells:
                start = len(text)
                text += "".join(spaced(line_)[0] for line_ in cell)
                spans[-1].append((start, len(text)))
        self.rows[0].head = is_head(text, tuple(spans[0]), [tuple(row) for row in spans[1:]])


@dataclass(slots=True)
class Grid:
    """Ruled lines that meet: the positions of lines across (`befores`) and along the rows (`starts`), in order."""

    starts: list[float]
    befores: list[float]
    across: list[FlowBox]  # rules that run from start to end
    along: list[FlowBox]  # rules that run from before to after
    glyphs: dict[tuple[int, int], list[Placed]] = field(default_factory=dict)  # by row and column

    @property
    def flow(self) -> FlowBox:
        return FlowBox(self.starts[0], self.starts[-1], self.befores[0], self.befores[-1])

    def take(self, glyph: Placed) -> bool:
        """Put a glyph into its cell; False for a glyph outside the grid."""
        along = (glyph.flow.start + glyph.flow.end) / 2
        column = bisect_right(self.starts, along) - 1
        row = bisect_right(self.befores, glyph.flow.middle) - 1
        if not (0 <= column < len(self.starts) - 1 and 0 <= row < len(self.befores) - 1):
            return False
        self.glyphs.setdefault((row, column), []).append(glyph)
        return True

    def table(self) -> Table:
        """The table of the glyphs taken. A cell that spans several rows or columns stands where it begins."""
        owner = self._owners()
        cells: dict[tuple[int, int], list[Placed]] = {}
        for place, glyphs in sorted(self.glyphs.items()):
            cells.setdefault(owner[place], []).extend(glyphs)
        table_rows = []
        for row in range(len(self.befores) - 1):
            own = [owner[row, column] for column in range(len(self.starts) - 1)]
            places = list(dict.fromkeys(own))  # a cell over several columns once
            texts = [cell_lines(cells.get(place, [])) if place[0] == row else [] for place in places]
            flow = FlowBox(self.starts[0], self.starts[-1], self.befores[row], self.befores[row + 1])
            if any(texts):
                table_rows.append(TableRow(texts, flow))
        return Table(table_rows, self.flow)

    def _owners(self) -> dict[tuple[int, int], tuple[int, int]]:
        """For each square of the grid the first square of its cell: those without a rule between them are one cell."""
        upright = _extents(self.starts, [((rule.start + rule.end) / 2, rule.before, rule.after) for rule in self.along])
        level = _extents(self.befores, [(rule.middle, rule.start, rule.end) for rule in self.across])
        owner: dict[tuple[int, int], tuple[int, int]] = {}
        for row, (before, after) in enumerate(pairwise(self.befores)):
            for column, (start, end) in enumerate(pairwise(self.starts)):
                if column and not _reach(upright[column], (before + after) / 2):
                    owner[row, column] = owner[row, column - 1]
                elif row and not _reach(level[row], (start + end) / 2):
                    owner[row, column] = owner[row - 1, column]
                else:
                    owner[row, column] = (row, column)
        return owner


def grids(rules: Iterable[FlowBox]) -> list[Grid]:
    """The grids of at least two columns that rules form by meeting each other."""
    across: list[FlowBox] = []
    along: list[FlowBox] = []
    for rule in rules:
        (across if rule.end - rule.start >= rule.after - rule.before else along).append(rule)
    found = []
    for group in _connected(across, along):
        rules_across, rules_along = group
        if not rules_along:
            continue
        # A table may be open at its sides: the ends of the rules bound its outer cells.
        ends = [min(rule.start for rule in rules_across), max(rule.end for rule in rules_across)]
        sides = [min(rule.before for rule in rules_along), max(rule.after for rule in rules_along)]
        starts = _positions([*((rule.start + rule.end) / 2 for rule in rules_along), *ends])
        befores = _positions([*(rule.middle for rule in rules_across), *sides])
        if len(starts) > 2 and len(befores) > 1:  # one column is a frame around text
            found.append(Grid(starts, befores, *group))
    return found


def cell_lines(glyphs: Sequence[Placed]) -> list[Line]:
    return [line(row) for row in rows(without_ruby(fragments(glyphs)))]


def aligned_table(lines_: Sequence[Sequence[Fragment]]) -> Table | None:
    """The table that rows of fragments form, with columns that fit all rows; None if they form no table."""
    if len(lines_) < _LEAST_ALIGNED_ROWS:
        return None
    bands = _column_bands([part for row in lines_ for part in row])
    if len(bands) < 2:
        return None
    table_rows = []
    for row in lines_:
        cells: list[list[Fragment]] = [[] for _ in bands]
        for part in row:
            cells[bisect_right([start for start, _ in bands], part.flow.start) - 1].append(part)
        flow = around(part.flow for part in row)
        table_rows.append(TableRow([[line(cell)] if cell else [] for cell in cells], flow))
    return Table(table_rows, around(row.flow for row in table_rows))


def wide_gaps(row: Sequence[Fragment]) -> bool:
    """Whether a line of fragments looks like the cells of a row."""
    return any(
        second.flow.start - first.flow.end >= _COLUMN_GAP * max(first.size, second.size)
        for first, second in pairwise(row)
    )


def _column_bands(parts: Sequence[Fragment]) -> list[tuple[float, float]]:
    """The ranges along the line that fragments take up, with gaps as wide as those between columns."""
    bands: list[tuple[float, float]] = []
    em = max(part.size for part in parts)
    for part in sorted(parts, key=lambda part: part.flow.start):
        if bands and part.flow.start - bands[-1][1] < _COLUMN_GAP * em / 2:
            bands[-1] = (bands[-1][0], max(bands[-1][1], part.flow.end))
        else:
            bands.append((part.flow.start, part.flow.end))
    return bands


def _positions(values: Iterable[float]) -> list[float]:
    """Values in order; values closer together than the tolerance become one."""
    found: list[float] = []
    for value in sorted(values):
        if not found or value - found[-1] > 2 * _TOLERANCE:
            found.append(value)
    return found


def _extents(
    positions: Sequence[float], rules: Iterable[tuple[float, float, float]]
) -> list[list[tuple[float, float]]]:
    """For each position the ranges of the rules at it. A rule is a position and a range."""
    found: list[list[tuple[float, float]]] = [[] for _ in positions]
    for position, low, high in rules:
        index = min(bisect_right(positions, position + 2 * _TOLERANCE), len(positions)) - 1
        found[index].append((low - _TOLERANCE, high + _TOLERANCE))
    return found


def _reach(ranges: Iterable[tuple[float, float]], at: float) -> bool:
    return any(low <= at <= high for low, high in ranges)


def _connected(across: list[FlowBox], along: list[FlowBox]) -> list[tuple[list[FlowBox], list[FlowBox]]]:
    """Groups of rules that meet, directly or through others, each as the rules across and those along the rows."""
    unseen_across, unseen_along = set(range(len(across))), set(range(len(along)))
    groups = []
    while unseen_across:
        found_across: list[int] = [unseen_across.pop()]
        found_along: list[int] = []
        pending = [(0, found_across[0])]
        while pending:
            kind, index = pending.pop()
            rule = (along if kind else across)[index]
            others, unseen = (across, unseen_across) if kind else (along, unseen_along)
            met = [other for other in unseen if _meet(rule, others[other])]
            unseen.difference_update(met)
            (found_across if kind else found_along).extend(met)
            pending += [(1 - kind, other) for other in met]
        groups.append(([across[index] for index in found_across], [along[index] for index in found_along]))
    return groups


def _meet(first: FlowBox, second: FlowBox) -> bool:
    return (
        first.start <= second.end + _TOLERANCE
        and second.start <= first.end + _TOLERANCE
        and first.before <= second.after + _TOLERANCE
        and second.before <= first.after + _TOLERANCE
    )

"""The direction of each glyph of a page: across, down (vertical Japanese), or turned.

An upright glyph may belong to horizontal or vertical text; the place of the next glyph in the file decides. This
module does not know lines or columns.
"""

from collections.abc import Sequence
from itertools import pairwise

from app.files.pdf.geometry import Direction
from app.files.pdf.glyphs import SKEW, Glyph

_TURNED = {90: Direction.DOWN, 180: Direction.LEFT, 270: Direction.UP}
_NEAR = 2.2  # em between the centres of two glyphs that follow each other
_ALIGNED = 0.35  # em by which their centres may be off the line
_SAME_SIZE = 0.75
_LEAST_VERTICAL_RUN = 4  # glyphs: a column of a table with one character a row is not vertical writing
_COLUMN_GAP = 0.3  # em, more than between digits that are set side by side
_LONGEST_UPRIGHT = 1.6  # em: digits set side by side in vertical text (tate-chu-yoko) are no wider


def directions(glyphs: Sequence[Glyph]) -> list[Direction | None]:
    """The direction of each glyph; None for one that is turned by no multiple of 90 degrees, as in a watermark."""
    steps = [_step(first, second) for first, second in pairwise(glyphs)]  # (n - 1)
    vertical = steps.count(Direction.DOWN) > steps.count(Direction.RIGHT)
    found = [_TURNED.get(glyph.angle, None if glyph.angle == SKEW else Direction.RIGHT) for glyph in glyphs]
    if vertical:
        _write_down(glyphs, steps, found)
    else:
        _find_vertical_runs(glyphs, steps, found)
    return found


def _step(first: Glyph, second: Glyph) -> Direction | None:
    """The way from one glyph to the next in the file; None where they do not follow each other, as ruby and base."""
    if min(first.size, second.size) < _SAME_SIZE * max(first.size, second.size):
        return None
    if first.angle or second.angle:
        return Direction.DOWN if first.angle in (0, 90) and second.angle in (0, 90) and _below(first, second) else None
    em = max(first.size, second.size)
    right = (second.box.left + second.box.right - first.box.left - first.box.right) / 2
    down = (second.box.top + second.box.bottom - first.box.top - first.box.bottom) / 2
    if abs(down) < _ALIGNED * em and 0 < right < _NEAR * em:
        return Direction.RIGHT
    return Direction.DOWN if _below(first, second) else None


def _below(first: Glyph, second: Glyph) -> bool:
    em = max(first.size, second.size)
    right = (second.box.left + second.box.right - first.box.left - first.box.right) / 2
    down = (second.box.top + second.box.bottom - first.box.top - first.box.bottom) / 2
    return abs(right) < _ALIGNED * em and 0 < down < _NEAR * em


def _write_down(glyphs: Sequence[Glyph], steps: Sequence[Direction | None], found: list[Direction | None]) -> None:
    """On a vertical page all upright glyphs run down, except for runs to the right that are longer than digit pairs."""
    start = 0
    for end in range(1, len(glyphs) + 1):
        if end < len(glyphs) and steps[end - 1] is Direction.RIGHT and not _begins_a_column(glyphs, steps, end):
            continue
        run = glyphs[start:end]
        width = run[-1].box.right - run[0].box.left
        joined = (start > 0 and steps[start - 1] is Direction.DOWN) or (
            end < len(glyphs) and steps[end - 1] is Direction.DOWN
        )
        across = len(run) > 1 and (width > _LONGEST_UPRIGHT * run[0].size or not joined)
        for index in range(start, end):
            if glyphs[index].angle == 0 and not across:
                found[index] = Direction.DOWN
        start = end


def _begins_a_column(glyphs: Sequence[Glyph], steps: Sequence[Direction | None], index: int) -> bool:
    """Whether a glyph at the right of another is the first of a column, next to a column of one glyph."""
    gap = glyphs[index].box.left - glyphs[index - 1].box.right
    return index < len(steps) and steps[index] is Direction.DOWN and gap > _COLUMN_GAP * glyphs[index].size


def _find_vertical_runs(
    glyphs: Sequence[Glyph], steps: Sequence[Direction | None], found: list[Direction | None]
) -> None:
    """On a horizontal page: upright glyphs that follow each other downwards, closer than lines do, run down."""
    start = 0
    for end in range(1, len(glyphs) + 1):
        if end < len(glyphs) and steps[end - 1] is Direction.DOWN and _touching(glyphs[end - 1], glyphs[end]):
            continue
        if end - start >= _LEAST_VERTICAL_RUN:
            for index in range(start, end):
                if glyphs[index].angle == 0:
                    found[index] = Direction.DOWN
        start = end


def _touching(first: Glyph, second: Glyph) -> bool:
    return second.box.top - first.box.bottom < 0.35 * max(first.size, second.size)

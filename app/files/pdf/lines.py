"""Lines of text made of glyphs: fragments, ruby, the spaces between glyphs.

A fragment is a run of glyphs without a wide gap; a line is one or more fragments that stand next to each other. All
places are flow boxes, so this works alike for horizontal and vertical text. This module does not know columns, tables
or pages.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from app.files.pdf.geometry import Box, FlowBox, around
from app.files.pdf.marks import is_latin

RUBY_SIZE = 0.7  # of the base text, at most: half as a rule, two thirds where LibreOffice sets it over 9 points
_SAME_SIZE = 0.75
_SAME_LINE = 0.5  # of the thinner line
_WIDE_GAP = 1.3  # em; a full-width space in a justified line is less
_LATIN_GAP = 0.18  # em between two Latin words of a file that has no space characters
_WORD_GAP = 0.45  # em, on top of what justification puts between all glyphs of the line
_FULL_WIDTH_GAP = 0.75
_EMPHASIS_MARKS = frozenset("﹅﹆●○◉◎•◦·・﹒▲△★☆")


@dataclass(slots=True)
class Placed:
    """A glyph and its place in the flow of its line."""

    text: str
    size: float
    bold: bool
    box: Box
    flow: FlowBox
    space: str = ""  # the white space that the file has before it
    ruby: tuple[float, float] | None = None  # start and end of the ruby over it, which may push its neighbours away

    @property
    def reach(self) -> tuple[float, float]:
        """Start and end of its room on the line."""
        start, end = self.ruby or (self.flow.start, self.flow.end)
        return min(start, self.flow.start), max(end, self.flow.end)


@dataclass(slots=True)
class Fragment:
    """Glyphs in order, without a wide gap between them."""

    glyphs: list[Placed]
    flow: FlowBox
    size: float
    over: float  # flow.before, or the top of the ruby that stands over it

    @property
    def text(self) -> str:
        return "".join(glyph.text for glyph in self.glyphs)


@dataclass(slots=True)
class Line:
    """One visual line of one column."""

    glyphs: list[Placed]
    flow: FlowBox
    size: float
    over: float  # as of a fragment
    spaced: tuple[str, list[Box | None]] | None = None  # the result of `spaced`, which several steps ask for


def fragments(glyphs: Iterable[Placed]) -> list[Fragment]:
    """Cut glyphs, in the order of the file, where the next one does not follow the last."""
    found: list[list[Placed]] = []
    extent = FlowBox(0, 0, 0, 0)
    for glyph in glyphs:
        if found and _follows(found[-1][-1], extent, glyph):
            found[-1].append(glyph)
            extent = around((extent, glyph.flow))
        else:
            found.append([glyph])
            extent = glyph.flow
    return [_fragment(group) for group in found]


def _fragment(glyphs: list[Placed]) -> Fragment:
    flow = around(glyph.flow for glyph in glyphs)
    return Fragment(glyphs, flow, median(glyph.size for glyph in glyphs), flow.before)


def without_ruby(parts: Sequence[Fragment]) -> list[Fragment]:
    """Drop ruby and emphasis marks: small kana or marks right before (above, or right of) larger text."""
    kept: list[Fragment] = []
    for part in parts:
        bases = [base for base in parts if _stands_over(part, base)] if _may_be_ruby(part) else []
        if not bases:
            kept.append(part)
        for base in bases:
            base.over = min(base.over, part.flow.before)
            for glyph in base.glyphs:
                if _over(part.flow, glyph.flow):
                    glyph.ruby = part.flow.start, part.flow.end
    return kept


def rows(parts: Iterable[Fragment]) -> list[list[Fragment]]:
    """Fragments that stand on the same line together, lines in order, the fragments of a line from start to end."""
    found: list[list[Fragment]] = []
    extent, largest = FlowBox(0, 0, 0, 0), 0.0  # of the largest fragment of the last row
    for part in sorted(parts, key=lambda part: (part.flow.middle, part.flow.start)):
        if found and extent.overlap(part.flow) >= _SAME_LINE:
            found[-1].append(part)
        else:
            found.append([part])
            largest = 0.0
        if part.size > largest:
            extent, largest = part.flow, part.size
    return [sorted(row, key=lambda part: part.flow.start) for row in found]


def line(parts: Sequence[Fragment]) -> Line:
    """One line of all the glyphs of `parts`."""
    glyphs: list[Placed] = []
    for glyph in sorted((glyph for part in parts for glyph in part.glyphs), key=_along):
        if not (glyphs and _repeats(glyphs[-1], glyph)):
            glyphs.append(glyph)
    over = min(part.over for part in parts)
    return Line(_upright_in_order(glyphs), around(part.flow for part in parts), max(part.size for part in parts), over)


def spaced(line_: Line) -> tuple[str, list[Box | None]]:
    """The text of a line with the spaces a reader sees, and the box of each character; None for a space."""
    if line_.spaced is not None:
        return line_.spaced
    usual = _usual_gap(line_)
    text: list[str] = []
    boxes: list[Box | None] = []
    last: Placed | None = None
    for glyph in line_.glyphs:
        space = _space(last, glyph, usual) if last else ""
        text += [space, glyph.text]
        boxes += [None] * len(space) + [glyph.box] * len(glyph.text)
        last = glyph
    line_.spaced = "".join(text), boxes
    return line_.spaced


def _follows(last: Placed, extent: FlowBox, glyph: Placed) -> bool:
    """Whether a glyph continues the fragment that ends with `last` and takes up `extent`."""
    small, large = sorted((last.size, glyph.size))
    gap = glyph.flow.start - last.flow.end
    near = -0.6 * large <= gap <= _WIDE_GAP * large or _next_to(last, glyph)
    return near and small >= _SAME_SIZE * large and extent.overlap(glyph.flow) >= _SAME_LINE


def _repeats(last: Placed, glyph: Placed) -> bool:
    """Whether a glyph is drawn a second time almost where it stands: bold type made of two strokes, or a shadow."""
    if last.text != glyph.text:
        return False
    return max(abs(a - b) for a, b in zip(last.flow, glyph.flow, strict=True)) < 0.1 * glyph.size


def _is_ruby_character(character: str) -> bool:
    return "\u3041" <= character <= "\u30ff" or "\uff66" <= character <= "\uff9f" or character in _EMPHASIS_MARKS


def _may_be_ruby(part: Fragment) -> bool:
    return all(map(_is_ruby_character, part.text))


def _stands_over(part: Fragment, base: Fragment) -> bool:
    """Whether `part` is small and stands right before the line of `base`, over a character of it that has a reading."""
    gap = base.flow.before - part.flow.after
    if part.size > RUBY_SIZE * base.size or not -0.5 * part.size <= gap <= 0.9 * part.size:
        return False
    marks = part.text[0] in _EMPHASIS_MARKS
    return any(
        _over(part.flow, glyph.flow) and (marks or not _is_ruby_character(glyph.text[0])) for glyph in base.glyphs
    )


def _over(ruby: FlowBox, base: FlowBox) -> bool:
    return ruby.start < base.end and ruby.end > base.start


def _along(glyph: Placed) -> float:
    return (glyph.flow.start + glyph.flow.end) / 2


def _upright_in_order(glyphs: list[Placed]) -> list[Placed]:
    """Digits side by side in a vertical line have the same place along it; they are read from left to right."""
    ordered: list[Placed] = []
    for glyph in glyphs:
        at = len(ordered)
        while at and _next_to(ordered[at - 1], glyph) and glyph.box.left < ordered[at - 1].box.left:
            at -= 1
        ordered.insert(at, glyph)
    return ordered


def _next_to(first: Placed, second: Placed) -> bool:
    """Whether two glyphs of a vertical line stand next to each other across it."""
    shared = min(first.flow.end, second.flow.end) - max(first.flow.start, second.flow.start)
    apart = first.flow.before >= second.flow.after - 0.2 or second.flow.before >= first.flow.after - 0.2
    return apart and shared > 0.5 * (second.flow.end - second.flow.start)


def _usual_gap(line_: Line) -> float:
    """Points that justification puts between the full-width characters of a line; 0 if it is unknown."""
    gaps = [
        second.flow.start - first.flow.end
        for first, second in pairwise(line_.glyphs)
        if not is_latin(first.text[-1]) and not is_latin(second.text[0])
    ]
    return max(0.0, median(gaps)) if len(gaps) >= 4 else 0.0


def _space(last: Placed, glyph: Placed, usual: float) -> str:
    """The white space between two glyphs of a line."""
    em = max(last.size, glyph.size)
    gap = (glyph.reach[0] - last.reach[1]) / em
    if is_latin(last.text[-1]) and is_latin(glyph.text[0]):
        if _next_to(last, glyph):
            return ""
        return " " if glyph.space or gap > _LATIN_GAP else ""
    if glyph.space:
        return glyph.space if gap > _LATIN_GAP else ""
    gap -= usual / em
    if gap < _WORD_GAP:
        return ""
    return "\u3000" if gap >= _FULL_WIDTH_GAP else " "

"""Text that a program recognised on a scan and laid over it, unseen, so that it can be searched.

Tesseract writes a space after each of its words, and its words of Japanese are one or two characters. The order of its
words is right, and their places are rough: they overlap, or leave gaps inside a word. This module does not know lines.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.files.pdf.geometry import Direction
from app.files.pdf.glyphs import Glyph
from app.files.pdf.marks import is_latin
from app.text.characters import CLOSERS, COMMAS, FULL_STOPS, OPENERS

_DIRECTIONS = {0: Direction.RIGHT, 90: Direction.DOWN, 180: Direction.LEFT, 270: Direction.UP}
_SAME_LINE = 0.5  # of the thinner glyph
_ROUGH = 4.0  # em by which a glyph may begin before the end of the glyph in front of it
_GAP = 1.3  # em; the gap that a full-width space leaves is wider
_LONGEST_GAP = 2.0  # before punctuation, which no space precedes; between cells it is wider
_NO_SPACE_BEFORE = frozenset(CLOSERS + COMMAS + FULL_STOPS)


def settled(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """The glyphs of a page, the recognised ones without spaces between Japanese words and without small gaps.

    A recognised glyph begins at the end of the one before it on its line, or where it is if that is far away.
    """
    if not any(glyph.recognised for glyph in glyphs):
        return list(glyphs)
    found: list[Glyph] = []
    for glyph in _without_spaces(glyphs):
        if found and found[-1].recognised and glyph.recognised and found[-1].angle == glyph.angle:
            found[-1], glyph = _joined(found[-1], glyph)
        found.append(glyph)
    return found


def _without_spaces(glyphs: Sequence[Glyph]) -> Iterable[Glyph]:
    """Spaces stay in other text, and between two Latin words."""
    for index, glyph in enumerate(glyphs):
        is_space = glyph.recognised and glyph.text.isspace()
        if not is_space or (0 < index < len(glyphs) - 1 and _parts_words(glyphs[index - 1], glyphs[index + 1])):
            yield glyph


def _parts_words(first: Glyph, second: Glyph) -> bool:
    """Whether a space parts two Latin words: `Open Day`, and not `( 1 )` or `17, 600`."""
    before, after = first.text[-1], second.text[0]  # a ligature has several characters
    if not is_latin(before) or not is_latin(after) or before in OPENERS or after in _NO_SPACE_BEFORE:
        return False
    return not (before in COMMAS + FULL_STOPS and after.isdigit())


def _joined(last: Glyph, glyph: Glyph) -> tuple[Glyph, Glyph]:
    """Two glyphs that follow each other in the file, without overlap or gap if they stand on one line."""
    direction = _DIRECTIONS.get(glyph.angle)
    if direction is None:
        return last, glyph
    before, flow = direction.flow(last.box), direction.flow(glyph.box)
    gap = flow.start - before.end
    longest = _LONGEST_GAP if glyph.text[0] in _NO_SPACE_BEFORE else _GAP
    if before.overlap(flow) < _SAME_LINE or not -_ROUGH * glyph.size < gap < longest * glyph.size:
        return last, glyph
    if gap > 0:
        return replace(last, box=direction.box(before._replace(end=flow.start))), glyph
    return last, replace(glyph, box=direction.box(flow._replace(start=flow.start - gap, end=flow.end - gap)))

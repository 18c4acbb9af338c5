"""The lines of a text: where the visible part of each begins and ends, and how wide it is on paper.

Widths are in half-width columns: あ takes two, a and ｱ take one. This module does not know the meaning of a line.
"""

import re
from dataclasses import dataclass

import numpy as np

from app.text.characters import BLANKS, plain_forms, widths

# Marks of quotation in mail: > and >> and ＞, with spaces between and after them.
_QUOTE_MARKS = re.compile(r"(?:[>＞][ \t\u3000]?){1,20}")


@dataclass(slots=True)
class Line:
    """One line. `first` to `last` is its visible part, without marks of quotation; they are equal for a blank line."""

    start: int  # of everything before `first`: indentation and marks of quotation
    first: int
    last: int
    quotes: int  # > at its beginning
    indent: int  # columns before `first`
    edge: int  # the column after `last`
    shape: str = ""  # see app.text.line_shapes
    gaps: tuple[tuple[int, int], ...] = ()  # wide gaps inside it, which stand between columns


def lines_of(text: str) -> list[Line]:
    """All lines of a text, blank ones included, cut where str.splitlines cuts."""
    plain = plain_forms(text)
    lines: list[Line] = []
    bounds: list[int] = []
    start = 0
    for raw in text.splitlines(keepends=True):
        visible = raw.lstrip(BLANKS)
        first = start + len(raw) - len(visible)
        last = first + len(visible.rstrip(BLANKS))
        lines.append(Line(start, first, last, 0, 0, 0))
        bounds += (start, first, last)
        start += len(raw)
    if not lines:
        return lines
    # (lines, 3): columns of the indentation, of the visible part, and of the rest. The 0 is for a last bound at the
    # end.
    sums = np.add.reduceat(np.append(widths(text), np.zeros(1, np.uint8)), bounds, dtype=np.int64).reshape(-1, 3)
    for line, (indent, visible_width, _) in zip(lines, sums.tolist(), strict=True):
        line.indent = indent if line.first > line.start else 0
        line.edge = line.indent + (visible_width if line.last > line.first else 0)
        if line.first < line.last and plain[line.first] in ">＞":
            _take_quote_marks(plain, line)
    return lines


def _take_quote_marks(text: str, line: Line) -> None:
    match = _QUOTE_MARKS.match(text, line.first, line.last)
    assert match is not None
    if match.end() < line.last:
        line.quotes = sum(char in ">＞" for char in match.group())
        line.first = match.end()
        while text[line.first] in BLANKS:
            line.first += 1

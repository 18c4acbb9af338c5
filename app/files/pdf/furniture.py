"""Page furniture: running heads, running feet and page numbers, known by their place and because they come again.

Knows nothing of paragraphs.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from app.files.pdf.columns import Placement
from app.files.pdf.geometry import Box
from app.files.pdf.lines import Line, spaced

_EDGE = 0.15  # of the page: furniture stands no further in
_OUTERMOST = 3  # lines at each edge that may be furniture
_LARGEST = 1.25  # times the size of body text; a larger line that comes again is the title of a form
_SAME_PLACE = 3.0  # points
_DIGITS = re.compile(r"\d+|(?<![A-Za-z])[ivxlc]+(?![A-Za-z])")
_PAGE_NUMBER = re.compile(
    r"(?:[-–—‐―－ー~〜・\s]|p\.?|page|ページ|頁|第)*(?:\d{1,4}|[ivxlc]{1,6})"
    r"(?:\s*(?:/|of|／)\s*\d{1,4})?(?:[-–—‐―－ー~〜・\s]|ページ|頁)*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Candidate:
    page: int
    index: int  # of the placement
    edge: str
    distance: float  # points from the edge to the far side of the line
    size: float
    text: str


def find_furniture(
    pages: Sequence[Sequence[Placement]], sizes: Sequence[tuple[float, float]], body_size: float
) -> set[tuple[int, int]]:
    """The furniture among the placements, as (page, placement) indices. `sizes` are widths and heights in points."""
    candidates = [
        candidate
        for page, placements in enumerate(pages)
        for candidate in _candidates(page, placements, sizes[page])
        if candidate.size <= _LARGEST * body_size
    ]
    found = {(c.page, c.index) for c in candidates if _repeated(c, candidates) or _lone_number(c, candidates)}
    known = [c for c in candidates if (c.page, c.index) in found]
    found |= {(c.page, c.index) for c in candidates if _in_place_of(c, known)}
    for page, placements in enumerate(pages):
        found |= {(page, index) for index, placement in enumerate(placements) if placement.direction is None}
    return found


def _candidates(page: int, placements: Sequence[Placement], size: tuple[float, float]) -> list[_Candidate]:
    """The outermost lines at each edge of a page."""
    width, height = size
    found: dict[str, list[_Candidate]] = defaultdict(list)
    for index, placement in enumerate(placements):
        if not isinstance(placement.item, Line):
            continue
        box = page_box(placement.item)
        text = spaced(placement.item)[0]
        distances = {
            "top": (box.bottom, height),
            "bottom": (height - box.top, height),
            "left": (box.right, width),
            "right": (width - box.left, width),
        }
        for edge, (distance, extent) in distances.items():
            if distance <= _EDGE * extent:
                found[edge].append(_Candidate(page, index, edge, distance, placement.item.size, text))
    return [
        candidate
        for at_edge in found.values()
        for candidate in sorted(at_edge, key=lambda candidate: candidate.distance)[:_OUTERMOST]
    ]


def page_box(line: Line) -> Box:
    """The box around a line, in points from the top left corner of its page."""
    lefts, tops, rights, bottoms = zip(*(glyph.box for glyph in line.glyphs), strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


def _repeated(candidate: _Candidate, candidates: Sequence[_Candidate]) -> bool:
    """Whether the same text, but for its numbers, stands at the same place of another page."""
    return any(
        other.page != candidate.page
        and other.edge == candidate.edge
        and abs(other.distance - candidate.distance) <= _SAME_PLACE
        and _key(other.text) == _key(candidate.text)
        for other in candidates
    )


def _key(text: str) -> str:
    return _DIGITS.sub("0", "".join(text.split()))


def _lone_number(candidate: _Candidate, candidates: Sequence[_Candidate]) -> bool:
    """Whether a line is a page number, and nothing stands nearer to that edge."""
    nearest = min(c.distance for c in candidates if c.page == candidate.page and c.edge == candidate.edge)
    vertical_edge = candidate.edge in ("top", "bottom")
    return vertical_edge and candidate.distance == nearest and bool(_PAGE_NUMBER.fullmatch(candidate.text.strip()))


def _in_place_of(candidate: _Candidate, known: Sequence[_Candidate]) -> bool:
    """Whether furniture of the same size stands at this place of several other pages, and nothing else here.

    Running heads that change with the chapter come once where a chapter has one page.
    """
    here = {(other.edge, other.page) for other in known}
    if (candidate.edge, candidate.page) in here:
        return False
    there = {
        other.page
        for other in known
        if other.edge == candidate.edge
        and abs(other.distance - candidate.distance) <= 1.0
        and abs(other.size - candidate.size) < 0.1
    }
    return len(there) >= 3

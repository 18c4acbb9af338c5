"""Lines outside the running text: running heads and feet, page numbers, footnotes.

Furniture is recognised by its place and its repetition, footnotes by their place and size. This module does not know
paragraphs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from app.files.pdf.columns import Placement
from app.files.pdf.geometry import Box
from app.files.pdf.lines import Line, spaced

_EDGE = 0.15  # of the page: furniture stands no further in
_MOST_ROWS = 3  # of furniture at an edge
_APART = 0.8  # em, at least, between furniture and the text next to it
_MORE = 0.3  # em, at least, more than between two lines of text
_LARGEST = 1.25  # times the size of body text; a larger line that repeats is the title of a form
_NOTE_SIZE = 0.92  # times the size of body text, at most
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
    outermost: bool  # nothing stands nearer to the edge


def find_furniture(
    pages: Sequence[Sequence[Placement]], sizes: Sequence[tuple[float, float]], body_size: float, leading: float
) -> set[tuple[int, int]]:
    """The furniture among the placements, as (page, placement) indices.

    `sizes` are widths and heights in points; `leading` is the usual distance between lines of text, in em.
    """
    candidates = [
        candidate
        for page, placements in enumerate(pages)
        for candidate in _candidates(page, placements, sizes[page], leading)
        if candidate.size <= _LARGEST * body_size
    ]
    alike: dict[tuple[str, str], list[_Candidate]] = {}
    for candidate in candidates:
        alike.setdefault((candidate.edge, _key(candidate.text)), []).append(candidate)
    found = {(c.page, c.index) for group in alike.values() for c in group if _repeated(c, group) or _is_page_number(c)}
    known = [c for c in candidates if (c.page, c.index) in found]
    found |= {(c.page, c.index) for c in candidates if _in_place_of(c, known)}
    for page, placements in enumerate(pages):
        found |= {(page, index) for index, placement in enumerate(placements) if placement.direction is None}
    return found


def find_footnotes(
    pages: Sequence[Sequence[Placement]], furniture: set[tuple[int, int]], body_size: float
) -> set[tuple[int, int]]:
    """The lines smaller than body text that end a column of it, as (page, placement) indices."""
    found: set[tuple[int, int]] = set()
    for page, placements in enumerate(pages):
        text = [(index, line) for index, line in enumerate(placements) if (page, index) not in furniture]
        for _, group in groupby(text, key=lambda item: item[1].column):
            column = list(group)
            small = 0
            while small < len(column) and _is_small(column[-1 - small][1], body_size):
                small += 1
            if small < len(column):  # a column of small lines alone is no footnote
                found |= {(page, index) for index, _ in column[len(column) - small :]}
    return found


def _is_small(placement: Placement, body_size: float) -> bool:
    return isinstance(placement.item, Line) and placement.item.size <= _NOTE_SIZE * body_size


def _candidates(
    page: int, placements: Sequence[Placement], size: tuple[float, float], leading: float
) -> list[_Candidate]:
    """The lines near each edge of a page that a gap separates from the text."""
    found: list[_Candidate] = []
    for edge in ("top", "bottom", "left", "right"):
        extent = size[1] if edge in ("top", "bottom") else size[0]
        places = [_distances(edge, placement.box, size) for placement in placements]
        nearest = min((near for near, _ in places), default=0.0)
        outside = _outside(places, placements, leading)
        if len(outside) == len(places) and any(far > _EDGE * extent for _, far in places):
            continue  # no gap parts lines at this edge from the text: they are text
        for index in outside:
            near, far = places[index]
            item = placements[index].item
            if far <= _EDGE * extent and isinstance(item, Line):
                found.append(_Candidate(page, index, edge, far, item.size, spaced(item)[0], near == nearest))
    return found


def _distances(edge: str, box: Box, size: tuple[float, float]) -> tuple[float, float]:
    """Points from an edge of the page to the near and the far side of a box."""
    width, height = size
    return {
        "top": (box.top, box.bottom),
        "bottom": (height - box.bottom, height - box.top),
        "left": (box.left, box.right),
        "right": (width - box.right, width - box.left),
    }[edge]


def _outside(places: Sequence[tuple[float, float]], placements: Sequence[Placement], leading: float) -> list[int]:
    """The placements nearest to an edge, up to the gap that separates them from the text; none without a gap."""
    outside: list[int] = []
    reach = size = 0.0
    rows = 0
    for index in sorted(range(len(places)), key=lambda index: places[index]):
        placement = placements[index]
        own_size = placement.item.size if isinstance(placement.item, Line) else size
        near, far = places[index]
        if outside:
            as_text = placement.direction == placements[outside[-1]].direction  # then lines of text are apart as well
            apart = max(_APART, leading + _MORE) if as_text else _APART
            if near - reach >= apart * min(size, own_size):
                return outside
        rows += near >= reach
        if rows > _MOST_ROWS:
            return []
        outside.append(index)
        reach, size = max(reach, far), own_size
    return outside  # nothing else stands on the page


def _repeated(candidate: _Candidate, alike: Sequence[_Candidate]) -> bool:
    """Whether one of the lines of the same text, except for its numbers, stands at the same place of another page."""
    return any(
        other.page != candidate.page and abs(other.distance - candidate.distance) <= _SAME_PLACE for other in alike
    )


def _key(text: str) -> str:
    return _DIGITS.sub("0", "".join(text.split()))


def _is_page_number(candidate: _Candidate) -> bool:
    at_end = candidate.outermost and candidate.edge in ("top", "bottom")
    return at_end and bool(_PAGE_NUMBER.fullmatch(candidate.text.strip()))


def _in_place_of(candidate: _Candidate, known: Sequence[_Candidate]) -> bool:
    """Whether furniture of the same size stands at this place of several other pages, and nothing else here.

    Running heads that change with the chapter appear only once if a chapter has one page.
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

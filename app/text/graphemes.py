"""Grapheme clusters: what a reader takes for one character, of however many code points it consists (UAX #29).

Examples are 葛 with its variation selector, か with a combining voiced mark, ｶﾞ, a flag, a family joined of emoji.
The functions look only at the places asked for and at the clusters around them. This module knows only characters.
"""

import functools
from bisect import bisect_left, bisect_right

import numpy as np
import regex

from app.text.characters import code_points
from app.types import IntArray

_CLUSTER = regex.compile(r"\X")
# Two characters neither of which is one of these never stand in one cluster.
_JOINING = regex.compile(
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}\p{GCB=Prepend}\p{GCB=L}\p{GCB=V}\p{GCB=T}\p{GCB=RI}\r]"
)


@functools.lru_cache(maxsize=65_536)
def _joins(char: str) -> bool:
    return _JOINING.match(char) is not None


def around(text: str, places: IntArray) -> tuple[IntArray, IntArray]:
    """For each place, the last boundary of clusters up to it and the first one from it on.

    Both are the place itself where it is a boundary.
    """
    joining = [ord(char) for char in set(text) if _joins(char)]
    if not joining or not len(places):
        return places.copy(), places.copy()
    joins = np.zeros(len(text) + 2, dtype=np.bool_)  # [place] is the character before, [place + 1] the one after
    joins[1:-1] = np.isin(code_points(text), joining)
    doubtful = np.flatnonzero(joins[places] | joins[places + 1])
    doubtful = doubtful[np.argsort(places[doubtful], kind="stable")]
    asked: list[int] = places[doubtful].tolist()
    lower, upper = asked.copy(), asked.copy()
    end = done = 0  # up to which boundary clusters are known, and how many of the places asked for that settles
    while done < len(asked):
        start = place = asked[done]
        while start > end and (joins[start] or joins[start + 1]):
            start -= 1
        end = start
        while end < place:
            start, end = end, _end_of_cluster(text, end)
        settled = bisect_left(asked, end, lo=done)
        lower[done:settled] = [start] * (settled - done)
        upper[done:settled] = [end] * (settled - done)
        done = bisect_right(asked, end, lo=settled)
    results = places.copy(), places.copy()
    results[0][doubtful], results[1][doubtful] = lower, upper
    return results


def _end_of_cluster(text: str, start: int) -> int:
    """Where the cluster ends that begins at a boundary."""
    size = 16
    while True:  # of a part of the text: before it matches, the library counts all flags in front of `start`
        part = text[start : start + size]
        match = _CLUSTER.match(part)
        assert match is not None
        if match.end() < len(part) or start + size >= len(text):
            return start + match.end()
        size *= 2


def whole_spans(text: str, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
    """Half-open spans grown to whole clusters. They stand in order and do not overlap, before and after.

    A cluster of which two spans have a part belongs to the first, which may leave nothing of the second. What is empty
    stays empty.
    """
    lower, upper = around(text, np.concatenate([starts, ends]))
    first, last = lower[: len(starts)], upper[len(starts) :]
    last = np.where(starts < ends, last, first)
    reached = np.maximum.accumulate(last)
    first[1:] = np.maximum(first[1:], reached[:-1])
    return first, np.maximum(first, last)


def cluster_start(text: str, place: int) -> int:
    """The last boundary of clusters up to a place."""
    lower, _ = around(text, np.array([place], dtype=np.int32))
    return int(lower[0])


def cluster_end(text: str, place: int) -> int:
    """The first boundary of clusters from a place on."""
    _, upper = around(text, np.array([place], dtype=np.int32))
    return int(upper[0])

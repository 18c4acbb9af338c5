"""Page furniture of plain text: page numbers and running heads. This module knows lines, and does not know blocks."""

import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from app.text.line_shapes import PAGE_AT_EDGE
from app.text.lines import Line

# A running head is short and stands on several pages; the digits in it may change from page to page.
_MAX_HEAD_CHARACTERS = 80
_DIGITS = re.compile("[0-9０-９一二三四五六七八九十]+")
_PAGE_OF = re.compile("([0-9０-９]+)[^0-9０-９]*[/／][^0-9０-９]*([0-9０-９]+)")
_DECORATED = re.compile("[^0-9０-９/／\\s]")


def mark_furniture(text: str, lines: Sequence[Line], visible: Sequence[int]) -> None:
    """Give page numbers the shape "page" and running heads the shape "head"."""
    same: dict[str, list[int]] = defaultdict(list)  # a line without its digits -> places in `visible`
    for place, index in enumerate(visible):
        line = lines[index]
        if line.shape == "page" and not _is_page(text, lines, index):
            line.shape = ""
        elif line.shape == "" and line.indent >= 10 and text[line.first : line.last].isdecimal():
            line.shape = "page"
        if (
            line.shape in ("", "key", "bracketed", "dash", "chapter", "number")
            and line.last - line.first <= _MAX_HEAD_CHARACTERS
        ):
            same[_key(text, line)].append(place)
    pages = {place for place, index in enumerate(visible) if lines[index].shape == "page"}
    title = _key(text, lines[visible[0]]) if visible else ""
    for key, places in same.items():
        if not key or any(after - before == 1 for before, after in pairwise(places)):
            continue  # lines right after one another are a list
        numbered = [
            place
            for place in places
            if PAGE_AT_EDGE.search(text, lines[visible[place]].first, lines[visible[place]].last)
        ]
        near = [place for place in places if pages & {place - 1, place + 1, place - 2, place + 2}]
        # A head that stands only once, next to a page number, repeats the title of the document.
        again = len(key) >= 4 and (title.startswith(key) or key.startswith(title)) and near and places != [0]
        if len(numbered) >= 2 or (len(places) >= 2 and len(near) * 2 >= len(places)) or again or (numbered and near):
            for place in places:
                if place or len(numbered) >= 2:
                    lines[visible[place]].shape = "head"


def _key(text: str, line: Line) -> str:
    return _DIGITS.sub("", "".join(text[line.first : line.last].split()))


def _is_page(text: str, lines: Sequence[Line], index: int) -> bool:
    """Whether a line that looks like a page number is no date, no score and no cell that stands alone on its line."""
    line = lines[index]
    content = text[line.first : line.last]
    if _DECORATED.search(content):
        return True
    if match := _PAGE_OF.search(content):
        alone = (index == 0 or lines[index - 1].first == lines[index - 1].last) and (
            index + 1 == len(lines) or lines[index + 1].first == lines[index + 1].last
        )
        return int(match.group(1)) <= int(match.group(2)) and (line.indent >= 10 or alone)
    return line.indent >= 10

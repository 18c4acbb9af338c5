"""Marks at the beginning and end of a line, in terms of app.text: numbers, bullets, and words that stay together.

This module does not know the place of the line.
"""

import functools
import re
import unicodedata

from app.text import line_shapes
from app.text.characters import (
    CLOSERS,
    COLONS,
    COMMAS,
    ELLIPSES,
    ENDERS,
    FULL_STOPS,
    MIDDLE_DOTS,
    OPENERS,
    ROUND_CLOSERS,
    ROUND_OPENERS,
    plain_forms,
)
from app.text.lines import lines_of
from app.text.wrapping import must_go_on

# Characters that may not begin a line of Japanese (JIS X 4051).
_NOT_FIRST = frozenset(
    CLOSERS
    + COMMAS
    + ENDERS
    + ELLIPSES
    + COLONS
    + MIDDLE_DOTS
    + "〜％%°℃ー々〻ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ"
)
_NOT_LAST = frozenset(OPENERS)
_CUT = frozenset(COMMAS + "がをはにのと")  # at the end of a line that is cut in mid-sentence
_CHAPTER = re.compile(r"第\s?[0-9０-９一二三四五六七八九十百〇]+\s?([編部章節款目])")
_CHAPTER_RANKS = {"編": 1, "部": 1, "章": 2, "節": 3, "款": 4, "目": 5}
_OPENED, _CLOSED = re.escape(ROUND_OPENERS), re.escape(ROUND_CLOSERS)
_ARTICLE_TITLE = re.compile(rf"第.{{1,12}}?条(?:の.{{1,3}})?\s*[{_OPENED}][^{_CLOSED}]{{1,40}}[{_CLOSED}]")
_ARTICLE_RANK = 6
_CONTENTS_LINE = re.compile(rf"(?:[{ELLIPSES}]{{2,}}|(?:[.．·{MIDDLE_DOTS}]\s?){{4,}})\s*[0-9０-９ivxlcIVXLC-]{{1,6}}$")
_NUMBER = re.compile("[0-9０-９]+|[一二三四五六七八九十]+")


def shape(text: str) -> str:
    """The shape of a line, as app.text.line_shapes names it; empty for one that begins as running text does."""
    return line_shapes.shape_of(plain_forms(text), lines_of(text)[0])


def begins_part(text: str) -> bool:
    """Whether a text begins as a clause, a chapter, a note or an item of a list does."""
    return shape(text) in line_shapes.STRONG


def ends_sentence(text: str) -> bool:
    return line_shapes.ends_sentence(text, lines_of(text)[0])


def holds_sentence(text: str) -> bool:
    return any(char in FULL_STOPS for char in text)


def is_cut(text: str, after: str) -> bool:
    """Whether a line ends in mid-sentence: with a particle or a comma, or before what begins no sentence."""
    if ends_sentence(text):
        return False
    return "ぁ" <= after[0] <= "ゖ" or text[-1] in _CUT or must_go_on(after, lines_of(after)[0])


def is_contents_line(text: str) -> bool:
    """Whether a text is an entry of a table of contents: a leader and a page number at its end."""
    return bool(_CONTENTS_LINE.search(text))


def chapter_rank(text: str) -> int:
    """The rank of a numbered heading, 1 the highest (第１編), 0 for a text that is none."""
    if shape(text) == "chapter" and (chapter := _CHAPTER.match(text)):
        return _CHAPTER_RANKS[chapter[1]]
    return _ARTICLE_RANK if _ARTICLE_TITLE.fullmatch(text) else 0


def number_depth(text: str) -> int:
    """How many numbers a text begins with: 1 for ３．, 2 for ３．１, 0 for none."""
    if shape(text) not in line_shapes.NUMBERED:
        return 0
    return len(_NUMBER.findall(re.split(r"[\s\u3000]", text, maxsplit=1)[0]))


def unbreakable_width(text: str) -> float:
    """The width, in em, of what must stand together at the start of a line: a word or a character, and its marks."""
    at = 0
    while at < len(text) - 1 and text[at] in _NOT_LAST:
        at += 1
    while at < len(text) - 1 and is_latin(text[at]) and is_latin(text[at + 1]) and not text[at + 1].isspace():
        at += 1
    at += 1
    while at < len(text) and text[at] in _NOT_FIRST:
        at += 1
    return sum(0.5 if is_latin(character) else 1.0 for character in text[:at])


@functools.lru_cache(maxsize=65_536)
def is_latin(character: str) -> bool:
    """Whether words of such characters are separated by spaces: no kana, kanji, or full-width form."""
    return unicodedata.east_asian_width(character) not in "WF" and not "\u3000" <= character <= "\u30ff"

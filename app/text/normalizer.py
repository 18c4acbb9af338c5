"""Normalizers: Unicode normalisation that keeps, for every character, the span of the text it came from.

This module knows characters, and does not know words, tokens or models.
"""

import functools
import re
import unicodedata
from dataclasses import dataclass

import numpy as np

from app.errors import InvalidInput
from app.text.characters import SURROGATE, code_points
from app.types import IntArray, NormaliserName

# More marks than this on one character (real scripts need a few) are normalised in parts: ordering the marks of one
# character takes quadratic time.
MAX_JOINING_MARKS = 64
# NFKC turns one character, ﷺ, into this many; no character becomes more (UAX #15).
LONGEST_EXPANSION = 18

_TO_ZENKAKU = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}


@dataclass(frozen=True)
class Normalised:
    """A normalised text and, for each of its characters, the span of the original that it came from."""

    text: str
    starts: IntArray  # (characters,)
    ends: IntArray  # (characters,)


@functools.lru_cache(maxsize=65_536)
def clean(char: str) -> str:
    """Drop an invisible character (zero-width, BOM, variation selector); turn a control character into a space."""
    category = unicodedata.category(char)
    if category == "Cf" or 0xFE00 <= ord(char) <= 0xFE0F or 0xE0100 <= ord(char) <= 0xE01EF:
        return ""
    return " " if category == "Cc" and char != "\n" else char


@functools.lru_cache(maxsize=65_536)
def joins_previous(char: str) -> bool:
    """Whether normalising `char` can depend on the character before it (combining marks, kana marks, Hangul jamo)."""
    first = unicodedata.normalize("NFKD", char)[0]
    # Kirat Rai vowel signs are the only letters that compose with the character before them.
    return (
        unicodedata.category(first).startswith("M") or "\u1160" <= first <= "\u11ff" or first in "\U00016d63\U00016d67"
    )


@functools.lru_cache(maxsize=65_536)
def _is_plain(char: str) -> bool:
    """Whether normalising leaves `char` as it is, whatever stands around it."""
    return unicodedata.normalize("NFKC", char) == clean(char) == char and not joins_previous(char)


def refuse_surrogates(text: str) -> None:
    """
    Raises:
        InvalidInput: the text holds a lone surrogate; the message gives the first one and its place.
    """
    if match := SURROGATE.search(text):
        raise InvalidInput(
            f"The text holds a lone surrogate (U+{ord(match.group()):04X}) at character {match.start()}; "
            "only Unicode characters are allowed."
        )


def normalise(text: str, name: NormaliserName) -> Normalised:
    """Normalise `text` and keep the alignment.

    "nfkc": Unicode NFKC (half-width kana become full-width, full-width letters become ASCII, ㍻ becomes 平成).
    "zenkaku": NFKC, then ASCII becomes full-width, the form that JUMAN's dictionary and the Waseda models expect.
    Both drop invisible characters and turn control characters into spaces. "none" keeps the text.

    Raises:
        InvalidInput: the text holds a lone surrogate, which is not a character.
    """
    refuse_surrogates(text)
    identity = np.arange(len(text) + 1, dtype=np.int32)
    if name == "none":
        return Normalised(text, identity[:-1], identity[1:])
    special = {char for char in set(text) if not _is_plain(char)}
    normalised = _normalise_clusters(text, special) if special else Normalised(text, identity[:-1], identity[1:])
    if name == "zenkaku":
        return Normalised(normalised.text.translate(_TO_ZENKAKU), normalised.starts, normalised.ends)
    return normalised


def _normalise_clusters(text: str, special: set[str]) -> Normalised:
    """NFKC cluster by cluster (a character and the marks that join it): a cluster's output maps to its whole span.

    Outside clusters, each character maps to its own output. `special` are the characters of `text` that are not plain.
    """
    cleaned = text.translate({ord(char): clean(char) for char in special if clean(char) != char})
    # For each character of `cleaned`: its place in the text, and how many characters come of it.
    places = np.arange(len(text), dtype=np.int32)
    if invisible := [ord(char) for char in special if not clean(char)]:
        places = places[np.isin(code_points(text), invisible, invert=True)]
    if not cleaned:
        return Normalised("", places, places)
    keys = np.sort(np.array([ord(char) for char in special], dtype=np.uint32))
    sizes = np.array([len(unicodedata.normalize("NFKC", chr(key))) for key in keys], dtype=np.int32)
    codes = code_points(cleaned)
    slot = np.minimum(np.searchsorted(keys, codes), len(keys) - 1)
    lengths = np.where(keys[slot] == codes, sizes[slot], 1)

    pieces: list[str] = []
    opens_unit = np.ones(len(cleaned), dtype=np.bool_)  # false for characters whose output belongs to an earlier one's
    position = 0
    if joining := "".join(char for char in special if clean(char) and joins_previous(char)):
        for match in re.finditer(f".?[{re.escape(joining)}]{{1,{MAX_JOINING_MARKS}}}", cleaned, re.DOTALL):
            start, end = match.span()
            piece = unicodedata.normalize("NFKC", match.group())
            pieces += (unicodedata.normalize("NFKC", cleaned[position:start]), piece)
            lengths[start:end] = 1
            if piece != match.group():
                lengths[start] = len(piece)
                opens_unit[start + 1 : end] = False
            position = end
    pieces.append(unicodedata.normalize("NFKC", cleaned[position:]))
    units = np.flatnonzero(opens_unit)
    lasts = np.append(units[1:], len(cleaned)) - 1
    starts = np.repeat(places[units], lengths[units])
    ends = np.repeat(places[lasts] + np.int32(1), lengths[units])
    return Normalised("".join(pieces), starts, ends)

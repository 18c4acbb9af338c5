"""One table of the characters that structure text: brackets, sentence enders, line ends, widths.

The table comes from Unicode where Unicode has the characters, so that vertical, half-width and small forms are known
wherever the ordinary forms are. This module knows characters, and does not know texts.
"""

import functools
import re
import unicodedata

import numpy as np
import numpy.typing as npt
import regex

# The ranges in which general punctuation and the scripts of East Asia have their marks; no others matter here.
_RANGES = (
    range(0x20, 0x100),
    range(0x2000, 0x2BFF),
    range(0x2E00, 0x2E80),
    range(0x3000, 0x3040),
    range(0x30A0, 0x3100),
    range(0xFE10, 0xFFEF),
)
_CANDIDATES = tuple(chr(code) for codes in _RANGES for code in codes)


def _forms(*plain: str) -> str:
    """Every character except leaders (…) that NFKC turns into some of `plain`: ｡ ︒ for 。, ！ ﹗ ︕ ‼ for !."""
    return "".join(
        char
        for char in _CANDIDATES
        if set(unicodedata.normalize("NFKC", char)) <= set(plain)
        and "LEADER" not in unicodedata.name(char, "")
        and "ELLIPSIS" not in unicodedata.name(char, "")
    )


def _brackets() -> dict[str, str]:
    """Opening bracket -> closing bracket, for all brackets and double quotation marks that Unicode names in pairs."""
    pairs = {"〝": "〟", "≪": "≫"}
    for char in _CANDIDATES:
        name = unicodedata.name(char, "")
        if unicodedata.category(char) in ("Ps", "Pi") and "LEFT" in name and "SINGLE QUOTATION" not in name:
            try:
                pairs[char] = unicodedata.lookup(name.replace("LEFT", "RIGHT"))
            except KeyError:  # „ and ‟ have no partner by name
                continue
    return pairs


BRACKETS = _brackets()
OPENERS = "".join(BRACKETS)
CLOSERS = "".join(dict.fromkeys([*BRACKETS.values(), "〞"]))
ROUND_OPENERS = "".join(char for char in OPENERS if unicodedata.normalize("NFKC", char) in tuple("([〔【〖〘"))

# Brackets of quoted speech: 「 “ « 〝, and their forms.
QUOTES = "".join(
    char
    for char in OPENERS
    if unicodedata.category(char) == "Pi" or "CORNER BRACKET" in unicodedata.name(char) or char == "〝"
)
CLOSING_QUOTES = "".join(dict.fromkeys([*(BRACKETS[char] for char in QUOTES), "〞"]))
# Brackets of text that is not quoted speech: （ 【 《 〔.
OTHER_OPENERS = "".join(char for char in OPENERS if char not in QUOTES)
OTHER_CLOSERS = "".join(BRACKETS[char] for char in OTHER_OPENERS)
ROUND_CLOSERS = "".join(BRACKETS[char] for char in ROUND_OPENERS)

FULL_STOPS = _forms("。")
POINTS = _forms(".")
EXCLAMATIONS = _forms("!", "?")
ENDERS = FULL_STOPS + POINTS + EXCLAMATIONS
COMMAS = _forms("、", ",")
COLONS = _forms(":", ";")
MIDDLE_DOTS = _forms("・")
WIDE_COMMAS = "".join(char for char in COMMAS if not char.isascii())  # those that part clauses of Japanese
ELLIPSES = "…‥⋯︙︰"

_FULL_WIDTH = 0xFEE0  # from a character of ASCII to its full-width form


def _ordinary(*kinds: str) -> dict[str, str]:
    """Punctuation and symbols that Unicode has as forms of these kinds -> the ordinary ones of Japanese text."""
    ordinary: dict[str, str] = {}
    for char in _CANDIDATES:
        kind, _, of = unicodedata.decomposition(char).partition(" ")
        if kind in kinds and unicodedata.category(char)[0] in "PS":
            plain = chr(int(of, 16))
            ordinary[char] = chr(ord(plain) + _FULL_WIDTH) if plain.isascii() else plain
    return ordinary


# Forms for vertical writing, for which the way of writing is no part of the text: ︵ ﹁ ︒ ︑.
UPRIGHT = _ordinary("<vertical>")
_PLAIN = str.maketrans(_ordinary("<vertical>", "<small>", "<narrow>"))
_NOT_PLAIN = re.compile(f"[{''.join(map(chr, _PLAIN))}]")


def plain_forms(text: str) -> str:
    """A text of the same length with the ordinary forms of its punctuation: ﹁ ｢ become 「, and ︒ ｡ become 。

    What is ordinary in Japanese text stays apart: 。 and ．, （ and (.
    """
    return text.translate(_PLAIN) if _NOT_PLAIN.search(text) else text


# Numerals in kanji, with those of contracts (壱). Unicode knows more, but each of these is also a word (陸).
KANJI_NUMERALS = "〇零一二三四五六七八九十百千万億兆廿卅壱弐参拾萬"

# Half of a UTF-16 pair, which is no character by itself.
SURROGATE = re.compile("[\ud800-\udfff]")

# The line ends of str.splitlines.
LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
# Characters that are invisible at the edge of a line or sentence: white space, controls, characters without width.
_INVISIBLE = "\u200b\u200e\u200f\u2060\ufeff"
BLANKS = (
    "".join(char for char in map(chr, range(0x3001)) if char.isspace() or unicodedata.category(char) == "Cc")
    + _INVISIBLE
)


def _width(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me", "Cf", "Cc"):
        return 0 if char != "\t" else 8
    # Ambiguous characters (①, ─, ○, α) are wide in Japanese text, as Unicode recommends (UAX #11).
    return 2 if unicodedata.east_asian_width(char) in "WFA" else 1


_NARROW_BELOW = 0x3000
# From there on: marks of kana, variation selectors.
_COMBINING = ((0x302A, 0x302F), (0x3099, 0x309A), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
_WIDTHS = np.array([_width(chr(code)) for code in range(_NARROW_BELOW)], dtype=np.uint8)


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The code point of each character, lone surrogates included. (characters,)"""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def widths(text: str) -> npt.NDArray[np.uint8]:
    """The width of each code point in half-width columns, 0 to 2. (characters,)"""
    codes = code_points(text)
    result = np.full(len(codes), 2, dtype=np.uint8)
    low = codes < _NARROW_BELOW
    result[low] = _WIDTHS[codes[low]]
    half = ((codes >= 0xFF61) & (codes <= 0xFFDC)) | ((codes >= 0xFFE8) & (codes <= 0xFFEE))
    result[half] = 1
    for first, last in _COMBINING:
        result[(codes >= first) & (codes <= last)] = 0
    return result


# Characters in which two sentences that say the same may differ. Signs that change the meaning (% ○ △) are no such
# characters, nor are the points, hyphens and the like in front of a digit.
_NO_LETTER = regex.compile(
    r"[\p{Z}\p{C}\p{Variation_Selector}]|[[\p{P}\p{So}]--[%‰&@#○◯△▲.,:/\-‐‑–・]]|[.,:/\-‐‑–・](?!\p{Nd})", regex.V1
)


def letters_of(text: str) -> str:
    """A text in the form NFKC without punctuation, white space and ornaments."""
    return _NO_LETTER.sub("", unicodedata.normalize("NFKC", text))


@functools.cache
def _table(chars: str) -> npt.NDArray[np.bool_]:
    """(0x10000,) true for the characters given, which lie in the Basic Multilingual Plane."""
    table = np.zeros(0x10000, dtype=np.bool_)
    table[[ord(char) for char in chars]] = True
    return table


def held(chars: str, text: str) -> npt.NDArray[np.bool_]:
    """Whether each code point of a text is one of `chars`, which lie in the Basic Multilingual Plane. (characters,)"""
    return _table(chars)[np.minimum(code_points(text), 0xFFFF)]


@functools.cache
def _marks() -> str:
    """Found at the first use: every process that reads a file would take the time for it, and few need it."""
    return "".join(char for char in map(chr, range(0xFFFF)) if unicodedata.category(char)[0] in "PSZC")


def marks(text: str) -> npt.NDArray[np.bool_]:
    """Whether each code point is no part of a word: punctuation, a symbol, white space. (characters,)"""
    codes = code_points(text)
    # Above the Basic Multilingual Plane, symbols (emoji) stand apart from letters.
    return held(_marks(), text) | ((codes >= 0x1F000) & (codes < 0x20000))

"""Sentence spans of Japanese text, for summaries.

Sentences end at 。！？ and their variants, and at line ends; not inside 「…。」 or （…。）, not at 3.14, Yahoo!ニュース
or すごい！と思った. A bracket without its partner is an ordinary character, so it never swallows what follows.

Time is linear in the text. Knows nothing of words, tokens or models; every character that is not white space (or
invisible at the edge of a sentence) lies in exactly one sentence.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

# A quotation longer than this is a passage of its own: it is cut at the sentences inside it.
MAX_QUOTE_CHARACTERS = 300

_BRACKETS = dict(zip("「『（(【〔［[｛{〈《≪«“〝｢〖〘", "」』）)】〕］]｝}〉》≫»”〟｣〗〙", strict=True))
_ROUND = "（(〔【［["
_OPENERS = re.escape("".join(_BRACKETS))
_CLOSERS = re.escape("".join(_BRACKETS.values()))
_ENDERS = "。｡︒．.！？!?‼⁇⁈⁉"
_FULL_STOPS = "。｡︒"
_LATIN = re.compile("[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
# Before ! or ?: a name or an address. One letter alone is m(_ _)m.
_NAME_OR_URL = re.compile("[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]{2}|.[/=&]")

_LINE = re.compile("[^\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]+")
_BRACKET = re.compile(f"[{_OPENERS}{_CLOSERS}]")
_STOP = re.compile(f"[{_OPENERS}]|[{_ENDERS}]+")
# What still belongs to a sentence after its 。: closing brackets, ellipses, （笑）, emoji and marks that join them.
_TAIL = re.compile(
    f"(?:[{_CLOSERS}…‥♪♫\u2600-\u27bf\U0001f000-\U0001faff\u200d\u20e3\u3099\u309a\ufe00-\ufe0f]"
    "|[（(](?:笑|爆|泣|涙|汗|苦笑|爆笑)[）)])+"
)
# What shows that the sentence goes on after ！ or 」: すごい！と思った, 「はい。」など.
_GOES_ON = re.compile(
    "[、，,]|と(?:[一-鿿、」]|い[うっわえ]|の|か[、。い]|おも|さ[れえ]|し[てたま]|す[るれ])|って(?!き)|など|なんて"
)
_NO_AND_NOUN = re.compile("の[一-鿿ァ-ヺ「『]")
_LIST_NUMBER = re.compile(r"\s*[（(\[]?[0-9０-９]+(?:[.．][0-9０-９]+)*[.．]\Z")
_ABBREVIATION = re.compile(
    r"(?<![A-Za-z])(?:[A-Za-z]|Dr|Mr|Mrs|Ms|St|[Nn]o|[Vv]ol|vs|Prof|[Ff]ig|Inc|Ltd|Co|Jr|Sr|pp|cf|etc)\Z"
)
# Longest list number and abbreviation looked for: looking back further at every full stop would be quadratic.
_LOOK_BACK = 16
_INVISIBLE = "\u200b\u2060\ufeff"


@dataclass(frozen=True)
class Sentence:
    """A half-open span of code points; never empty, with no white space at its ends."""

    start: int
    end: int


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of `text`, in order. Line ends always end a sentence."""
    sentences = []
    for line in _LINE.finditer(text):
        start = line.start()
        for end in _sentence_ends(text, line.start(), line.end()):
            if sentence := _trimmed(text, start, end):
                sentences.append(sentence)
            start = end
    return sentences


def _trimmed(text: str, start: int, end: int) -> Sentence | None:
    while start < end and _is_blank(text[start]):
        start += 1
    while start < end and _is_blank(text[end - 1]):
        end -= 1
    return Sentence(start, end) if start < end else None


def _is_blank(char: str) -> bool:
    return char.isspace() or char in _INVISIBLE or unicodedata.category(char) == "Cc"


def _sentence_ends(text: str, begin: int, stop: int) -> Iterator[int]:
    """Where the sentences of one line end; the last is always `stop`."""
    partners = _partners(text, begin, stop)
    position = begin
    start = _skip_blank(text, begin, stop)
    while match := _STOP.search(text, position, stop):
        position = match.end()
        if match.group() in _BRACKETS:
            if match.start() not in partners:
                continue
            position = partners[match.start()] + 1
            if match.start() != start or not _is_whole_sentence(text, start, position, stop):
                continue
        elif not _ends_sentence(text, start, match, stop):
            continue
        if tail := _TAIL.match(text, position, stop):
            position = tail.end()
        yield position
        start = _skip_blank(text, position, stop)
    if start < stop:
        yield stop


def _skip_blank(text: str, start: int, stop: int) -> int:
    while start < stop and _is_blank(text[start]):
        start += 1
    return start


def _partners(text: str, begin: int, stop: int) -> dict[int, int]:
    """Opening bracket -> its closing bracket, for pairs short enough to hold their sentences together."""
    partners: dict[int, int] = {}
    waiting: dict[str, int] = dict.fromkeys(_BRACKETS.values(), 0)  # closing bracket -> open ones on the stack
    stack: list[int] = []
    for match in _BRACKET.finditer(text, begin, stop):
        char = match.group()
        if char in _BRACKETS:
            stack.append(match.start())
            waiting[_BRACKETS[char]] += 1
        elif waiting[char]:
            while True:  # brackets opened inside and never closed are given up
                opened = stack.pop()
                waiting[_BRACKETS[text[opened]]] -= 1
                if _BRACKETS[text[opened]] == char:
                    break
            if match.start() - opened <= MAX_QUOTE_CHARACTERS:
                partners[opened] = match.start()
    return partners


def _is_whole_sentence(text: str, opened: int, after: int, stop: int) -> bool:
    """Whether bracketed text that begins a sentence is all of it: （…。） or 「…。」「…。」, not 「…。」と言った."""
    if text[after - 2] not in _ENDERS + "…":
        return False
    if text[opened] in _ROUND:
        return not _GOES_ON.match(text, after, stop)
    return after < stop and (text[after].isspace() or text[after] in _BRACKETS)


def _ends_sentence(text: str, start: int, match: re.Match[str], stop: int) -> bool:
    """Whether a run of 。！？. outside brackets ends the sentence that began at `start`."""
    run, end = match.group(), match.end()
    before = text[match.start() - 1] if match.start() > start else ""
    tail = _TAIL.match(text, end, stop)
    tail_end = tail.end() if tail else end
    after = text[tail_end] if tail_end < stop else ""
    if (tail or run[0] not in _FULL_STOPS) and _GOES_ON.match(text, tail_end, stop):
        return False
    if run[0] in _FULL_STOPS:  # モーニング娘。のメンバー; no sentence begins with の and a content word
        return not _NO_AND_NOUN.match(text, tail_end, stop)
    at_gap = not after or after.isspace()
    if run in (".", "．"):
        return _point_ends(text, start, match, before, after, at_gap)
    if set(run) == {"."}:  # an ellipsis in ASCII
        return at_gap
    # Yahoo!ニュース, http://example.com/?q=1
    return at_gap or not _NAME_OR_URL.match(text, max(start, match.start() - 2), match.start())


def _point_ends(text: str, start: int, match: re.Match[str], before: str, after: str, at_gap: bool) -> bool:
    """Whether a single . or ． is a full stop and not part of a number, a name or an address."""
    if match.end() - start <= _LOOK_BACK and _LIST_NUMBER.match(text, start, match.end()):  # 1. 概要
        return False
    if not _LATIN.match(before):  # です.次は, but not ドットコム.jp
        return at_gap or not after.isascii() or not after.isalnum()
    if _ABBREVIATION.search(text, max(start, match.start() - _LOOK_BACK), match.start()):
        return False
    return at_gap or (match.group() == "．" and not _LATIN.match(after))

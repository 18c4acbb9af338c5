"""Sentences of Japanese text: their spans, their block, and whether they had to be cut.

A sentence lies in one block (app.text.structure) and may go over the line ends of wrapped lines. A heading, a row of a
table and page furniture are one sentence each, of their block's kind; a long cell of a row is a text of its own. In
prose, sentences end at 。！？ and their variants; not inside 「…。」 or （…。）, not at 3.14, Yahoo!ニュース or
すごい！と思った. They also end at a line end that an author set (<br>), unless the line breaks off in mid-sentence. A
bracket without its partner is an ordinary character, so it never swallows the text after it.

Time is linear in the text. This module does not know words, tokens or models. Every visible character that is read lies
in exactly one sentence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from app.text.blocks import Block, BlockKind
from app.text.brackets import bracket_pairs
from app.text.characters import (
    BLANKS,
    BRACKETS,
    CLOSERS,
    CLOSING_QUOTES,
    COLONS,
    COMMAS,
    ELLIPSES,
    ENDERS,
    FULL_STOPS,
    LINE_ENDS,
    OPENERS,
    POINTS,
    QUOTES,
    ROUND_OPENERS,
    WIDE_COMMAS,
)
from app.text.graphemes import around, whole_spans
from app.text.structure import Structure, structure_of
from app.text.tables import is_long

# A quotation longer than this is a passage of its own: it is cut at the sentences inside it.
MAX_QUOTE_CHARACTERS = 300
# A sentence longer than this is cut at clauses, into pieces of at most half of it.
MAX_SENTENCE_CHARACTERS = 1_000

# Kinds of blocks whose sentences can stand alone, so that a summary may hold them.
PROSE_KINDS: frozenset[BlockKind] = frozenset(("paragraph", "list-item", "clause", "table-row", "note"))
# Kinds of blocks that are one sentence each.
_WHOLE_KINDS: frozenset[BlockKind] = frozenset(("heading", "table-head", "table-row", "furniture"))

# The token type of each sentence for a summarizer: 0 in a paragraph; 1 in an item, clause, row or note; 2 no prose.
_TOKEN_TYPES: dict[BlockKind, int] = {"paragraph": 0, "heading": 2, "table-head": 2, "furniture": 2}

_OPENERS = re.escape(OPENERS)
_CLOSERS = re.escape(CLOSERS)
_LATIN = re.compile("[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
# Before ! or ?: a name or an address. One letter alone is m(_ _)m.
_NAME_OR_URL = re.compile("[0-9A-Za-z\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]{2}|.[/=&]")

# A line end that is left in the reading text was set by the author of a file: those of wrapped lines are not read.
_STOP = re.compile(f"[{_OPENERS}]|[{re.escape(ENDERS)}]+|[{LINE_ENDS}][{re.escape(BLANKS)}]*+")
# A line that ends with one of these is cut in mid-sentence, unless the next one is an item of a list.
_CUT_LINE = re.compile(f"(?:[{re.escape(COMMAS + OPENERS)}をがにはとのもやて]|(?<!ま)で)\\Z")
_LINE_BEGINS_ITEM = re.compile(
    r"[・･•※*＊■□◆◇●○◎★☆▲△▼▽▶➢✓☑〒【〔［①-⑳-]|[（(]?[0-9０-９]{1,3}[)）.．、\u3000 ]|[^\s、。]{1,12}[:：]"
)
# The longest mark of _CUT_LINE.
_LINE_LOOK_BACK = 2
# The text after 。 that still belongs to the sentence: closing brackets, ellipses, （笑）, emoji and their joiners.
_TAIL = re.compile(
    f"(?:[{_CLOSERS}{ELLIPSES}♪♫\u2600-\u27bf\U0001f000-\U0001faff\u200d\u20e3\u3099\u309a\ufe00-\ufe0f]"
    "|[（(](?:笑|爆|泣|涙|汗|苦笑|爆笑)[）)]|[wｗ]+(?![0-9A-Za-z])"
    # Faces: (^o^) ＼(^o^)／ (´・ω・｀) m(_ _)m. A face holds no kana or kanji except a few such as ノ and シ.
    "|[mｍoｏ＼\\\\ヽヾ┐]?[（(][^()（）ぁ-ゖ一-鿿0-9\n]{0,4}[\\^＾_＿´`｀・;；ωДд∀▽∇≧≦><＞＜°゜][^()（）ぁ-ゖ一-鿿\n]{0,8}[）)][mｍoｏ／/ノﾉ┌;；]?)+"
)
# Words after ！ or 」 with which the sentence continues: すごい！と思った, 「はい。」など.
_GOES_ON = re.compile(
    f"[{re.escape(COMMAS)}]|と(?:[一-鿿{WIDE_COMMAS}{CLOSING_QUOTES}]|い[うっわえ]|の|か[{WIDE_COMMAS}{FULL_STOPS}い]"
    "|おも|さ[れえ]|し[てたま]|す[るれ])|って(?!き)|など|なんて"
)
_NO_AND_NOUN = re.compile(f"の[一-鿿ァ-ヺ{QUOTES}]")
# 1. 概要 and Q1. 料金は and 図2. 配線 and Ｑ．料金は
_LIST_NUMBER = re.compile(r"\s*(?:[^\s0-9０-９。ぁ-ゖ]{0,5}\s?[0-9０-９]+(?:[.．][0-9０-９]+)*|[Ａ-Ｚａ-ｚ])[.．]\Z")
# Yahoo! JAPANは
_NAME_WITH_MARK = re.compile("! [A-Z][A-Za-z]*(?: [A-Za-z]+){0,2}[ぁ-ゖァ-ヺ一-鿿]")
_ABBREVIATION = re.compile(
    r"(?<![A-Za-z])(?:[A-Za-z]|Dr|Mr|Mrs|Ms|St|[Nn]o|[Vv]ol|vs|Prof|[Ff]ig|Inc|Ltd|Co|Jr|Sr|pp|cf|etc|[Vv]er|al|[Tt]el|TEL|[Ff]ax|FAX|Corp|Univ|Rev|Ave)\Z"
)
# The longest list number and abbreviation: looking back further at every full stop would be quadratic.
_LOOK_BACK = 16
# A sentence without end is cut after a comma, else at a gap.
_CLAUSE_END = re.compile(f"[{re.escape(COMMAS + COLONS)}][{_CLOSERS}]*")
_GAP = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A half-open span of code points; never empty, with no white space at its ends."""

    start: int
    end: int
    kind: BlockKind = "paragraph"  # of the block it stands in
    cut: bool = False  # the sentence was too long and continues in the next one

    @property
    def is_prose(self) -> bool:
        """Whether a summary may hold the sentence: it is no heading, head of a table or page furniture."""
        return self.kind in PROSE_KINDS

    @property
    def token_type(self) -> int:
        """The token type that tells a summarizer where a sentence stands; see `_TOKEN_TYPES`."""
        return _TOKEN_TYPES.get(self.kind, 1)


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of a plain text, in order."""
    return sentences_of(structure_of(text))


def read_sentences(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The sentences that a summarizer reads: all except page furniture, or all if there is nothing else."""
    return [sentence for sentence in sentences if sentence.kind != "furniture"] or list(sentences)


def sentences_of(structure: Structure) -> list[Sentence]:
    """The sentences of a text whose structure is known, in order."""
    return _sentences_in(structure, structure.blocks)


def sentence_around(structure: Structure, start: int, end: int) -> tuple[int, int]:
    """The span of the sentence that holds a passage, or of the sentences where it lies in more than one.

    For a sentence that had to be cut, the span covers the pieces that hold the passage and their two neighbours.
    """
    sentences = _sentences_in(structure, structure.blocks_in(start, end))
    touched = [index for index, one in enumerate(sentences) if one.start < end and start < one.end]
    if not touched:
        return start, end
    first, last = touched[0], touched[-1]
    if first and sentences[first - 1].cut:
        first -= 1
    if sentences[last].cut:
        last += 1
    return min(start, sentences[first].start), max(end, sentences[last].end)


def _sentences_in(structure: Structure, blocks: Sequence[Block]) -> list[Sentence]:
    reading = structure.reading
    found: list[tuple[int, int, BlockKind, bool]] = []
    for block, (start, end) in zip(blocks, structure.spans_in_reading(blocks), strict=True):
        for first, last in _block_sentences(structure, block, start, end):
            found.extend((*piece, block.kind, cut) for piece, cut in _pieces(reading.plain, first, last))
    if not found:
        return []
    starts, ends = reading.to_source(
        np.fromiter((one[0] for one in found), dtype=np.int32, count=len(found)),
        np.fromiter((one[1] for one in found), dtype=np.int32, count=len(found)),
    )
    begin = blocks[0].start
    text = structure.text[begin : blocks[-1].end]
    asked = starts - begin
    starts, ends = whole_spans(text, asked, ends - begin)
    # A start that moved past a mark of the character before (a virama after 。) may have blanks next.
    moved = np.flatnonzero(starts > asked)
    spans = zip(starts[moved].tolist(), ends[moved].tolist(), strict=True)
    seen = np.array([_skip_blank(text, start, end) for start, end in spans], dtype=starts.dtype)
    starts[moved] = around(text, seen)[0]  # a blank with a mark on it is seen too
    return [
        Sentence(start + begin, end + begin, kind, cut)
        for start, end, (_, _, kind, cut) in zip(starts.tolist(), ends.tolist(), found, strict=True)
        if start < end
    ]


def _block_sentences(structure: Structure, block: Block, begin: int, stop: int) -> Iterator[tuple[int, int]]:
    """The sentences of one block, trimmed; `begin` and `stop` are its span in the reading text."""
    text = structure.reading.plain
    if block.kind not in _WHOLE_KINDS:
        parts = [(begin, stop, True)]
    elif block.kind == "table-row" and any(is_long(cell) for cell in block.cells):
        parts = list(_row_parts(structure, block, begin, stop))
    else:
        parts = [(begin, stop, False)]
    for first, last, is_text in parts:
        start = first
        for end in _sentence_ends(text, first, last) if is_text else (last,):
            shown, shown_end = _skip_blank(text, start, end), end
            while shown < shown_end and text[shown_end - 1] in _IS_BLANK:
                shown_end -= 1
            if shown < shown_end:
                yield shown, shown_end
            start = end


def _row_parts(structure: Structure, block: Block, begin: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    """A row in parts: each long cell, which is a text with sentences, and all that stands between two of them."""
    long = [cell for cell in block.cells if is_long(cell)]
    for start, end in structure.in_reading(long):
        yield begin, start, False
        yield start, end, True
        begin = end
    yield begin, stop, False


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[tuple[int, int], bool]]:
    """A sentence, or the pieces it is cut into, and whether it goes on after each."""
    if end - start > MAX_SENTENCE_CHARACTERS:
        limit = MAX_SENTENCE_CHARACTERS // 2
        while end - start > limit:
            cut = start + limit
            for pattern in (_CLAUSE_END, _GAP):
                ends = [match.end() for match in pattern.finditer(text, start + limit // 4, start + limit)]
                if ends:
                    cut = ends[-1]
                    break
            last = cut
            while last > start and text[last - 1] in _IS_BLANK:
                last -= 1
            if last > start:
                yield (start, last), True
            start = _skip_blank(text, cut, end)
    if start < end:
        yield (start, end), False


_IS_BLANK = frozenset(BLANKS)


def _sentence_ends(text: str, begin: int, stop: int) -> Iterator[int]:
    """Where the sentences of one line end; the last is always `stop`."""
    partners = _partners(text, begin, stop)
    position = begin
    start = _skip_blank(text, begin, stop)
    while match := _STOP.search(text, position, stop):
        position = match.end()
        if match.group()[0] in LINE_ENDS:
            if match.start() < start or not _line_ends_sentence(text, match.start(), position, stop):
                continue
            tail = None
        elif match.group() in BRACKETS:
            if match.start() not in partners:
                continue
            position = partners[match.start()] + 1
            if match.start() != start or not _is_whole_sentence(text, start, position, stop):
                continue
            tail = _TAIL.match(text, position, stop)
        else:
            tail = _TAIL.match(text, position, stop)
            if not _ends_sentence(text, start, match, tail, stop):
                position = tail.end() if tail else position  # ！ in a face ends no sentence either
                continue
        if tail:
            full_stop = text[position - 1] in FULL_STOPS
            position = tail.end()
            if full_stop and position < stop and text[position] not in _IS_BLANK:
                while text[position - 1] in ELLIPSES:  # はい。……では: the pause belongs to the next sentence
                    position -= 1
        yield position
        start = _skip_blank(text, position, stop)
    if start < stop:
        yield stop


def _skip_blank(text: str, start: int, stop: int) -> int:
    while start < stop and text[start] in _IS_BLANK:
        start += 1
    return start


def _partners(text: str, begin: int, stop: int) -> dict[int, int]:
    """Opening bracket -> its closing bracket, for pairs short enough to hold their sentences together."""
    pairs = bracket_pairs(text, begin, stop)
    return {opened: closed for opened, closed in pairs.items() if closed - opened <= MAX_QUOTE_CHARACTERS}


def _is_whole_sentence(text: str, opened: int, after: int, stop: int) -> bool:
    """Whether the sentence is nothing but bracketed text: （…。） or 「…。」「…。」, not 「…。」と言った."""
    if text[after - 2] not in ENDERS + ELLIPSES:
        return False
    if text[opened] in ROUND_OPENERS:
        return not _GOES_ON.match(text, after, stop)
    return after < stop and (text[after].isspace() or text[after] in BRACKETS)


def _line_ends_sentence(text: str, end: int, after: int, stop: int) -> bool:
    """Whether a sentence ends with the line that an author ended at `end`; the next one begins at `after`."""
    if len(text[end:after].splitlines()) > 1 or _LINE_BEGINS_ITEM.match(text, after, stop):
        return True
    line = text[max(0, end - _LINE_LOOK_BACK) : end].rstrip(BLANKS)
    if _CUT_LINE.search(line):
        return False
    # A line of English is cut at a word.
    return not (line[-1:].isascii() and line[-1:].isalpha() and text[after : after + 1].islower())


def _ends_sentence(text: str, start: int, match: re.Match[str], tail: re.Match[str] | None, stop: int) -> bool:
    """Whether a run of 。！？. outside brackets ends the sentence that began at `start`; `tail` is what follows it."""
    run, end = match.group(), match.end()
    before = text[match.start() - 1] if match.start() > start else ""
    tail_end = tail.end() if tail else end
    after = text[tail_end] if tail_end < stop else ""
    if (tail or run[0] not in FULL_STOPS) and _GOES_ON.match(text, tail_end, stop):
        return False
    if run[0] in FULL_STOPS:  # モーニング娘。のメンバー; no sentence begins with の and a content word
        return not _NO_AND_NOUN.match(text, tail_end, stop)
    at_gap = not after or after.isspace()
    if len(run) == 1 and run in POINTS:
        return _point_ends(text, start, match, before, after, at_gap)
    if set(run) == {"."}:  # an ellipsis in ASCII
        return at_gap
    if run == "!" and _LATIN.match(before) and _NAME_WITH_MARK.match(text, match.start(), stop):
        return False
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

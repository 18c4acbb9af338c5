"""Where an answer may begin and end: at whole words and numbers, in one sentence, with both or none of two brackets.

Rules of Japanese text that hold for every document, each measured by `python -m bench.answer_bounds`. This module knows
characters, words and sentences, and does not know logits.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.text.alignment import Tokens
from app.text.brackets import bracket_pairs
from app.text.characters import (
    BLANKS,
    CLOSERS,
    COLONS,
    COMMAS,
    FULL_STOPS,
    MIDDLE_DOTS,
    OPENERS,
    held,
    marks,
)
from app.text.graphemes import around
from app.text.line_shapes import text_start
from app.text.numbers import inside_numbers
from app.text.sentences import sentences_of
from app.text.structure import Structure
from app.types import BoolArray, IntArray, LongArray

# Kinds of blocks with a number or a bullet in front of their text.
_MARKED_KINDS = frozenset(("clause", "list-item"))
_COLONS = "".join(char for char in COLONS if not char.isascii())  # in code, :name and name: are words
_BLANK = re.compile(r"\s*")
# Where a noun may end inside a word of the segmenter, which takes 必要です, 順に and 日付け for one.
_NOUN_END = re.compile("(?<=[一-鿿々ァ-ヺー]{2})(?=[でだにな])|(?<=[年月日])(?=付け)")


@dataclass(frozen=True)
class AnswerBounds:
    """For each token, whether an answer may begin or end with it, and in which part of the text. (tokens,)

    The parts are sentences, cells, numbers of clauses, and the text between two brackets; an answer begins and ends in
    the same part.
    """

    begins: BoolArray
    ends: BoolArray
    starts: IntArray  # the place in the text as sent where an answer starts that begins with the token
    stops: IntArray  # and the place where an answer stops that ends with it
    parts_at_start: LongArray
    parts_at_stop: LongArray


def block_bounds(structure: Structure, tokens: Tokens) -> AnswerBounds:
    """The wider bounds for texts in which the rules leave no answer: whole characters in one block."""
    seen = tokens.ends > tokens.starts
    parts = np.searchsorted([block.start for block in structure.blocks], tokens.starts, side="right")
    bounds = AnswerBounds(seen, seen, tokens.starts, tokens.ends, parts, parts)
    return _of_whole_characters(structure.text, tokens, bounds)


def answer_bounds(structure: Structure, tokens: Tokens, *, segmented: bool) -> AnswerBounds:
    """The rules for the answers in one text.

    1. An answer begins and ends at a word of the segmenter, or next to punctuation; it may also end before the ending
       of a word (必要 in 必要です). Without a segmenter it may begin and end at any piece.
    2. A number keeps its digits, separators, sign and unit; a name in Latin letters and digits is one word.
    3. An answer lies in one sentence, and so in one block, and in one cell of a table. The number of a clause or the
       bullet of an item is apart from what it numbers.
    4. An answer holds both or none of two brackets that belong together.
    5. An answer does not begin with a comma, full stop or closing bracket, and does not end with a comma, full stop or
       opening bracket.
    6. An answer holds whole characters (grapheme clusters). A variation selector, for which there is no token, stays
       with its character.
    """
    text = structure.reading.plain
    spans = structure.spans_in_reading(structure.blocks)
    enclosing = _enclosing(text, spans)
    first, last = _in_reading(structure, tokens.starts), _in_reading(structure, tokens.ends)  # half-open
    word_starts = tokens.word_starts | np.bool_(not segmented)
    word_begins = _marked(first[word_starts], len(text))
    first, last, may_begin, may_end = _without_edges(text, enclosing, first, last)
    is_mark = np.ones(len(text) + 2, dtype=np.bool_)  # [place] is the character before, [place + 1] the one after
    is_mark[1:-1] = marks(text)
    begins = may_begin & (word_starts | is_mark[first] | is_mark[first + 1])
    ends = may_end & (np.append(word_starts[1:], True) | is_mark[last] | is_mark[last + 1])

    numbered = [
        text_start(text, *span)
        for block, span in zip(structure.blocks, spans, strict=True)
        if block.kind in _MARKED_KINDS
    ]
    inside = inside_numbers(text, word_begins)
    for place in numbered:  # ２　本契約は: the word after the number of a clause is not its unit
        inside[place : _BLANK.match(text, place).end() + 1] = False  # type: ignore[union-attr]
    inside[_in_reading(structure, _edges_of_cells(structure))] = False  # りんご,100,200 in CSV are three cells
    noun_ends = np.array([match.start() for match in _NOUN_END.finditer(text)], dtype=np.int32)
    ends |= may_end & _marked(noun_ends, len(text))[last]
    begins &= ~inside[first]
    ends &= ~inside[last]

    cuts = np.sort([*(start for start, _ in spans), *numbered, *_in_reading(structure, _cuts(structure))])
    pairs = int(enclosing.max(initial=0)) + 1
    starts, _ = structure.reading.to_source(first, first)
    _, stops = structure.reading.to_source(last - 1, last)
    bounds = AnswerBounds(
        begins,
        ends,
        starts,
        stops,
        cuts.searchsorted(first, side="right") * pairs + enclosing[first],
        cuts.searchsorted(last, side="left") * pairs + enclosing[last],
    )
    return _of_whole_characters(structure.text, tokens, bounds)


def _of_whole_characters(text: str, tokens: Tokens, bounds: AnswerBounds) -> AnswerBounds:
    """The bounds moved out of grapheme clusters; no answer begins or ends where another token has part of a cluster."""
    lower, upper = around(text, np.concatenate([bounds.starts, bounds.stops]))
    starts, stops = lower[: len(tokens)], upper[len(tokens) :]
    begins, ends = bounds.begins.copy(), bounds.ends.copy()
    for index in np.flatnonzero(starts != bounds.starts).tolist():
        before = int(tokens.ends[index - 1]) if index else 0
        base = text[starts[index]]  # a bracket with a mark on it parts as it does without
        begins[index] &= before <= starts[index] and not base.isspace() and base not in OPENERS + CLOSERS
    for index in np.flatnonzero(stops != bounds.stops).tolist():
        after = int(tokens.starts[index + 1]) if index + 1 < len(tokens) else len(text)
        ends[index] &= after >= stops[index] and not text[stops[index] - 1].isspace()
    return replace(bounds, begins=begins, ends=ends, starts=starts, stops=stops)


def _without_edges(
    text: str, enclosing: LongArray, first: IntArray, last: IntArray
) -> tuple[IntArray, IntArray, BoolArray, BoolArray]:
    """Tokens without characters that no answer has at its edge; and whether an answer may begin, or end, with each.

    A piece may be %）: an answer that ends with it ends before the bracket, unless its partner is in the piece too.
    """
    blank = held(BLANKS + FULL_STOPS + COMMAS + MIDDLE_DOTS + _COLONS, text)
    opener, closer = held(OPENERS, text), held(CLOSERS, text)
    begin, end = _skip(blank | closer)[first], _skip_back(blank | opener)[last]
    torn = enclosing[begin] != enclosing[end]
    deeper, shallower = _skip(blank | closer | opener)[first], _skip_back(blank | closer | opener)[last]
    starts = np.where(torn & (deeper < last), deeper, begin)
    stops = np.where(torn & (shallower > first), shallower, end)
    may_begin, may_end = begin < last, end > first
    inside_out = may_begin & may_end & (starts >= stops)  # )(
    return starts, stops, may_begin & ~inside_out, may_end & ~inside_out


def _skip(skipped: BoolArray) -> IntArray:
    """For each place, the first one from it on with a character after it that is not skipped. (characters + 1,)"""
    places = np.arange(len(skipped) + 1, dtype=np.int32)
    places[:-1][skipped] = len(skipped)
    return np.minimum.accumulate(places[::-1])[::-1]


def _skip_back(skipped: BoolArray) -> IntArray:
    """For each place, the last one up to it with a character before it that is not skipped. (characters + 1,)"""
    places = np.arange(len(skipped) + 1, dtype=np.int32)
    places[1:][skipped] = 0
    return np.maximum.accumulate(places)


def _in_reading(structure: Structure, places: IntArray) -> IntArray:
    """Places in the text as sent -> places in the reading text."""
    offsets = structure.reading.offsets
    return places if offsets is None else offsets.searchsorted(places).astype(np.int32)


def _marked(places: IntArray, length: int) -> BoolArray:
    marked = np.zeros(length + 1, dtype=np.bool_)
    marked[places] = True
    return marked


def _edges_of_cells(structure: Structure) -> IntArray:
    """Where cells begin and end in the text as sent."""
    return np.array([place for block in structure.blocks for cell in block.cells for place in cell], dtype=np.int32)


def _cuts(structure: Structure) -> IntArray:
    """Where sentences and cells begin in the text as sent. A sentence that was cut for its length counts as one."""
    cells = [start for block in structure.blocks for start, _ in block.cells]
    sentences = sentences_of(structure)
    starts = [after.start for before, after in itertools.pairwise(sentences) if not before.cut]
    return np.array(cells + starts, dtype=np.int32)


def _enclosing(text: str, spans: Sequence[tuple[int, int]]) -> LongArray:
    """For each place, the number of the innermost pair of brackets around it; 0 for none. (characters + 1,)"""
    opens = [pair for span in spans for pair in sorted(bracket_pairs(text, *span).items())]
    places, numbers = [0], [0]
    open_pairs: list[tuple[int, int]] = []  # (number, closing bracket) of the pairs that are open
    for number, (opened, closed) in enumerate([*opens, (len(text), len(text))], start=1):
        while open_pairs and open_pairs[-1][1] < opened:
            places.append(open_pairs.pop()[1] + 1)
            numbers.append(open_pairs[-1][0] if open_pairs else 0)
        open_pairs.append((number, closed))
        places.append(opened + 1)
        numbers.append(number)
    return np.repeat(np.array(numbers[:-1], dtype=np.int64), np.diff(places))

"""Where the pieces of a tokenizer stand in the text: the tokenizer's spans, mapped back step by step.

The Rust tokenizer's own spans are not yet exact: a word's mark (▁) may claim a character, and all bytes of a run of
unknown characters claim the whole run. This module knows characters and spans, and does not know vocabularies or
models.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.text.characters import code_points
from app.text.normalizer import Normalised, joins_previous, normalise
from app.text.segmenter import Segmenter, cut_words
from app.types import BoolArray, IntArray, LongArray, NormaliserName

_WHITE_SPACE = np.array([code for code in range(0x3001) if chr(code).isspace()], dtype=np.uint32)


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, without special tokens. All arrays have shape (tokens,)."""

    ids: IntArray
    starts: IntArray  # code points into the text as sent, half-open with `ends`
    ends: IntArray
    word_starts: BoolArray  # true where a word of the segmenter begins

    def __len__(self) -> int:
        return len(self.ids)

    def slice(self, start: int, end: int) -> "Tokens":
        return Tokens(self.ids[start:end], self.starts[start:end], self.ends[start:end], self.word_starts[start:end])


_EMPTY = np.zeros(0, dtype=np.int32)
NO_TOKENS = Tokens(_EMPTY, _EMPTY, _EMPTY, np.zeros(0, dtype=np.bool_))


@dataclass(frozen=True)
class PreparedText:
    """The text from which the pieces are cut: its words with one space between two, or the text as it stands."""

    joined: str
    normalised: Normalised
    words: Sequence[tuple[int, int]] | None  # spans of the normalised text; None: no segmenter

    def align(self, ids: Sequence[int] | IntArray, spans: LongArray, is_mark: BoolArray | None = None) -> Tokens:
        """Tokens with spans of the text that was prepared.

        A token that covers white space alone is empty and stands where the next word begins, or at the end.

        Args:
            spans: (tokens, 2), half-open, of `joined`.
            is_mark: (tokens,) true for tokens that cover nothing, whatever their spans say.
        """
        if not len(spans):
            return NO_TOKENS
        begins, lasts = np.minimum(spans[:, 0], len(self.joined) - 1), np.maximum(spans[:, 1] - 1, 0)
        is_space, places, opens_word = self._characters()
        if self.words is None:
            visible = np.concatenate([[-1], np.flatnonzero(~is_space)])
            first = np.searchsorted(visible, begins)
            after = first == len(visible)  # white space at the end of the text
            begins = visible[np.minimum(first, len(visible) - 1)]
            lasts = visible[np.searchsorted(visible, lasts, side="right") - 1]
            lasts = self._with_marks(begins, np.where(after, -1, lasts))
        else:  # between two words stands one space
            begins, lasts = begins + is_space[begins], lasts - is_space[lasts]
            after = np.zeros(len(begins), dtype=np.bool_)
        empty = lasts < begins
        if is_mark is not None:
            empty |= is_mark
        starts = self.normalised.starts[places[begins]]
        starts[after] = self.normalised.ends[places[begins[after]]]
        ends = self.normalised.ends[places[np.maximum(lasts, begins)]]
        ends[empty] = starts[empty]
        word_starts = opens_word[begins]
        word_starts[1:] &= begins[1:] != begins[:-1]
        word_starts[0] = True
        return Tokens(np.asarray(ids, dtype=np.int32), starts, ends, word_starts)

    def _with_marks(self, begins: LongArray, lasts: LongArray) -> LongArray:
        """The last characters of tokens, moved over the marks behind them that no token has (か and its voiced mark).

        The Rust normalizers join several characters to one and let it cover the first.
        """
        marks = [ord(char) for char in set(self.joined) if joins_previous(char)]
        if not marks:
            return lasts
        others = np.append(np.flatnonzero(np.isin(code_points(self.joined), marks, invert=True)), len(self.joined))
        reach = others[np.searchsorted(others, lasts + 1)]  # the next character that is no mark
        following = np.append(begins, len(self.joined))[np.searchsorted(begins, lasts + 1)]
        moved = np.minimum(reach, following) - 1
        return np.where(lasts < begins, lasts, np.maximum(lasts, moved))

    def _characters(self) -> tuple[BoolArray, LongArray, BoolArray]:
        """For each character of `joined`: is it a space, its place when normalised, is it the first of a word."""
        opens_word = np.zeros(len(self.joined), dtype=np.bool_)
        opens_word[0] = True
        if self.words is None:
            is_space = np.isin(code_points(self.joined), _WHITE_SPACE)
            opens_word[1:] = is_space[:-1]
            return is_space, np.arange(len(self.joined)), opens_word
        bounds = pairs(self.words)
        # A word and the space after it: their place in `joined`, and its distance to the place in the normalised text.
        sizes = bounds[:, 1] - bounds[:, 0] + 1
        ends = sizes.cumsum()
        is_space = np.zeros(len(self.joined), dtype=np.bool_)
        is_space[ends[:-1] - 1] = True
        opens_word[ends[:-1]] = True
        shifts = np.repeat(bounds[:, 0] - (ends - sizes), sizes)[:-1]
        return is_space, np.arange(len(self.joined)) + shifts, opens_word


def prepare(text: str, normaliser: NormaliserName, segmenter: Segmenter | None) -> PreparedText:
    """Normalise a text and, where there is a segmenter, cut it into words.

    Raises:
        InvalidInput: the text holds a lone surrogate.
    """
    normalised = normalise(text, normaliser)
    if segmenter is None:
        return PreparedText("" if normalised.text.isspace() else normalised.text, normalised, None)
    words = cut_words(normalised.text, segmenter)
    return PreparedText(" ".join([normalised.text[start:end] for start, end in words]), normalised, words)


def pairs(spans: Sequence[tuple[int, int]]) -> LongArray:
    """(spans, 2); np.array takes more than twice as long over a list of tuples."""
    return np.fromiter(itertools.chain.from_iterable(spans), dtype=np.int64, count=2 * len(spans)).reshape(-1, 2)


def place_bytes(spans: LongArray, values: IntArray) -> LongArray:
    """The spans of tokens, in which a token for one byte of UTF-8 covers the character to which the byte belongs.

    The unigram model gives all bytes of a run of unknown characters the whole run.

    Args:
        spans: (tokens, 2)
        values: (tokens,) the byte of each token, -1 for tokens of text.
    """
    index = np.flatnonzero(values >= 0)
    if not len(index):
        return spans
    # A character begins at a byte that continues none, and after a token that is no byte.
    opens = (values[index] & 0xC0) != 0x80
    opens |= np.diff(index, prepend=-2) != 1
    firsts = np.flatnonzero(opens)
    begins = np.minimum.reduceat(spans[index, 0], firsts)  # (characters,)
    ends = np.maximum.reduceat(spans[index, 1], firsts)
    opens_run = np.ones(len(firsts), dtype=np.bool_)
    opens_run[1:] = (begins[1:] != begins[:-1]) | (ends[1:] != ends[:-1])
    run = opens_run.cumsum() - 1
    run_firsts = np.flatnonzero(opens_run)
    sizes = np.diff(run_firsts, append=len(firsts))
    # Where the tokenizer's own normalizer changed the number of characters, the run stays as it is.
    is_exact = sizes[run] == ends - begins
    exact = begins + np.arange(len(firsts)) - run_firsts[run]
    placed = spans.copy()
    character = opens.cumsum() - 1
    placed[index, 0] = np.where(is_exact, exact, begins)[character]
    placed[index, 1] = np.where(is_exact, exact + 1, ends)[character]
    return placed

"""What a sentence adds to a summary: the share of its bigrams of letters that the summary repeats, and its numbers.

Sentences that differ in punctuation, white space or width say the same: their letters are equal. So do those that
differ in the number of a list item, a note or a page in front of them or behind them. Sentences that differ in another
number do not, however long they are: 売上は1,200万円 and 売上は1,300万円.
Selecting a sentence is linear in the number of sentences; each bigram of the text is updated once for each summary.
This module does not know scores, tokens or models.
"""

import itertools
import re
from collections.abc import Sequence

import numpy as np

from app.text.characters import KANJI_NUMERALS, code_points, letters_of
from app.types import BoolArray, DoubleArray, LongArray

# A sentence adds nothing when the summary holds this share of its bigrams and all its numbers.
NOTHING_NEW = 0.9

_NUMBER = re.compile(rf"[-−+]?[\d{KANJI_NUMERALS}]+(?:[.:/‐‑–・-]\d+)*")
# (1) 1. １、 ① １　 in front of a sentence; [1] (1) 1 behind its end.
_LABEL = re.compile(
    r"^[\W_]*(?:[①-⒛❶-➓㉑-㊿]|[(（\[［]?\d{1,3}(?:[.．-]\d{1,3})*(?:[)）\]］.．、:：]|(?=\u3000)))(?!\d)"
    r"|(?<=[。｡．.!?！？])\s*[(（\[［]?\d{1,3}[)）\]］]?\s*$"
)


class Repetition:
    """The sentences of one text, as they are read, from which a summary selects one after the other.

    A sentence without letters says nothing, unless no sentence has any.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        compared = [letters_of(_LABEL.sub("", sentence)) or letters_of(sentence) for sentence in sentences]
        if not any(compared):
            compared = list(sentences)
        lengths = np.array([len(one) for one in compared])
        codes = code_points("".join(compared)).astype(np.int64)
        # The last letter of a sentence forms a pair with 0, so that a sentence of one letter has a bigram too.
        following = np.append(codes[1:], 0)
        following[np.cumsum(lengths)[lengths > 0] - 1] = 0
        self._bigrams = _Parts(codes << 21 | following, lengths)
        # Pairs of numbers as well: what was said of 2023 and of 1,300 was not said of 1,300 in 2023.
        numbers = [_NUMBER.findall(one.replace(",", "")) for one in compared]
        known: dict[object, int] = {}
        of_sentences = [
            [known.setdefault(part, len(known)) for part in (*own, *itertools.pairwise(own))] for own in numbers
        ]
        parts = np.array([*itertools.chain.from_iterable(of_sentences)], dtype=np.int64)
        self._numbers = _Parts(parts, np.array([len(own) for own in of_sentences]))

    def shares(self) -> DoubleArray:
        """The share of each sentence's bigrams that the selected sentences hold. (sentences,)"""
        return np.where(self._bigrams.counts > 0, self._bigrams.told / np.maximum(self._bigrams.counts, 1), 1.0)

    def have_new_numbers(self) -> BoolArray:
        """Whether each sentence has a number, or two numbers one after the other, that no selected one has."""
        return np.asarray(self._numbers.told < self._numbers.counts)

    def adds_nothing(self, index: int) -> bool:
        """Whether the selected sentences say what one sentence says."""
        told, count = self._bigrams.told[index], self._bigrams.counts[index]
        return bool(told >= NOTHING_NEW * count and self._numbers.told[index] == self._numbers.counts[index])

    def take(self, index: int) -> None:
        """Add a sentence to the summary."""
        self._bigrams.take(index)
        self._numbers.take(index)


class _Parts:
    """The different parts of each sentence, and how many of them the selected sentences hold.

    Args:
        parts: of all sentences, in their order; equal parts are equal numbers.
        lengths: how many of these each sentence has.
    """

    def __init__(self, parts: LongArray, lengths: LongArray) -> None:
        kinds, kind = np.unique(parts, return_inverse=True)
        # Each (sentence, part) once, in the order of sentences and in the order of parts.
        owner = np.repeat(np.arange(len(lengths)), lengths)
        owner, self._held = np.divmod(np.unique(owner * len(kinds) + kind), max(len(kinds), 1))
        self._first = np.searchsorted(owner, np.arange(len(lengths) + 1))
        order = np.argsort(self._held, kind="stable")
        self._holders = owner[order]
        self._first_holder = np.searchsorted(self._held[order], np.arange(len(kinds) + 1))
        self._covered = np.zeros(len(kinds), dtype=np.bool_)
        self.counts = np.diff(self._first)
        self.told = np.zeros(len(lengths))

    def take(self, index: int) -> None:
        own = self._held[self._first[index] : self._first[index + 1]]
        new = own[~self._covered[own]]
        self._covered[new] = True
        firsts = self._first_holder[new]
        counts = self._first_holder[new + 1] - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        np.add.at(self.told, self._holders[np.repeat(firsts, counts) + within], 1)

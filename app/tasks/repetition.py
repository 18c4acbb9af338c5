"""The share of a sentence that a summary repeats, measured by the bigrams of letters that both hold.

Sentences that differ in punctuation, white space or width say the same: their letters are equal.
Selecting a sentence is linear in the number of sentences; each bigram of the text is updated once for each summary.
This module does not know scores, tokens or models.
"""

from collections.abc import Sequence

import numpy as np

from app.text.characters import code_points, letters_of
from app.types import DoubleArray


class Repetition:
    """The sentences of one text, as they are read, from which a summary selects one after the other.

    A sentence without letters says nothing, unless no sentence has any.
    """

    def __init__(self, sentences: Sequence[str]) -> None:
        compared = [letters_of(sentence) for sentence in sentences]
        if not any(compared):
            compared = list(sentences)
        lengths = np.array([len(one) for one in compared])
        codes = code_points("".join(compared)).astype(np.int64)
        # The last letter of a sentence forms a pair with 0, so that a sentence of one letter has a bigram too.
        following = np.append(codes[1:], 0)
        following[np.cumsum(lengths)[lengths > 0] - 1] = 0
        kinds, kind = np.unique(codes << 21 | following, return_inverse=True)
        # Each (sentence, bigram) once, in the order of sentences and in the order of bigrams.
        owner = np.repeat(np.arange(len(sentences)), lengths)
        owner, self._held = np.divmod(np.unique(owner * len(kinds) + kind), len(kinds))
        self._first = np.searchsorted(owner, np.arange(len(sentences) + 1))
        order = np.argsort(self._held, kind="stable")
        self._holders = owner[order]
        self._first_holder = np.searchsorted(self._held[order], np.arange(len(kinds) + 1))
        self._covered = np.zeros(len(kinds), dtype=np.bool_)
        self._kinds = np.diff(self._first)  # different bigrams of each sentence
        self._repeated = np.zeros(len(sentences))  # how many of them the summary holds

    def shares(self) -> DoubleArray:
        """The share of each sentence's bigrams that the selected sentences hold. (sentences,)"""
        return np.where(self._kinds > 0, self._repeated / np.maximum(self._kinds, 1), 1.0)

    def shares_of(self, index: int) -> float:
        """`shares` for one sentence."""
        return float(self._repeated[index] / self._kinds[index]) if self._kinds[index] else 1.0

    def take(self, index: int) -> None:
        """Add a sentence to the summary."""
        own = self._held[self._first[index] : self._first[index + 1]]
        new = own[~self._covered[own]]
        self._covered[new] = True
        firsts = self._first_holder[new]
        counts = self._first_holder[new + 1] - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        np.add.at(self._repeated, self._holders[np.repeat(firsts, counts) + within], 1)

"""The share of a sentence that a summary repeats, measured by the character bigrams that both hold.

Selecting a sentence is linear in the number of sentences; each bigram of the text is updated once for each summary.
This module does not know scores, tokens or models.
"""

from collections.abc import Sequence

import numpy as np

from app.text.characters import code_points
from app.text.sentences import Sentence
from app.types import DoubleArray


class Repetition:
    """The sentences of one text, from which a summary selects one after the other."""

    def __init__(self, text: str, sentences: Sequence[Sentence]) -> None:
        codes = code_points(text).astype(np.int64)
        # The last character of a sentence forms a pair with 0, so that a sentence of one character has a bigram too.
        lengths = np.array([sentence.end - sentence.start for sentence in sentences])
        places = np.concatenate([np.arange(sentence.start, sentence.end) for sentence in sentences])
        following = np.append(codes, 0)[places + 1]
        following[np.cumsum(lengths) - 1] = 0
        kinds, kind = np.unique(codes[places] << 21 | following, return_inverse=True)
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
        return np.asarray(self._repeated / self._kinds)

    def shares_of(self, index: int) -> float:
        """`shares` for one sentence."""
        return float(self._repeated[index] / self._kinds[index])

    def take(self, index: int) -> None:
        """Add a sentence to the summary."""
        own = self._held[self._first[index] : self._first[index + 1]]
        new = own[~self._covered[own]]
        self._covered[new] = True
        firsts = self._first_holder[new]
        counts = self._first_holder[new + 1] - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        np.add.at(self._repeated, self._holders[np.repeat(firsts, counts) + within], 1)

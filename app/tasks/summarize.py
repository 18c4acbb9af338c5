"""Which sentences together hold most of what a summary probably says, and little else.

A model says for every character how probable it is that a summary holds the bigram that begins there. A choice of
sentences is worth the character-bigram F1 that it can then expect against the summary nobody has seen: what returns in
a second sentence counts once, and every further bigram costs precision. Greedy, as the oracle of Nallapati et al. 2017
is for a summary that is known. A sentence that is taken costs a few passes over an array of all sentences; the bigrams
of the text cost, over all of them, one. Knows nothing of tokens or models.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from app.text.sentences import Sentence
from app.types import DoubleArray

# Bigrams of the unseen summary at most. It is taken to hold as many as the probabilities add up to; over a long text
# these add up to more than summaries have, and the longest sentences would be favoured.
MOST_BIGRAMS = 100


class Coverage:
    """The sentences of one text, of which a summary takes one after the other."""

    def __init__(self, text: str, sentences: Sequence[Sentence], kept: npt.NDArray[np.floating]) -> None:
        """Nothing is taken yet.

        Args:
            kept: for every code point of `text`, the probability that a summary holds the bigram that begins there.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
        pairs = codes[:-1] << 21 | codes[1:]
        self._lengths = np.array([sentence.end - sentence.start - 1 for sentence in sentences])  # bigrams
        places = np.concatenate([np.arange(sentence.start, sentence.end - 1) for sentence in sentences])
        kinds, kind = np.unique(pairs[places], return_inverse=True)
        worth = np.zeros(len(kinds))
        np.maximum.at(worth, kind, kept[places])
        # Each (sentence, bigram) once, in the order of sentences and in that of bigrams.
        owner = np.repeat(np.arange(len(sentences)), self._lengths)
        held = np.unique(owner * max(len(kinds), 1) + kind)
        owner, self._held = np.divmod(held, max(len(kinds), 1))
        self._first = np.searchsorted(owner, np.arange(len(sentences) + 1))
        order = np.argsort(self._held, kind="stable")
        self._holders = owner[order]
        self._first_holder = np.searchsorted(self._held[order], np.arange(len(kinds) + 1))
        self._worth = worth
        self._expected = max(min(worth.sum(), MOST_BIGRAMS), 1.0)  # bigrams of the unseen summary
        self._covered = np.zeros(len(kinds), dtype=np.bool_)
        self._kinds = np.diff(self._first)  # different bigrams of each sentence
        self._repeated = np.zeros(len(sentences))  # of these, how many the summary holds
        self._new = np.bincount(owner, weights=worth[self._held], minlength=len(sentences))  # worth of the others
        self._common = 0.0  # bigrams that the summary so far is expected to have in common with the unseen one
        self._taken = 0  # bigrams of the summary so far

    def expected_f1(self) -> DoubleArray:
        """Expected bigram F1 of what was taken together with each sentence. (sentences,)"""
        return np.asarray(2 * (self._common + self._new) / (self._taken + self._lengths + self._expected))

    def repeated(self) -> DoubleArray:
        """The share of each sentence's bigrams that what was taken holds already. (sentences,)"""
        return np.asarray(self._repeated / np.maximum(self._kinds, 1))

    def take(self, index: int) -> None:
        """Add a sentence to the summary."""
        self._common += float(self._new[index])
        self._taken += int(self._lengths[index])
        own = self._held[self._first[index] : self._first[index + 1]]
        new = own[~self._covered[own]]
        self._covered[new] = True
        holders, bigrams = self._all_holders(new)
        np.add.at(self._repeated, holders, 1)
        np.subtract.at(self._new, holders, self._worth[bigrams])
        self._new[holders] = np.maximum(self._new[holders], 0)  # rounding leaves a little below 0

    def _all_holders(self, bigrams: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(sentence, bigram) for each of the bigrams and each sentence that holds it."""
        firsts = self._first_holder[bigrams]
        counts = self._first_holder[bigrams + 1] - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._holders[np.repeat(firsts, counts) + within], np.repeat(bigrams, counts)

"""Text to tokens: take what is read, normalise, segment into words, cut words into pieces, and never lose an offset.

Four steps (structure.py, normalizer.py, segmenter.py, and SentencePiece here), each with its own alignment, composed
into one: every token knows the half-open code-point span it covers in the text exactly as it was sent.

Knows nothing of models, windows or requests. Not thread-safe: MeCab and the Rust tokenizer keep state, so every
worker thread builds its own `Tokenizer`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from app.errors import BrokenModel
from app.text.normalizer import Normalised, normalise, refuse_surrogates
from app.text.segmenter import build_segmenter, cut_words
from app.text.structure import Structure, structure_of
from app.types import IntArray, NormaliserName, SegmenterName


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text, without special tokens. All arrays have shape (tokens,)."""

    ids: IntArray
    starts: IntArray  # code points into the text as sent, half-open with `ends`
    ends: IntArray
    word_starts: npt.NDArray[np.bool_]  # true where a word of the segmenter begins

    def __len__(self) -> int:
        return len(self.ids)

    def slice(self, start: int, end: int) -> "Tokens":
        return Tokens(self.ids[start:end], self.starts[start:end], self.ends[start:end], self.word_starts[start:end])


def _pairs(spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """(spans, 2); np.array takes more than twice as long over a list of tuples."""
    return np.fromiter(itertools.chain.from_iterable(spans), dtype=np.int64, count=2 * len(spans)).reshape(-1, 2)


class Tokenizer:
    """Normaliser, segmenter and SentencePiece unigram pieces of one model.

    Args:
        pieces: the Rust tokenizer; its own post-processor is not used, special tokens are the caller's.
        normaliser, segmenter: as the manifest names them.

    Raises:
        BrokenModel: a special token the service needs ([CLS], [SEP], [UNK]) is not in the vocabulary.
    """

    def __init__(self, pieces: tokenizers.Tokenizer, *, normaliser: NormaliserName, segmenter: SegmenterName) -> None:
        self._pieces = pieces
        # What a user types is text: "[SEP]" in a document must never become the separator.
        self._pieces.encode_special_tokens = True
        self._pieces.no_truncation()
        self._pieces.no_padding()
        self._normaliser: NormaliserName = normaliser
        self._segmenter = build_segmenter(segmenter)
        self.cls_id = self._special("[CLS]", "<s>")
        self.sep_id = self._special("[SEP]", "</s>")
        self._unknown_id = self._special("[UNK]", "<unk>")
        added = pieces.get_added_tokens_decoder()
        special_ids = [self.cls_id, self.sep_id, *(index for index, token in added.items() if token.special)]
        self._is_special = np.zeros(max(pieces.get_vocab().values()) + 1, dtype=np.bool_)
        self._is_special[special_ids] = True
        self.vocab_size: int = pieces.get_vocab_size()

    @classmethod
    def load(cls, file: Path, *, normaliser: NormaliserName, segmenter: SegmenterName) -> "Tokenizer":
        """Read a `tokenizer.json`."""
        return cls(tokenizers.Tokenizer.from_file(str(file)), normaliser=normaliser, segmenter=segmenter)

    def _special(self, *names: str) -> int:
        for name in names:
            if (token_id := self._pieces.token_to_id(name)) is not None:
                return int(token_id)
        raise BrokenModel(f"The tokenizer has none of the special tokens {', '.join(names)}.")

    def piece(self, token_id: int) -> str:
        """A token as the vocabulary writes it."""
        return str(self._pieces.id_to_token(token_id))

    def words(self, text: str) -> list[str]:
        """The normalised words of a text as it is read, as the pieces are cut from them."""
        normalised = normalise(structure_of(text).reading.text, self._normaliser).text
        return [normalised[start:end] for start, end in cut_words(normalised, self._segmenter)]

    def normalised_length(self, text: str) -> int:
        """Characters of a text once it is normalised.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        return len(normalise(text, self._normaliser).text)

    def encode(self, text: str, structure: Structure | None = None) -> Tokens:
        """Tokenize one text as it is read: a word that was wrapped at the edge of a page is one word.

        Args:
            structure: of this text, where it is known already; else it is found.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        refuse_surrogates(text)
        reading = (structure or structure_of(text)).reading
        normalised = normalise(reading.text, self._normaliser)
        words = cut_words(normalised.text, self._segmenter)
        if not words:
            empty = np.zeros(0, dtype=np.int32)
            return Tokens(empty, empty, empty, np.zeros(0, dtype=np.bool_))
        joined = " ".join([normalised.text[start:end] for start, end in words])
        encoding = self._pieces.encode(joined, add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int32)
        # The unigram model itself knows its special tokens as pieces, and a word of the text may spell one.
        ids[self._is_special[ids]] = self._unknown_id
        tokens = self.align(normalised, words, joined, ids, encoding.offsets)
        starts, ends = reading.to_source(tokens.starts, tokens.ends)
        return Tokens(ids, starts, ends, tokens.word_starts)

    @staticmethod
    def align(
        normalised: Normalised,
        words: Sequence[tuple[int, int]],
        joined: str,
        ids: IntArray,
        offsets: Sequence[tuple[int, int]],
    ) -> Tokens:
        """Offsets in the joined words -> offsets in the normalised text -> offsets in the text as sent."""
        bounds = _pairs(words)
        # A word and the space after it: where they begin in `joined`, and how far that is from the normalised text.
        sizes = bounds[:, 1] - bounds[:, 0] + 1
        joined_ends = sizes.cumsum()
        joined_starts = joined_ends - sizes  # (words,)
        shifts = bounds[:, 0] - joined_starts
        is_space = np.zeros(len(joined) + 1, dtype=np.bool_)
        is_space[joined_ends[:-1] - 1] = True
        spans = _pairs(offsets)
        begins = np.minimum(spans[:, 0], len(joined) - 1)
        # A piece such as "▁東" begins on the space before its word: move on to the word.
        begins = begins + is_space[begins]
        lasts = np.maximum(spans[:, 1] - 1, 0)
        empty = lasts < begins  # a lone "▁"
        lasts = np.maximum(lasts, begins)
        word_of = joined_ends.searchsorted(begins, side="right")  # (tokens,)
        starts = normalised.starts[begins + shifts[word_of]]
        ends = normalised.ends[lasts + shifts[joined_ends.searchsorted(lasts, side="right")]]
        ends[empty] = starts[empty]
        word_starts = np.empty(len(word_of), dtype=np.bool_)
        word_starts[:1] = True
        np.not_equal(word_of[1:], word_of[:-1], out=word_starts[1:])
        return Tokens(ids, starts, ends, word_starts)

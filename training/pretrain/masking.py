"""Chooses the windows of the corpus for each pre-training step, and masks whole words in them.

Seed and step determine everything; earlier steps and the number of processes change nothing. This module does not know
models.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers

from app.packing import Document
from app.types import IntArray
from training.config import ConfigError, PretrainConfig
from training.data import DataError
from training.pretrain.token_stream import TokenStream

MASK_NAMES = ("[MASK]", "<mask>")
# Shares of the tokens to guess that become [MASK], and that stay; the rest become random tokens (BERT).
MASKED, KEPT = 0.8, 0.1


@dataclass(frozen=True)
class Vocabulary:
    """The parts of a tokenizer that masking needs."""

    cls_id: int
    sep_id: int
    mask_id: int
    ordinary: IntArray  # ids of ordinary tokens
    is_special: npt.NDArray[np.bool_]  # (vocabulary,)

    @classmethod
    def read(cls, file: Path, cls_id: int, sep_id: int) -> "Vocabulary":
        """Read a tokenizer.json.

        Raises:
            ConfigError: the tokenizer has no mask token.
        """
        pieces = tokenizers.Tokenizer.from_file(str(file))
        mask_id = next((found for name in MASK_NAMES if (found := pieces.token_to_id(name)) is not None), None)
        if mask_id is None:
            raise ConfigError(f"The tokenizer {file} has no mask token ({' or '.join(MASK_NAMES)}).")
        special = [index for index, token in pieces.get_added_tokens_decoder().items() if token.special]
        is_special = np.zeros(pieces.get_vocab_size(), dtype=np.bool_)
        is_special[[*special, cls_id, sep_id, mask_id]] = True
        return cls(cls_id, sep_id, mask_id, np.flatnonzero(~is_special).astype(np.int32), is_special)


@dataclass(frozen=True)
class MaskedSequence:
    """One input sequence; `masked` are the places to guess and `targets` their original tokens."""

    document: Document
    shift: int  # of the positions, after [CLS]
    masked: IntArray  # (M,)
    targets: IntArray  # (M,)


class Schedule:
    """The length of every step's sequences, and their places in the stream.

    Sequences of one length cover the whole stream before any part repeats. Each pass has another order and other cuts.
    """

    def __init__(self, stream_tokens: int, config: PretrainConfig) -> None:
        """
        Raises:
            DataError: the stream is too short for a sequence.
        """
        lengths = np.array(sorted(map(int, config.lengths)), dtype=np.int64)
        if stream_tokens < lengths[-1] - 2:
            raise DataError(f"The corpus has {stream_tokens} tokens, too few for sequences of {lengths[-1]}.")
        shares = np.array([config.lengths[name] for name in sorted(config.lengths, key=int)])
        rng = np.random.default_rng([config.seed, 0])
        drawn = rng.choice(len(lengths), size=config.steps, p=shares / shares.sum())
        self._lengths = lengths[drawn]  # (steps,)
        self._earlier = np.zeros(config.steps, dtype=np.int64)  # steps of the same length before each step
        for index in range(len(lengths)):
            own = np.flatnonzero(drawn == index)
            self._earlier[own] = np.arange(len(own))
        self._stream_tokens, self._batch_tokens, self._seed = stream_tokens, config.batch_tokens, config.seed

    def step(self, step: int) -> tuple[int, list[int]]:
        """Length of the sequences, special tokens included, and the place of each one's first token in the stream."""
        length = int(self._lengths[step])
        room, sequences = length - 2, self._batch_tokens // length
        windows = max(1, (self._stream_tokens - room + 1) // room)  # the same number in every pass, for all cuts
        first = int(self._earlier[step]) * sequences
        starts = []
        for index in range(first, first + sequences):
            cut, order = _pass(self._seed, length, index // windows, windows, self._stream_tokens)
            starts.append(cut + int(order[index % windows]) * room)
        return length, starts


@functools.lru_cache(maxsize=8)
def _pass(seed: int, length: int, number: int, windows: int, tokens: int) -> tuple[int, npt.NDArray[np.int64]]:
    """The start of the first window of a pass over the stream, and the order of its windows."""
    rng = np.random.default_rng([seed, length, number])
    room = length - 2
    return int(rng.integers(0, min(room, tokens - windows * room + 1))), rng.permutation(windows)


def draw_sequence(
    stream: TokenStream,
    start: int,
    length: int,
    config: PretrainConfig,
    vocabulary: Vocabulary,
    max_positions: int,
    rng: np.random.Generator,
) -> MaskedSequence:
    """[CLS], `length - 2` tokens of the stream from `start`, [SEP]; words masked, a token type and a shift drawn."""
    window = slice(start, start + length - 2)
    ids = np.concatenate([[vocabulary.cls_id], stream.ids[window], [vocabulary.sep_id]]).astype(np.int32)
    word_starts = np.concatenate([[True, True], stream.word_starts[window][1:], [True]])
    masked = choose_words(ids, word_starts, config.mask_rate, vocabulary, rng)
    targets = ids[masked]
    kind = rng.random(len(masked))
    drawn = rng.choice(vocabulary.ordinary, size=len(masked))
    shown = np.where(kind < MASKED, vocabulary.mask_id, np.where(kind < MASKED + KEPT, targets, drawn))
    ids[masked] = shown
    # One random type for the whole sequence: this trains every row of the table before types get a meaning.
    token_type = int(rng.integers(0, config.token_types))
    is_shifted = rng.random() < config.shifted_share
    shift = int(rng.integers(0, max_positions - length + 1)) if is_shifted else 0
    return MaskedSequence(Document(ids, np.full(length, token_type, dtype=np.int32)), shift, masked, targets)


def choose_words(
    ids: IntArray,
    word_starts: npt.NDArray[np.bool_],
    rate: float,
    vocabulary: Vocabulary,
    rng: np.random.Generator,
) -> IntArray:
    """Places of the tokens to guess: all tokens of the drawn words, never special tokens.

    Each word is drawn with probability `rate`; if that draws none, one word is drawn.
    """
    words = np.cumsum(word_starts) - 1  # (tokens,)
    eligible = ~vocabulary.is_special[ids]
    chosen = (rng.random(int(words[-1]) + 1) < rate)[words] & eligible
    if not chosen.any() and eligible.any():
        chosen = (words == words[rng.choice(np.flatnonzero(eligible))]) & eligible
    return np.flatnonzero(chosen).astype(np.int32)

"""Text for hub encoders: normalised and cut into words as their cards ask, with the place of every piece in the text.

Knows words, pieces and offsets; nothing of models.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import BrokenModel
from app.text.normalizer import Normalised, normalise
from app.text.segmenter import build_segmenter, cut_words
from app.text.tokenizer import Tokenizer, Tokens
from app.types import NormaliserName, SegmenterName
from training.config import ConfigError

# If the surface of a piece is only found further on than this, the tokenizer has probably rewritten the piece.
_MAX_GAP = 50


@dataclass(frozen=True)
class PreparedText:
    """The words of a text joined by single spaces: the input of a hub model's tokenizer."""

    joined: str
    normalised: Normalised
    words: list[tuple[int, int]]  # spans of the normalised text

    def align(self, ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Tokens:
        """Turn pieces with offsets into `joined` into tokens with offsets into the original text."""
        return Tokenizer.align(self.normalised, self.words, self.joined, np.array(ids, dtype=np.int32), offsets)


class TextPreparation:
    """Normalises texts and cuts them into words.

    Raises:
        ConfigError: at construction, when the segmenter is not installed.
    """

    def __init__(self, normaliser: NormaliserName, segmenter: SegmenterName) -> None:
        self._normaliser = normaliser
        try:
            self._segmenter = build_segmenter(segmenter)
        except BrokenModel as error:
            raise ConfigError(f"{error} Here, --set segmenter=mecab-jumandic cuts nearly the same words.") from error

    def __call__(self, text: str) -> PreparedText:
        normalised = normalise(text, self._normaliser)
        words = cut_words(normalised.text, self._segmenter)
        return PreparedText(" ".join(normalised.text[start:end] for start, end in words), normalised, words)


def find_pieces(surfaces: Sequence[str], text: str) -> list[tuple[int, int]]:
    """The half-open spans of pieces in the text, for a tokenizer that keeps no offsets.

    A piece that the text does not contain ([UNK], a rewritten character) gets the whole gap between its neighbours.
    """
    spans: list[tuple[int, int] | None] = []
    position = 0
    for surface in surfaces:
        plain = surface.removeprefix("##").strip()
        start = text.find(plain, position, position + _MAX_GAP + len(plain)) if plain else -1
        spans.append((start, start + len(plain)) if start >= 0 else None)
        position = start + len(plain) if start >= 0 else position
    found: list[tuple[int, int]] = []
    left = 0  # end of the last piece found
    for index, span in enumerate(spans):
        if span is None:
            right = next((later[0] for later in spans[index:] if later is not None), len(text))
            found.append((left, right))
        else:
            found.append(span)
            left = span[1]
    return found

"""Text for hub encoders: normalised and cut into words as their cards ask, and the places of pieces without offsets.

This module knows words and pieces, and does not know models.
"""

from collections.abc import Sequence

from app.errors import BrokenModel
from app.text.alignment import PreparedText, prepare
from app.text.segmenter import build_segmenter
from app.types import NormaliserName, SegmenterName
from training.config import ConfigError

# If the surface of a piece is only found further on than this, the tokenizer has probably rewritten the piece.
_MAX_GAP = 50


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
        return prepare(text, self._normaliser, self._segmenter)


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

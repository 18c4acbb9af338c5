"""Templates: the special tokens around one text and around two, from the tokenizer's own file.

BERT puts [CLS] A [SEP] B [SEP], RoBERTa two separators between texts, ModernBERT-ja a beginning and an end for each.
This module knows token ids, and does not know strings, windows or models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tokenizers

from app.errors import BrokenModel
from app.types import IntArray

_PROBES = ("山", "の", "a", "0")  # every vocabulary has a token for one of them, at least the unknown token


@dataclass(frozen=True)
class Frame:
    """The special tokens of a sequence: before its first text, between two texts, after its last, and token types."""

    ids: tuple[IntArray, ...]  # one array more than there are texts
    types: tuple[IntArray, ...]  # their token types
    text_types: tuple[int, ...]  # one for each text

    @property
    def size(self) -> int:
        """The number of special tokens."""
        return sum(map(len, self.ids))


@dataclass(frozen=True)
class Template:
    """The frames of a model: of a text alone and of a pair."""

    single: Frame
    pair: Frame

    def with_one_type(self) -> "Template":
        """The same frames for a model that has one token type, or none."""
        single, pair = (
            replace(frame, types=tuple(np.zeros_like(types) for types in frame.types), text_types=(0,) * count)
            for count, frame in ((1, self.single), (2, self.pair))
        )
        return Template(single, pair)


def bert_template(cls_id: int, sep_id: int) -> Template:
    """[CLS] A [SEP], and [CLS] A [SEP] B [SEP] with the token type 1 from B on."""
    cls, sep, first, second = (np.array([number], dtype=np.int32) for number in (cls_id, sep_id, 0, 1))
    return Template(Frame((cls, sep), (first, first), (0,)), Frame((cls, sep, sep), (first, first, second), (0, 1)))


def template_of(pieces: tokenizers.Tokenizer) -> Template:
    """The special tokens that the post-processor of a tokenizer puts around texts.

    Raises:
        BrokenModel: the post-processor puts nothing before a text, or nothing between two.
    """
    probe = next((text for text in _PROBES if pieces.encode(text, add_special_tokens=False).ids), None)
    if probe is None:
        raise BrokenModel("The tokenizer has no token for any text, so its template cannot be read.")
    single, pair = (_frame(pieces, probe, texts) for texts in (1, 2))
    if not len(single.ids[0]) or not len(pair.ids[0]):
        raise BrokenModel("The template of the tokenizer has no special token before a text; it needs one.")
    return Template(single, pair)


def _frame(pieces: tokenizers.Tokenizer, probe: str, texts: int) -> Frame:
    encodings = [pieces.encode(probe, add_special_tokens=False) for _ in range(texts)]
    framed = pieces.post_process(*encodings, add_special_tokens=True)
    return frame_of(framed.ids, framed.type_ids, framed.special_tokens_mask, texts)


def frame_of(ids: Sequence[int], types: Sequence[int], is_special: Sequence[int], texts: int) -> Frame:
    """The frame of a sequence whose special tokens are marked.

    Raises:
        BrokenModel: nothing stands between two texts.
    """
    is_text = np.flatnonzero(np.array(is_special) == 0)
    runs = np.split(is_text, np.flatnonzero(np.diff(is_text) > 1) + 1)
    if len(runs) != texts:
        raise BrokenModel("The template of the tokenizer has no special token between two texts; it needs one.")
    bounds = [0, *(bound for run in runs for bound in (int(run[0]), int(run[-1]) + 1)), len(ids)]
    around = [slice(start, stop) for start, stop in zip(bounds[::2], bounds[1::2], strict=True)]
    return Frame(
        tuple(np.array(ids[part], dtype=np.int32) for part in around),
        tuple(np.array(types[part], dtype=np.int32) for part in around),
        tuple(int(types[run[0]]) for run in runs),
    )

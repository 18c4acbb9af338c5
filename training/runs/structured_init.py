"""A better start than noise for an encoder that is trained from scratch on little text.

Attention already looks at neighbours, at surroundings and at the same words elsewhere; word vectors come from
co-occurrence. The hidden state is split at the start: its last `POSITION_WIDTH` dimensions hold sinusoids of the
position (Vaswani et al. 2017), the others the word. Of sinusoids a rotation is a shift, so one matrix makes a head
attend to the token `shift` places away, at every position alike, even where training never gets. On the word's
dimensions query and key share one projection, so a head attends to like words ("mimetic initialisation", Trockman and
Kolter 2023). Of a model that reads a text as a whole, such as a classifier, the last head averages all words and hands
them on. Everything is trained on from there. Knows nothing of data or steps.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from export.model import BigBird

POSITION_WIDTH = 64  # dimensions of the hidden state that hold the position at the start
_PAIRS = POSITION_WIDTH // 2
_FASTEST = 2.0  # radians per token of the first pair; the last one turns 2,000 times slower
_HANDED_ON = 6.0  # how much larger the average of the words is made, in which what differs between texts is small
_WORD_SCALE, _POSITION_SCALE = 0.04, 0.02  # root mean square of an embedding over all dimensions


@dataclass(frozen=True)
class _Head:
    """What one head does at the start. Pairs are numbered from the fastest."""

    shift: int = 0
    pairs: tuple[int, int] = (0, 0)  # the sinusoids it compares: fast ones look at one token, slow ones at many
    gain: float = 0.0
    match: float = 0.0  # how strongly it looks for like words


_BEFORE, _AFTER = _Head(-1, (0, 12), 2.0), _Head(1, (0, 12), 2.0)
_AROUND = _Head(0, (7, 20), 1.6)
_LIKE = _Head(match=0.9)
_FREE = _Head()
# By layer; more layers repeat the last, more heads than four stay free.
_PLAN = (
    (_BEFORE, _AFTER, _AROUND, _LIKE),
    (_Head(-2, (0, 12), 2.0), _Head(2, (0, 12), 2.0), _AROUND, _LIKE),
    (_AROUND, _LIKE, _FREE, _FREE),
)


def structured_start(model: BigBird, word_vectors: npt.NDArray[np.float32] | None, seed: int) -> None:
    """Set the weights of a randomly initialised model.

    Args:
        model: one for classes gets a last head that averages the first `POSITION_WIDTH` dimensions of the word vectors.
        word_vectors: (vocabulary, at least hidden - POSITION_WIDTH), best dimensions first; None leaves words random.

    Raises:
        ValueError: the model is too narrow to be split, or the vectors do not fit its vocabulary.
    """
    hidden = model.config.hidden_size
    words = hidden - POSITION_WIDTH
    head_size = hidden // model.config.num_attention_heads
    if words < POSITION_WIDTH or head_size < POSITION_WIDTH:
        raise ValueError(
            f"A structured start needs heads of at least {POSITION_WIDTH} dimensions and two of them; this model has "
            f"heads of {head_size} and a hidden size of {hidden}."
        )
    generator = torch.Generator().manual_seed(seed)
    embeddings = model.bert.embeddings
    rotation = _set_words(embeddings.word_embeddings.weight.data, word_vectors, words, generator)
    _set_positions(embeddings.position_embeddings.weight.data, words)
    embeddings.token_type_embeddings.weight.data[:, words:] = 0.0
    for index in range(model.config.num_hidden_layers):
        plan = _PLAN[min(index, len(_PLAN) - 1)]
        name = f"bert.encoder.layer.{index}.attention.self"
        for number, head in enumerate(plan[: model.config.num_attention_heads]):
            rows = slice(number * head_size, number * head_size + POSITION_WIDTH)
            query, key = (model.get_parameter(f"{name}.{part}.weight").data[rows] for part in ("query", "key"))
            if head.gain:
                band = torch.zeros(POSITION_WIDTH)
                band[2 * head.pairs[0] : 2 * head.pairs[1]] = head.gain
                query[:, words:] += band.unsqueeze(1) * _shift(head.shift)
                key[:, words:] += torch.diag(band)
            if head.match:
                projection = _orthogonal(words, generator)[:POSITION_WIDTH] * head.match
                query[:, :words] += projection
                key[:, :words] += projection
    if model.task == "classify":
        name = f"bert.encoder.layer.{model.config.num_hidden_layers - 1}.attention"
        last = slice(hidden - head_size, hidden - head_size + POSITION_WIDTH)
        model.get_parameter(f"{name}.self.value.weight").data[last, :words] = rotation[:POSITION_WIDTH]
        handed_on = rotation[:POSITION_WIDTH].T * _HANDED_ON
        model.get_parameter(f"{name}.output.dense.weight").data[:words, last] = handed_on


def _set_words(
    weight: Tensor, vectors: npt.NDArray[np.float32] | None, words: int, generator: torch.Generator
) -> Tensor:
    """Set the word embeddings; returns the rotation that the vectors were given. (words, words)"""
    rotation = torch.eye(words)
    hidden = weight.shape[1]
    length = _WORD_SCALE * math.sqrt(hidden)
    rows = torch.randn(weight.shape[0], words, generator=generator)
    if vectors is not None:
        if len(vectors) > weight.shape[0] or vectors.shape[1] < words:
            raise ValueError(f"Word vectors of shape {vectors.shape} do not fit an embedding of {tuple(weight.shape)}.")
        known = torch.from_numpy(np.ascontiguousarray(vectors[:, :words])).float()
        seen = known.norm(dim=1) > 0  # pieces that never occurred stay random
        rotation = _orthogonal(words, generator)
        rows[: len(known)][seen] = (known @ rotation)[seen]
    weight[:, :words] = rows / rows.norm(dim=1, keepdim=True) * length
    weight[:, words:] = 0.0
    weight[0] = 0.0  # [PAD]
    return rotation


def _rates() -> Tensor:
    """Radians per token of each pair, from fast to slow. (POSITION_WIDTH / 2)"""
    return _FASTEST * torch.exp(torch.arange(_PAIRS) * (-math.log(2000.0) / _PAIRS))


def _set_positions(weight: Tensor, words: int) -> None:
    hidden = weight.shape[1]
    angle = torch.arange(weight.shape[0]).unsqueeze(1) * _rates()  # (positions, pairs)
    scale = _POSITION_SCALE * math.sqrt(hidden / _PAIRS)
    weight.zero_()
    weight[:, words::2] = torch.sin(angle) * scale
    weight[:, words + 1 :: 2] = torch.cos(angle) * scale


def _shift(distance: int) -> Tensor:
    """The rotation R with R p(i) = p(i + distance) for sinusoids p. (POSITION_WIDTH, POSITION_WIDTH)"""
    rotation = torch.zeros(POSITION_WIDTH, POSITION_WIDTH)
    for pair, rate in enumerate(_rates().tolist()):
        cosine, sine = math.cos(rate * distance), math.sin(rate * distance)
        at = 2 * pair
        rotation[at, at], rotation[at, at + 1] = cosine, sine
        rotation[at + 1, at], rotation[at + 1, at + 1] = -sine, cosine
    return rotation


def _orthogonal(size: int, generator: torch.Generator) -> Tensor:
    q: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
    return q

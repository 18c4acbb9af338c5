"""Sequences for the engine: text of any length cut into windows that overlap by a doc stride, or at sentences.

The special tokens are those of the model's template: [CLS] and [SEP] below stand for the tokens that it puts there.

Every token of a text is *owned* by exactly one window, the one that shows it with the most context on both sides (the
rule of the SQuAD scripts), so that results of overlapping windows never count twice.

This module knows only token ids and positions, and does not know strings, models or batches.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.text.alignment import Tokens
from app.text.sentences import Sentence
from app.text.template import Template
from app.types import BoolArray, IntArray


@dataclass(frozen=True)
class Window:
    """One sequence for the engine: [CLS] question [SEP] context [SEP], or [CLS] text [SEP] (pair [SEP])."""

    input_ids: IntArray  # (n,) with special tokens, n <= max_tokens
    token_type_ids: IntArray  # (n,)
    question_length: int  # tokens from [CLS] up to and including the first [SEP] of a question; 0 without one
    context_start: int  # position in the window of its first context token
    first_token: int  # index, in the document's Tokens, of that token
    context_length: int  # context tokens in the window
    owned: BoolArray  # (context_length,) true where this window is the max-context owner of the token


@dataclass(frozen=True)
class SentenceWindow:
    """Whole sentences one after the other, each between its own [CLS] and [SEP] as in BERTSum (Liu and Lapata 2019)."""

    input_ids: IntArray  # (n,)
    token_type_ids: IntArray  # (n,)
    starts: IntArray  # (sentences of the window,) where in the window each begins, with its [CLS]


def context_room(other: Tokens | None, max_tokens: int, template: Template) -> int:
    """Context tokens that fit in a window next to `other` (a question or a pair). Zero or less: `other` is too long."""
    return max_tokens - (template.single.size if other is None else template.pair.size + len(other))


def question_windows(
    question: Tokens,
    context: Tokens,
    *,
    template: Template,
    max_tokens: int,
    doc_stride: int,
    overlap_token_type: int | None,
) -> list[Window]:
    """Windows over `context`, each with the whole question in front of it. There is always at least one.

    Token types are the template's: BERT's are 0 for [CLS] question [SEP] and 1 for the context and the last [SEP].
    Context tokens whose id also stands in the question get `overlap_token_type` when it is not None.

    Raises:
        InvalidInput: the question leaves no room for context, or `doc_stride` is not in 1..room.
    """
    frame = template.pair
    room = context_room(question, max_tokens, template)
    if room < 1:
        raise InvalidInput(
            f"The question has {len(question)} tokens; at most {max_tokens - frame.size - 1} are allowed, so that a "
            f"window of {max_tokens} tokens has room for the text."
        )
    types = np.full(len(context), frame.text_types[1], dtype=np.int32)
    if overlap_token_type is not None:
        types[_held_by(question.ids, context.ids)] = overlap_token_type
    asked = np.concatenate([frame.ids[0], question.ids, frame.ids[1]])
    asked_types = np.concatenate(
        [frame.types[0], np.full(len(question), frame.text_types[0], dtype=np.int32), frame.types[1]]
    )
    starts = _window_starts(len(context), room, doc_stride)
    return [
        Window(
            input_ids=np.concatenate([asked, context.ids[start : start + room], frame.ids[2]]),
            token_type_ids=np.concatenate([asked_types, types[start : start + room], frame.types[2]]),
            question_length=len(asked),
            context_start=len(asked),
            first_token=start,
            context_length=len(owned),
            owned=owned,
        )
        for start, owned in zip(starts, _max_context(len(context), starts, room), strict=True)
    ]


def text_windows(
    text: Tokens, pair: Tokens | None, *, template: Template, max_tokens: int, doc_stride: int
) -> list[Window]:
    """Windows over `text` for classification, one when it fits; every window is followed by the whole `pair`.

    Token types are the template's: BERT's are 0 for [CLS] text [SEP] and 1 for pair [SEP].

    Raises:
        InvalidInput: the pair leaves no room for text, or `doc_stride` is not in 1..room.
    """
    frame = template.single if pair is None else template.pair
    room = context_room(pair, max_tokens, template)
    if room < 1:
        raise InvalidInput(
            f"The second text has {0 if pair is None else len(pair)} tokens; at most {max_tokens - frame.size - 1} are "
            f"allowed, so that a window of {max_tokens} tokens has room for the first."
        )
    after, after_types = frame.ids[1], frame.types[1]
    if pair is not None:
        pair_types = np.full(len(pair), frame.text_types[1], dtype=np.int32)
        after = np.concatenate([after, pair.ids, frame.ids[2]])
        after_types = np.concatenate([after_types, pair_types, frame.types[2]])
    types = np.full(len(text), frame.text_types[0], dtype=np.int32)
    starts = _window_starts(len(text), room, doc_stride)
    return [
        Window(
            input_ids=np.concatenate([frame.ids[0], text.ids[start : start + room], after]),
            token_type_ids=np.concatenate([frame.types[0], types[start : start + room], after_types]),
            question_length=0,
            context_start=len(frame.ids[0]),
            first_token=start,
            context_length=len(owned),
            owned=owned,
        )
        for start, owned in zip(starts, _max_context(len(text), starts, room), strict=True)
    ]


def tokens_of_sentences(text: Tokens, sentences: Sequence[Sentence]) -> list[Tokens]:
    """The tokens of each sentence of a text that was tokenized as a whole: those that start in it."""
    firsts = np.searchsorted(text.starts, [sentence.start for sentence in sentences])
    lasts = np.searchsorted(text.starts, [sentence.end for sentence in sentences])
    return [text.slice(first, last) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]


def sentence_windows(
    sentences: Sequence[Tokens], token_types: Sequence[int], *, template: Template, max_tokens: int
) -> list[SentenceWindow]:
    """Windows that end at sentences and are about equally full. No sentences, no windows.

    A sentence longer than a window is represented by as many of its first tokens as fit.

    Args:
        token_types: the token type of each sentence, its [CLS] and [SEP] included.

    Raises:
        InvalidInput: a window of `max_tokens` has no room for a token between two special ones.
    """
    before, after = template.single.ids
    room = max_tokens - template.single.size
    if room < 1:
        least = template.single.size + 1
        raise InvalidInput(f"A window of {max_tokens} tokens has no room for text; at least {least} are needed.")
    framed = [np.concatenate([before, one.ids[:room], after]) for one in sentences]
    lengths = np.array([len(one) for one in framed], dtype=np.int64)
    windows = []
    for first, last in itertools.pairwise(_even_groups(lengths, max_tokens)):
        ends = np.cumsum(lengths[first:last])
        windows.append(
            SentenceWindow(
                np.concatenate(framed[first:last]),
                np.repeat(np.asarray(token_types[first:last], dtype=np.int32), lengths[first:last]),
                (ends - lengths[first:last]).astype(np.int32),
            )
        )
    return windows


def _held_by(some: IntArray, ids: IntArray) -> BoolArray:
    """For each of `ids`, whether it is one of `some`. For token ids, np.isin is several times slower."""
    is_held = np.zeros(1 + max(some.max(initial=0), ids.max(initial=0)), dtype=np.bool_)
    is_held[some] = True
    return is_held[ids]


def _window_starts(length: int, room: int, doc_stride: int) -> list[int]:
    """First tokens of the windows: every `doc_stride`, until one reaches the end of the text."""
    if not 0 < doc_stride <= room:
        raise InvalidInput(
            f"The doc stride is {doc_stride} tokens; it must be between 1 and {room}, the tokens of text in one window."
        )
    return [0, *range(doc_stride, length - room + doc_stride, doc_stride)]


def _max_context(length: int, starts: Sequence[int], room: int) -> list[BoolArray]:
    """For each window, which of its tokens it owns: where min(left, right context) + 0.01 * window length is largest.

    If two windows are equal, the first owns the token.
    """
    if len(starts) == 1:
        return [np.ones(length, dtype=np.bool_)]
    best = np.full(length, -1.0)
    owner = np.full(length, -1, dtype=np.int64)
    stops = [min(start + room, length) for start in starts]
    for index, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        left = np.arange(stop - start)
        score = np.minimum(left, left[::-1]) + 0.01 * (stop - start)
        better = score > best[start:stop]
        best[start:stop][better] = score[better]
        owner[start:stop][better] = index
    return [owner[start:stop] == index for index, (start, stop) in enumerate(zip(starts, stops, strict=True))]


def _even_groups(lengths: npt.NDArray[np.int64], limit: int) -> list[int]:
    """Bounds of consecutive groups whose sums are at most `limit` and as even as possible.

    Minimises the sum of squared free room, as line breaking does: that prefers few groups, and among few groups even
    ones. Every length is at most `limit`.
    """
    totals = np.concatenate([[0], np.cumsum(lengths)])
    # The first sentence that may open a group ending after sentence i, for every i.
    earliest = np.searchsorted(totals, totals[1:] - limit)
    cost = np.zeros(len(totals), dtype=np.int64)
    opened = np.zeros(len(totals), dtype=np.int64)
    for end, low in enumerate(earliest.tolist(), start=1):
        candidates = cost[low:end] + (limit - (totals[end] - totals[low:end])) ** 2
        best = int(candidates.argmin())
        cost[end], opened[end] = candidates[best], low + best
    bounds = [len(lengths)]
    while bounds[-1] > 0:
        bounds.append(int(opened[bounds[-1]]))
    return bounds[::-1]

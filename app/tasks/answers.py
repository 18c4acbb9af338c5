"""Answer spans from logits: n-best over windows and texts, probabilities, and the null score.

Results are deterministic: of equal scores, the earlier position wins. This module knows tokens, windows and logits, and
does not know requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from app.tasks.answer_bounds import AnswerBounds
from app.text.graphemes import cluster_end, cluster_start
from app.text.windows import Window
from app.types import FloatArray, IntArray

ScalarT = TypeVar("ScalarT", bound=np.generic)

# The number of spans that share the probability with "no answer"; `top_k` changes no score.
N_BEST = 20


@dataclass(frozen=True)
class Span:
    """An answer: code points of one of the texts, half-open, and its probability."""

    start: int
    end: int
    score: float
    text: int = 0  # which of the texts


@dataclass(frozen=True)
class Answers:
    """The best answers to one question, `N_BEST` at most, no two alike, best first, and the scores of "no answer"."""

    spans: list[Span]
    null_score: float  # probability
    score_diff: float  # null logit less the best span's logit, as in the SQuAD scripts


@dataclass(frozen=True)
class _Candidate:
    first: int  # tokens of the document, inclusive
    last: int
    start: int  # code points of the text, half-open
    end: int
    logit: float  # of the start plus of the end
    weight: float  # the logit less the logarithm of the length, by which spans are ordered and scored

    def overlaps(self, other: "_Candidate") -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Candidates:
    """The best spans of one text for one question, best first, and the logit of "no answer"."""

    best: list[_Candidate]
    null_logit: float


def best_answers(
    texts: Sequence[str],
    bounds: Sequence[Sequence[AnswerBounds]],
    windows: Sequence[Sequence[Window]],
    start_logits: Sequence[Sequence[FloatArray]],
    end_logits: Sequence[Sequence[FloatArray]],
    *,
    max_answer_tokens: int,
    temperature: float,
) -> Answers:
    """The n-best answers to one question over all texts, within the first bounds that leave one in any text.

    Args:
        bounds: for each text, the bounds to try in order, the same number for every text.
        windows, start_logits, end_logits: for each text, its windows and the logits of each window.
    """
    found: list[Candidates] = []
    for within in zip(*bounds, strict=True):
        found = [
            candidates_of(*of, max_answer_tokens=max_answer_tokens)
            for of in zip(windows, start_logits, end_logits, within, strict=True)
        ]
        if any(of.best for of in found):
            break
    return score_answers(texts, found, temperature=temperature)


def candidates_of(
    windows: Sequence[Window],
    start_logits: Sequence[FloatArray],
    end_logits: Sequence[FloatArray],
    bounds: AnswerBounds,
    *,
    max_answer_tokens: int,
) -> Candidates:
    """The best spans of one text over all windows of one question.

    A span may start only at a token that its window owns (max context), so no span is counted twice. Every span keeps
    to the bounds, and no two spans overlap.
    """
    null_logit = min(float(start[0] + end[0]) for start, end in zip(start_logits, end_logits, strict=True))
    candidates = [
        candidate
        for window, start, end in zip(windows, start_logits, end_logits, strict=True)
        for candidate in _window_candidates(window, start, end, bounds, max_answer_tokens)
    ]
    best = candidates
    if len(windows) > 1:  # the spans of one window are in order, and never overlap
        candidates.sort(key=lambda candidate: (-candidate.weight, candidate.first, candidate.last))
        best = []
        for candidate in candidates:
            if not any(candidate.overlaps(better) for better in best):
                best.append(candidate)
                if len(best) == N_BEST:
                    break
    return Candidates(best, null_logit)


def score_answers(texts: Sequence[str], found: Sequence[Candidates], *, temperature: float) -> Answers:
    """The n-best answers to one question over all texts, with their probabilities.

    An answer that stands in several places of a text is one answer, at its best place. Its weight is the logarithm of
    the sum of the exponentials of theirs, as the question answering pipeline of transformers sums probabilities. The
    temperature divides these weights, and not those of single places: flattened first, the weak places of a common word
    would outweigh the one place that answers.

    Scores are a softmax over the weights of the answers among the `N_BEST` best spans and the logit of the null span,
    [CLS] to [CLS]. The null logit is the lowest of all windows of all texts.
    """
    null_logit = min(candidates.null_logit for candidates in found)
    best = [(candidate, text) for text, candidates in enumerate(found) for candidate in candidates.best]
    if len(found) > 1:  # the spans of one text are in order
        best = sorted(best, key=lambda of: -of[0].weight)[:N_BEST]
    places: dict[tuple[int, str], list[_Candidate]] = {}
    for candidate, text in best:
        if answer := texts[text][candidate.start : candidate.end].strip():
            places.setdefault((text, answer), []).append(candidate)
    if not places:
        return Answers([], 1.0, 0.0)
    weights = [_log_sum_exp([candidate.weight for candidate in same]) for same in places.values()]
    greatest = max(null_logit, *weights)
    null_share = math.exp((null_logit - greatest) / temperature)
    shares = [math.exp((weight - greatest) / temperature) for weight in weights]
    total = null_share + sum(shares)
    spans = [
        trim_span(texts[text], Span(same[0].start, same[0].end, share / total, text))
        for ((text, _), same), share in zip(places.items(), shares, strict=True)
    ]
    spans.sort(key=lambda span: -span.score)
    return Answers(spans, null_share / total, null_logit - best[0][0].logit)


def _log_sum_exp(values: Sequence[float]) -> float:
    """The logarithm of the sum of the exponentials. For so few values numpy takes longer."""
    greatest = max(values)
    return greatest + math.log(sum(math.exp(value - greatest) for value in values))


def _window_candidates(
    window: Window,
    start_logits: FloatArray,
    end_logits: FloatArray,
    bounds: AnswerBounds,
    max_answer_tokens: int,
) -> list[_Candidate]:
    """The best spans of one window that do not overlap, best first.

    The weight of a span is the sum of its two logits less the logarithm of its characters, a prior of 1 / length. The
    model gives the start and the end independently of each other, so that the start of one answer can go with the end
    of another. Such spans are long, and without the prior they win (docs/decisions/0038-prior-of-length.md).
    """
    shown = slice(window.context_start, window.context_start + window.context_length)
    own = slice(window.first_token, window.first_token + window.context_length)
    width = min(max_answer_tokens, window.context_length)
    if width == 0:
        return []
    count = window.context_length
    starts = np.where(window.owned & bounds.begins[own], start_logits[shown], -np.inf)
    ends = np.full(count + width - 1, -np.inf, dtype=np.float32)
    ends[:count] = np.where(bounds.ends[own], end_logits[shown], -np.inf)
    parts = np.full(count + width - 1, -1, dtype=np.int64)
    parts[:count] = bounds.parts_at_stop[own]
    # best_within[j, i]: of the spans of at most j tokens that start at context token i.
    best_within = np.full((width + 1, count), -np.inf, dtype=np.float32)
    scores = best_within[1:]  # first of the spans of exactly j + 1 tokens
    # [j, i] of a shifted array is [i + j] of the array.
    np.add(starts, _shifted(ends, width), out=scores, where=_shifted(parts, width) == bounds.parts_at_start[own])
    scores -= _log_lengths(bounds.starts[own], bounds.stops[own], width)
    np.maximum.accumulate(scores, axis=0, out=scores)
    flat = best_within.reshape(-1)  # ((width + 1) * count,)
    best = best_within[width].copy()  # best[i]: of the spans from token i that reach into no better span found so far
    candidates: list[_Candidate] = []
    while len(candidates) < N_BEST:
        start = int(best.argmax())
        score = best[start]
        if score == -np.inf:
            break
        length = int(best_within[:, start].searchsorted(score))  # of equal spans, the shortest
        first = window.first_token + start
        last = first + length - 1
        logit = float(start_logits[shown][start] + end_logits[shown][start + length - 1])
        span = int(bounds.starts[first]), int(bounds.stops[last])
        candidates.append(_Candidate(first, last, *span, logit, float(score)))
        # Take out every span that overlaps: the spans that start inside it, and the spans before it that reach into it.
        best[start : start + length] = -np.inf
        if start:
            before = max(start - width + 1, 0)
            not_reaching = flat[(start - before) * count + before : start : 1 - count]  # best_within[start - i, i]
            np.minimum(best[before:start], not_reaching, out=best[before:start])
    return candidates


def _log_lengths(starts: IntArray, stops: IntArray, width: int) -> FloatArray:
    """The logarithm of the characters of each span: [j, i] is of the j + 1 tokens from i on. (width, count)"""
    padded = np.concatenate([stops, np.repeat(stops[-1:], width - 1)]).astype(np.float32)
    lengths = _shifted(padded, width) - starts.astype(np.float32)
    return np.log(np.maximum(lengths, 1, out=lengths), out=lengths)  # what is no span may have no length


def _shifted(values: npt.NDArray[ScalarT], width: int) -> npt.NDArray[ScalarT]:
    """(width + count - 1) values as (width, count), in which [j, i] is values[i + j]. numpy's function is slower."""
    return np.ndarray((width, len(values) - width + 1), values.dtype, values, strides=2 * values.strides)


def trim_span(text: str, span: Span) -> Span:
    """The span without white space at its ends; empty for a span of white space alone.

    A white space that is the base of a combining mark is one character with it, and stays.
    """
    passage = text[span.start : span.end]
    first = len(passage) - len(passage.lstrip())
    last = len(passage.rstrip())
    if last <= first:
        return replace(span, start=span.start + first, end=span.start + first)
    first, last = cluster_start(passage, first), cluster_end(passage, last)
    return replace(span, start=span.start + first, end=span.start + last)

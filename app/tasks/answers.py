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
from app.text.windows import Window
from app.types import FloatArray

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
    """The best spans for one question, `N_BEST` at most, best first, and the scores of "no answer"."""

    spans: list[Span]
    null_score: float  # probability
    score_diff: float  # null logit less the best span's logit, as in the SQuAD scripts


@dataclass(frozen=True)
class _Candidate:
    first: int  # tokens of the document, inclusive
    last: int
    start: int  # code points of the text, half-open
    end: int
    logit: float

    def overlaps(self, other: "_Candidate") -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Candidates:
    """The best spans of one text for one question, best first, and the logit of "no answer"."""

    best: list[_Candidate]
    null_logit: float


def decode_answers(
    windows: Sequence[Window],
    start_logits: Sequence[FloatArray],
    end_logits: Sequence[FloatArray],
    bounds: AnswerBounds,
    *,
    max_answer_tokens: int,
    temperature: float,
) -> Answers:
    """The n-best answers over all windows of one question over one text: see `candidates_of` and `score_answers`."""
    found = candidates_of(windows, start_logits, end_logits, bounds, max_answer_tokens=max_answer_tokens)
    return score_answers([found], temperature=temperature)


def best_answers(
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
        bounds: of each text, as many as of the others; windows and logits are those of each text as well.
    """
    found: list[Candidates] = []
    for within in zip(*bounds, strict=True):
        found = [
            candidates_of(*of, max_answer_tokens=max_answer_tokens)
            for of in zip(windows, start_logits, end_logits, within, strict=True)
        ]
        if any(of.best for of in found):
            break
    return score_answers(found, temperature=temperature)


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
        candidates.sort(key=lambda candidate: (-candidate.logit, candidate.first, candidate.last))
        best = []
        for candidate in candidates:
            if not any(candidate.overlaps(better) for better in best):
                best.append(candidate)
                if len(best) == N_BEST:
                    break
    return Candidates(best, null_logit)


def score_answers(texts: Sequence[Candidates], *, temperature: float) -> Answers:
    """The n-best answers to one question over all texts, with their probabilities.

    Scores are a softmax over the logits of the `N_BEST` best spans and of the null span, [CLS] to [CLS]. The null logit
    is the lowest of all windows of all texts.
    """
    null_logit = min(found.null_logit for found in texts)
    best = [(candidate, text) for text, found in enumerate(texts) for candidate in found.best]
    if len(texts) > 1:  # the spans of one text are in order
        best = sorted(best, key=lambda of: -of[0].logit)[:N_BEST]
    # For so few values numpy takes longer.
    logits = [null_logit, *(candidate.logit for candidate, _ in best)]
    greatest = max(logits)
    shares = [math.exp((logit - greatest) / temperature) for logit in logits]
    total = sum(shares)
    spans = [
        Span(candidate.start, candidate.end, share / total, text)
        for (candidate, text), share in zip(best, shares[1:], strict=True)
    ]
    return Answers(spans, shares[0] / total, null_logit - best[0][0].logit if best else 0.0)


def _window_candidates(
    window: Window,
    start_logits: FloatArray,
    end_logits: FloatArray,
    bounds: AnswerBounds,
    max_answer_tokens: int,
) -> list[_Candidate]:
    """The best spans of one window that do not overlap, best first."""
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
        candidates.append(_Candidate(first, last, int(bounds.starts[first]), int(bounds.stops[last]), float(score)))
        # Take out every span that overlaps: the spans that start inside it, and the spans before it that reach into it.
        best[start : start + length] = -np.inf
        if start:
            before = max(start - width + 1, 0)
            not_reaching = flat[(start - before) * count + before : start : 1 - count]  # best_within[start - i, i]
            np.minimum(best[before:start], not_reaching, out=best[before:start])
    return candidates


def _shifted(values: npt.NDArray[ScalarT], width: int) -> npt.NDArray[ScalarT]:
    """(width + count - 1) values as (width, count), in which [j, i] is values[i + j]. numpy's function is slower."""
    return np.ndarray((width, len(values) - width + 1), values.dtype, values, strides=2 * values.strides)


def distinct_answers(texts: Sequence[str], spans: Sequence[Span]) -> list[Span]:
    """One span for each different answer of a text, most probable first.

    An answer that stands in several places keeps its best span, with the sum of all scores, as in the question
    answering pipeline of transformers: the sum says how probable the answer is, wherever it stands. Spans are trimmed
    of white space, and a span that is empty then is no answer.
    """
    best: dict[tuple[int, str], Span] = {}
    for span in (trim_span(texts[span.text], span) for span in spans):
        if span.start < span.end:
            answer = (span.text, texts[span.text][span.start : span.end])
            known = best.get(answer)
            best[answer] = span if known is None else replace(known, score=known.score + span.score)
    return sorted(best.values(), key=lambda span: -span.score)


def trim_span(text: str, span: Span) -> Span:
    """The span without white space at its ends; empty for a span of white space alone."""
    passage = text[span.start : span.end]
    start = span.start + len(passage) - len(passage.lstrip())
    return replace(span, start=start, end=start + len(passage.strip()))

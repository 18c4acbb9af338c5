"""Question answering: windows with the question in front, and answer spans with n-best and null score.

Deterministic: equal scores are settled by position. Knows nothing of queues, engines or HTTP.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.manifest import Manifest
from app.packing import Document
from app.schemas import Answer, QaRequest, QaResponse, QuestionResult
from app.settings import Settings
from app.tasks.answer_bounds import AnswerBounds, answer_bounds, block_bounds
from app.tasks.base import Budget, TaskSpec, check_characters, documents_of, encode, offsets_of, stride_for
from app.text.structure import structure_of
from app.text.tokenizer import Tokenizer
from app.text.windows import Window, context_room, question_windows
from app.types import FloatArray, Outputs

ScalarT = TypeVar("ScalarT", bound=np.generic)

# Spans that share the probability with "no answer"; how many are asked for changes no score.
N_BEST = 20


@dataclass(frozen=True)
class Span:
    """An answer: code points of the context, half-open, and its probability."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Answers:
    """The best spans for one question, `N_BEST` at most, best first, and what speaks for no answer at all."""

    spans: list[Span]
    null_score: float  # probability
    score_diff: float  # null logit less the best span's logit, as in the SQuAD scripts


@dataclass(frozen=True)
class _Candidate:
    first: int  # tokens of the document, inclusive
    last: int
    start: int  # code points of the context, half-open
    stop: int
    logit: float

    def overlaps(self, other: "_Candidate") -> bool:
        return self.first <= other.last and other.first <= self.last


class PreparedQa:
    """Questions about one context: every question has windows of its own over the same tokens."""

    def __init__(self, tokenizer: Tokenizer, manifest: Manifest, request: QaRequest, settings: Settings) -> None:
        questions = request.questions
        if len(questions) > settings.max_questions:
            raise InvalidInput(
                f"`question` holds {len(questions)} questions; at most {settings.max_questions} are allowed at once."
            )
        check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._temperature = manifest.temperature
        structure = structure_of(request.context)
        self._tokens = encode(tokenizer, request.context, "context", structure)
        self._bounds = answer_bounds(structure, self._tokens, segmented=manifest.segmenter != "none")
        self._loose_bounds = block_bounds(structure.blocks, self._tokens)
        self._windows: list[list[Window]] = []
        self.documents: list[Document] = []
        budget = Budget(manifest, settings)
        for question in questions:
            question_tokens = encode(tokenizer, question, "question")
            room = context_room(question_tokens, manifest.max_tokens)
            stride = request.doc_stride or stride_for(manifest, room, request.window_overlap)
            budget.expect(1 + -(-(len(self._tokens) - room) // stride), room)
            windows = question_windows(
                question_tokens,
                self._tokens,
                cls_id=tokenizer.cls_id,
                sep_id=tokenizer.sep_id,
                max_tokens=manifest.max_tokens,
                doc_stride=stride,
                overlap_token_type=manifest.overlap_token_type,
            )
            documents = documents_of(windows)
            budget.spend(documents)
            self._windows.append(windows)
            self.documents += documents

    def decode(self, outputs: Sequence[Outputs]) -> list[QuestionResult]:
        offsets = offsets_of(self._request.context, self._request.offset_unit)
        results: list[QuestionResult] = []
        first = 0
        for question, windows in zip(self._request.questions, self._windows, strict=True):
            results.append(self._decode_question(question, windows, outputs[first : first + len(windows)], offsets))
            first += len(windows)
        return results

    def _decode_question(
        self, question: str, windows: Sequence[Window], outputs: Sequence[Outputs], offsets: Sequence[int]
    ) -> QuestionResult:
        request = self._request
        best = decode_answers(
            windows,
            [output["start_logits"] for output in outputs],
            [output["end_logits"] for output in outputs],
            (self._bounds, self._loose_bounds),
            max_answer_tokens=request.max_answer_length,
            temperature=self._temperature,
        )
        threshold = request.null_score_diff_threshold
        found = [] if threshold is not None and best.score_diff > threshold else best.spans
        answers = [
            Answer(
                text=request.context[span.start : span.end],
                start=offsets[span.start],
                end=offsets[span.end],
                score=span.score,
            )
            for span in distinct_answers(request.context, found)[: request.top_k]
        ]
        return QuestionResult(
            question=question, answers=answers, null_score=best.null_score, score_diff=best.score_diff
        )


def decode_answers(
    windows: Sequence[Window],
    start_logits: Sequence[FloatArray],
    end_logits: Sequence[FloatArray],
    bounds: Sequence[AnswerBounds],
    *,
    max_answer_tokens: int,
    temperature: float,
) -> Answers:
    """The n-best answers over all windows of one question.

    A span may start only at a token that its window owns (max context), so no span is counted twice; no two answers
    overlap. Scores are a softmax over the logits of the `N_BEST` best spans and the null span, [CLS] to [CLS], of
    whichever window finds it least likely.

    Args:
        bounds: what the spans keep to: the first of these in which there is one.
    """
    null_logit = min(float(start[0] + end[0]) for start, end in zip(start_logits, end_logits, strict=True))
    best: list[_Candidate] = []
    for allowed in bounds:
        best = [
            candidate
            for window, start, end in zip(windows, start_logits, end_logits, strict=True)
            for candidate in _window_candidates(window, start, end, allowed, max_answer_tokens)
        ]
        if best:
            break
    if len(windows) > 1:  # those of one window are in order, and never overlap
        best = _without_overlaps(best)
    # A softmax over so few takes numpy longer.
    logits = [null_logit, *(candidate.logit for candidate in best)]
    greatest = max(logits)
    shares = [math.exp((logit - greatest) / temperature) for logit in logits]
    total = sum(shares)
    spans = [
        Span(candidate.start, candidate.stop, share / total) for candidate, share in zip(best, shares[1:], strict=True)
    ]
    return Answers(spans, shares[0] / total, null_logit - best[0].logit if best else 0.0)


def _without_overlaps(candidates: list[_Candidate]) -> list[_Candidate]:
    """The best `N_BEST` of which none overlaps a better one, best first."""
    best: list[_Candidate] = []
    for candidate in sorted(candidates, key=lambda candidate: (-candidate.logit, candidate.first, candidate.last)):
        if not any(candidate.overlaps(better) for better in best):
            best.append(candidate)
            if len(best) == N_BEST:
                break
    return best


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
        length = int(best_within[:, start].searchsorted(score))  # the shortest of equals
        first = window.first_token + start
        last = first + length - 1
        candidates.append(_Candidate(first, last, int(bounds.starts[first]), int(bounds.stops[last]), float(score)))
        # Take out every span that overlaps: those that start inside it, and those before it that reach into it.
        best[start : start + length] = -np.inf
        if start:
            before = max(start - width + 1, 0)
            not_reaching = flat[(start - before) * count + before : start : 1 - count]  # best_within[start - i, i]
            np.minimum(best[before:start], not_reaching, out=best[before:start])
    return candidates


def _shifted(values: npt.NDArray[ScalarT], width: int) -> npt.NDArray[ScalarT]:
    """(width + count - 1) values as (width, count), in which [j, i] is values[i + j]. numpy's own takes longer."""
    return np.ndarray((width, len(values) - width + 1), values.dtype, values, strides=2 * values.strides)


def distinct_answers(text: str, spans: Sequence[Span]) -> list[Span]:
    """One span for each answer, most probable first: where a text gives it more than once, the best of these spans.

    Its score is the sum of theirs, as in the question answering pipeline of transformers: how probable the answer is,
    wherever it is read. Spans are trimmed of white space; what is empty then is no answer.
    """
    best: dict[str, Span] = {}
    for span in (trim_span(text, span) for span in spans):
        if span.start < span.end:
            answer = text[span.start : span.end]
            known = best.get(answer)
            best[answer] = span if known is None else replace(known, score=known.score + span.score)
    return sorted(best.values(), key=lambda span: -span.score)


def trim_span(text: str, span: Span) -> Span:
    """The span without white space at its ends; empty when nothing else is in it."""
    passage = text[span.start : span.end]
    start = span.start + len(passage) - len(passage.lstrip())
    return Span(start, start + len(passage.strip()), span.score)


QA = TaskSpec("qa", QaRequest, QaResponse, PreparedQa, lambda results: {"results": results})

"""Decoding against slow and obvious implementations, and the properties every result has."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.answer_bounds import AnswerBounds
from app.tasks.answers import Answers, Span, best_answers, trim_span
from app.text.alignment import Tokens
from app.text.template import bert_template
from app.text.windows import Window, question_windows
from app.types import FloatArray

# Two characters for each token, no two alike, so that every span is another answer.
TEXT = "".join(chr(0x4E00 + index) for index in range(120))


def anywhere(context: Tokens) -> AnswerBounds:
    """One part of text, and any token with characters may bound an answer."""
    seen = context.ends > context.starts
    parts = np.zeros(len(context), dtype=np.int64)
    return AnswerBounds(seen, seen, context.starts, context.ends, parts, parts)


def tokens_of(length: int) -> Tokens:
    """Tokens of two characters each, every one a word."""
    starts = np.arange(length, dtype=np.int32) * 2
    return Tokens(np.arange(length, dtype=np.int32) + 10, starts, starts + 2, np.ones(length, dtype=np.bool_))


def windows_of(context: Tokens, question: int, max_tokens: int, doc_stride: int) -> list[Window]:
    return question_windows(
        tokens_of(question),
        context,
        template=bert_template(0, 1),
        max_tokens=max_tokens,
        doc_stride=doc_stride,
        overlap_token_type=None,
    )


def decode_answers(
    text: str,
    windows: list[Window],
    start_logits: list[FloatArray],
    end_logits: list[FloatArray],
    bounds: AnswerBounds,
    *,
    max_answer_tokens: int,
    temperature: float,
) -> Answers:
    """The answers in one text, within these bounds alone."""
    return best_answers(
        [text],
        [[bounds]],
        [windows],
        [start_logits],
        [end_logits],
        max_answer_tokens=max_answer_tokens,
        temperature=temperature,
    )


def logits_of(windows: list[Window], seed: int, decimals: int = 6) -> tuple[list[FloatArray], list[FloatArray]]:
    rng = np.random.default_rng(seed)

    def draw(window: Window) -> FloatArray:
        return rng.normal(size=len(window.input_ids)).round(decimals).astype(np.float32)

    return [draw(window) for window in windows], [draw(window) for window in windows]


@given(
    length=st.integers(1, 40),
    room=st.integers(5, 40),
    stride=st.integers(1, 40),
    max_answer_tokens=st.integers(1, 12),
    seed=st.integers(0, 1000),
)
def test_best_answer_is_the_best_of_all_spans_within_the_bounds(
    length: int, room: int, stride: int, max_answer_tokens: int, seed: int
) -> None:
    context = tokens_of(length)
    rng = np.random.default_rng(seed)
    begins, finishes = rng.random((2, length)) < 0.8
    parts_at_start, parts_at_end = np.sort(rng.integers(0, 4, (2, length)), axis=1)
    bounds = AnswerBounds(begins, finishes, context.starts, context.ends, parts_at_start, parts_at_end)
    windows = windows_of(context, 3, room + 6, min(stride, room))
    starts, ends = logits_of(windows, seed)
    every = []
    for window, start, end in zip(windows, starts, ends, strict=True):
        for first in range(window.context_length):
            for last in range(first, min(first + max_answer_tokens, window.context_length)):
                token, other = window.first_token + first, window.first_token + last
                whole = begins[token] and finishes[other] and parts_at_start[token] == parts_at_end[other]
                if window.owned[first] and whole:
                    at = window.context_start
                    logit = float(start[at + first] + end[at + last])
                    every.append((logit - math.log(2 * (last - first + 1)), logit, token, other))
    answers = decode_answers(TEXT, windows, starts, ends, bounds, max_answer_tokens=max_answer_tokens, temperature=1.0)
    if not every:
        assert answers.spans == []
        return
    _, logit, first, last = max(every)
    assert (answers.spans[0].start, answers.spans[0].end) == (first * 2, last * 2 + 2)
    null = min(float(start[0] + end[0]) for start, end in zip(starts, ends, strict=True))
    assert answers.score_diff == pytest.approx(null - logit, abs=1e-6)
    assert 0 <= answers.null_score <= 1
    assert all(0 <= span.score <= 1 for span in answers.spans)
    assert [span.score for span in answers.spans] == sorted((span.score for span in answers.spans), reverse=True)
    for one, two in itertools.combinations(answers.spans, 2):
        assert one.end <= two.start or two.end <= one.start


def test_n_best_of_one_window_is_exact() -> None:
    """Greedy over all spans, as a slow loop does it."""
    context = tokens_of(60)
    windows = windows_of(context, 3, 100, 50)
    starts, ends = logits_of(windows, 7)
    at = windows[0].context_start
    every = sorted(
        (
            (float(starts[0][at + i] + ends[0][at + j]) - math.log(2 * (j - i + 1)), i, j)
            for i in range(60)
            for j in range(i, min(i + 8, 60))
        ),
        reverse=True,
    )
    kept: list[tuple[int, int]] = []
    for _, i, j in every:
        if all(j < a or b < i for a, b in kept):
            kept.append((i, j))
    answers = decode_answers(TEXT, windows, starts, ends, anywhere(context), max_answer_tokens=8, temperature=1.0)
    assert [(span.start // 2, span.end // 2 - 1) for span in answers.spans] == kept[:20]


def test_of_two_equally_likely_ends_the_nearer_one_wins() -> None:
    """The end of another answer further on is a little more likely: 8 characters against 2, a logarithm of 4 apart."""
    context = tokens_of(4)
    windows = windows_of(context, 1, 20, 10)
    at = windows[0].context_start
    start, end = (np.zeros(len(windows[0].input_ids), dtype=np.float32) for _ in range(2))
    start[at], end[at], end[at + 3] = 5, 5, 6
    (span, *_) = decode_answers(
        TEXT, windows, [start], [end], anywhere(context), max_answer_tokens=8, temperature=1.0
    ).spans
    assert (span.start, span.end) == (0, 2)
    end[at + 3] = 7
    (span, *_) = decode_answers(
        TEXT, windows, [start], [end], anywhere(context), max_answer_tokens=8, temperature=1.0
    ).spans
    assert (span.start, span.end) == (0, 8)


def test_temperature_flattens_scores_and_keeps_the_order() -> None:
    context = tokens_of(50)
    windows = windows_of(context, 3, 100, 50)
    starts, ends = logits_of(windows, 3)
    sharp, flat = (
        decode_answers(TEXT, windows, starts, ends, anywhere(context), max_answer_tokens=5, temperature=temperature)
        for temperature in (1.0, 10.0)
    )
    assert [(span.start, span.end) for span in sharp.spans] == [(span.start, span.end) for span in flat.spans]
    assert sharp.spans[0].score > flat.spans[0].score
    assert sharp.score_diff == flat.score_diff


def test_tokens_without_characters_bound_no_answer() -> None:
    context = tokens_of(4)
    context.ends[1] = context.starts[1]
    windows = windows_of(context, 1, 20, 10)
    start = np.zeros(len(windows[0].input_ids), dtype=np.float32)
    start[windows[0].context_start + 1] = 9
    answers = decode_answers(TEXT, windows, [start], [start], anywhere(context), max_answer_tokens=1, temperature=1.0)
    assert len(answers.spans) == 3
    context.ends[:] = context.starts
    answers = decode_answers(TEXT, windows, [start], [start], anywhere(context), max_answer_tokens=1, temperature=1.0)
    assert (answers.spans, answers.null_score, answers.score_diff) == ([], 1.0, 0.0)


def test_an_answer_that_stands_in_several_places_is_one_answer() -> None:
    """Two places of a weight of 4 weigh 4 + log(2) together: more than one of 4.5, at any temperature."""
    text = "奈良京都大阪 京都"
    starts = np.array([0, 2, 4, 6], dtype=np.int32)
    context = Tokens(starts, starts, np.array([2, 4, 6, 9], dtype=np.int32), np.ones(4, dtype=np.bool_))
    windows = windows_of(context, 1, 20, 10)
    at = windows[0].context_start
    logits = np.full(len(windows[0].input_ids), -50, dtype=np.float32)
    logits[at : at + 4] = [2.25, 2, 1, 2 + math.log(3 / 2) / 2]  # half a weight and half of the logarithm of the length
    for temperature in (1.0, 10.0):
        answers = decode_answers(
            text, windows, [logits], [logits], anywhere(context), max_answer_tokens=1, temperature=temperature
        )
        assert [(span.start, span.end) for span in answers.spans] == [(2, 4), (0, 2), (4, 6)]
    weights = np.array([4 + math.log(2), 4.5, 2, -100 + math.log(2)])
    shares = np.exp(weights / 10) / np.exp(weights / 10).sum()
    assert [*(span.score for span in answers.spans), answers.null_score] == pytest.approx(shares.tolist())


def test_trim_span() -> None:
    assert trim_span("あ　い \n", Span(1, 5, 0.5)) == Span(2, 3, 0.5)
    blank = trim_span("あ　い", Span(1, 2, 0.5))
    assert blank.start == blank.end

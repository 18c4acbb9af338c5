"""Decoding against slow and obvious implementations, and the properties every result has."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.decode import (
    FloatArray,
    Span,
    block_starts,
    decode_answers,
    decode_labels,
    decode_summary,
    distinct_answers,
    join_summary,
    sentence_probabilities,
    trim_span,
    utf16_offsets,
)
from app.errors import InvalidInput
from app.repetition import Floats, Repetition
from app.text.sentences import split_sentences
from app.text.structure import structure_of
from app.text.tokenizer import Tokens
from app.text.windows import SentenceWindow, Window, question_windows

ONE = np.zeros(0, dtype=np.int32)  # block and no other


def tokens_of(length: int) -> Tokens:
    """Tokens of two characters each, every one a word."""
    starts = np.arange(length, dtype=np.int32) * 2
    return Tokens(np.arange(length, dtype=np.int32) + 10, starts, starts + 2, np.ones(length, dtype=np.bool_))


def windows_of(context: Tokens, question: int, max_tokens: int, doc_stride: int) -> list[Window]:
    return question_windows(
        tokens_of(question),
        context,
        cls_id=0,
        sep_id=1,
        max_tokens=max_tokens,
        doc_stride=doc_stride,
        overlap_token_type=None,
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
    bounds=st.lists(st.integers(0, 40), max_size=3),
    seed=st.integers(0, 1000),
)
def test_best_answer_is_the_best_of_all_spans_within_a_paragraph(
    length: int, room: int, stride: int, max_answer_tokens: int, bounds: list[int], seed: int
) -> None:
    context = tokens_of(length)
    paragraphs = np.array(sorted(min(bound, length) for bound in bounds), dtype=np.int32)
    paragraph_of = np.searchsorted(paragraphs, np.arange(length), side="right")
    windows = windows_of(context, 3, room + 6, min(stride, room))
    starts, ends = logits_of(windows, seed)
    every = []
    for window, start, end in zip(windows, starts, ends, strict=True):
        for first in range(window.context_length):
            for last in range(first, min(first + max_answer_tokens, window.context_length)):
                ends_of_span = [window.first_token + first, window.first_token + last]
                if window.owned[first] and len(set(paragraph_of[ends_of_span])) == 1:
                    at = window.context_start
                    score = float(start[at + first] + end[at + last])
                    every.append((score, window.first_token + first, window.first_token + last))
    answers = decode_answers(
        windows, starts, ends, context, paragraphs, max_answer_tokens=max_answer_tokens, temperature=1.0
    )
    score, first, last = max(every)
    assert (answers.spans[0].start, answers.spans[0].end) == (first * 2, last * 2 + 2)
    null = min(float(start[0] + end[0]) for start, end in zip(starts, ends, strict=True))
    assert answers.score_diff == pytest.approx(null - score, abs=1e-6)
    assert 0 <= answers.null_score <= 1
    assert all(0 <= span.score <= 1 for span in answers.spans)
    assert [span.score for span in answers.spans] == sorted((span.score for span in answers.spans), reverse=True)
    for one, other in itertools.combinations(answers.spans, 2):
        assert one.end <= other.start or other.end <= one.start


def test_n_best_of_one_window_is_exact() -> None:
    """Greedy over all spans, as a slow loop does it."""
    context = tokens_of(60)
    windows = windows_of(context, 3, 100, 50)
    starts, ends = logits_of(windows, 7)
    at = windows[0].context_start
    every = sorted(
        ((float(starts[0][at + i] + ends[0][at + j]), i, j) for i in range(60) for j in range(i, min(i + 8, 60))),
        reverse=True,
    )
    kept: list[tuple[int, int]] = []
    for _, i, j in every:
        if all(j < a or b < i for a, b in kept):
            kept.append((i, j))
    answers = decode_answers(windows, starts, ends, context, ONE, max_answer_tokens=8, temperature=1.0)
    assert [(span.start // 2, span.end // 2 - 1) for span in answers.spans] == kept[:20]


def test_the_tokens_that_begin_a_block_bound_answers() -> None:
    text = "見出し\n\n本文。\n・項目"
    tokens = tokens_at((0, 3), (5, 7), (7, 8), (9, 10), (10, 12))
    assert block_starts(structure_of(text).blocks, tokens).tolist() == [1, 3]


def test_temperature_flattens_scores_and_keeps_the_order() -> None:
    context = tokens_of(50)
    windows = windows_of(context, 3, 100, 50)
    starts, ends = logits_of(windows, 3)
    sharp, flat = (
        decode_answers(windows, starts, ends, context, ONE, max_answer_tokens=5, temperature=temperature)
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
    answers = decode_answers(windows, [start], [start], context, ONE, max_answer_tokens=1, temperature=1.0)
    assert len(answers.spans) == 3
    context.ends[:] = context.starts
    answers = decode_answers(windows, [start], [start], context, ONE, max_answer_tokens=1, temperature=1.0)
    assert (answers.spans, answers.null_score, answers.score_diff) == ([], 1.0, 0.0)


def test_an_answer_that_stands_in_several_places_is_one_answer() -> None:
    text = "京都、奈良、 京都 、大阪"
    spans = [Span(3, 5, 0.3), Span(0, 2, 0.25), Span(6, 10, 0.2), Span(11, 13, 0.1), Span(6, 7, 0.05)]
    assert distinct_answers(text, spans) == [Span(0, 2, 0.45), Span(3, 5, 0.3), Span(11, 13, 0.1)]


def test_trim_span() -> None:
    assert trim_span("あ　い \n", Span(1, 5, 0.5)) == Span(2, 3, 0.5)
    blank = trim_span("あ　い", Span(1, 2, 0.5))
    assert blank.start == blank.end


def test_labels_are_averaged_by_tokens() -> None:
    logits = [np.array([0, 100], dtype=np.float32), np.array([100, 0], dtype=np.float32)]
    assert decode_labels(logits, [30, 10], temperature=1.0, top_k=None) == [(1, 0.75), (0, 0.25)]
    assert decode_labels(logits, [30, 10], temperature=1.0, top_k=1) == [(1, 0.75)]
    assert decode_labels(logits, [1, 1], temperature=1.0, top_k=5) == [(0, 0.5), (1, 0.5)], "equals keep their order"
    (_, hot), (_, cold) = decode_labels([np.array([0, 1], dtype=np.float32)], [1], temperature=2.0, top_k=None)
    assert hot == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert hot + cold == pytest.approx(1)


def test_the_temperature_of_labels_acts_on_the_mean_over_windows() -> None:
    logits = [np.array([0, 100], dtype=np.float32), np.array([100, 0], dtype=np.float32)]
    (first, high), (_, low) = decode_labels(logits, [30, 10], temperature=2.0, top_k=None)
    assert first == 1
    assert [high, low] == pytest.approx([3**0.5 / (3**0.5 + 1), 1 / (3**0.5 + 1)])
    impossible = [np.array([0, -2000], dtype=np.float32)]
    assert decode_labels(impossible, [1], temperature=0.5, top_k=None) == [(0, 1.0), (1, 0.0)]


def test_the_probability_of_a_sentence_is_that_of_the_mean_logit_of_its_tokens() -> None:
    ids = np.zeros(6, dtype=np.int32)
    windows = [SentenceWindow(ids, ids, np.array(places, dtype=np.int32)) for places in ([0, 4], [0, 2, 3])]
    logits = [np.array(row, dtype=np.float32) for row in ([8, 0, 0, 0, -1e9, 9], [-3, 3, 1e9, -9, 0, 3])]
    high = 1 / (1 + np.exp(-1))
    probabilities = sentence_probabilities(windows, logits, temperature=2.0)
    assert probabilities == pytest.approx([high, 0, 0.5, 1, 1 - high])


def tokens_at(*places: tuple[int, int]) -> Tokens:
    starts, ends = np.array(places, dtype=np.int32).T
    return Tokens(np.zeros(len(places), dtype=np.int32), starts, ends, np.ones(len(places), dtype=np.bool_))


TEXT = "犬が走る。猫は寝た。鳥も鳴く。魚の泳ぎ。"  # no bigram twice but that of 。 and nothing


def choose(probabilities: list[float], text: str = TEXT, **length: float) -> list[int]:
    return decode_summary(text, split_sentences(text), np.array(probabilities), **length)  # type: ignore[arg-type]


def test_summary_is_chosen_by_score_and_kept_in_document_order() -> None:
    assert choose([0.1, 0.9, 0.2, 0.8], max_sentences=2) == [1, 3]
    assert choose([0.5, 0.5, 0.5, 0.5], max_sentences=2) == [0, 1], "equals: the first"
    assert choose([0.1, 0.9, 0.2, 0.8], max_sentences=9) == [0, 1, 2, 3]


def test_ratio_is_of_sentences_and_never_nothing() -> None:
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=0.5) == [1, 3]
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=0.01) == [1]
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=1.0) == [0, 1, 2, 3]
    ten = "".join(f"{number}番目の文。" for number in range(10))
    assert len(choose([0.5] * 10, ten, ratio=0.7)) == 7, "0.7 * 10 is a little more than 7 in binary"


def test_what_adds_nothing_to_the_selected_sentences_is_never_taken() -> None:
    text = "犬が走る。犬が走る。猫が眠る。"
    assert choose([0.9, 0.9, 0.1], text, max_sentences=2) == [0, 2]
    assert choose([0.9, 0.9, 0.1], text, max_sentences=3) == [0, 2], "shorter than its limit"
    assert choose([0.1, 0.9, 0.1], text, ratio=1.0) == [1, 2]
    # Ten of eleven bigrams are held already: the same sentence in other punctuation.
    assert choose([0.9, 0.8], "二人は駅で会ったのだ。\n二人は駅で会ったのだ！", ratio=1.0) == [0, 1]
    assert choose(
        [0.9, 0.8],
        "二人は駅前の広場で偶然に再会したのだそうだ。\n二人は駅前の広場で偶然に再会したのだそうだ！",
        ratio=1.0,
    ) == [0]


def test_diversity_passes_over_what_repeats_a_little() -> None:
    text = "犬が走る。犬が走った。猫は寝た。"
    probabilities = [0.9, 0.9, 0.7]
    assert choose(probabilities, text, max_sentences=2) == [0, 1]
    assert choose(probabilities, text, max_sentences=2, diversity=0.5) == [0, 2]
    assert choose(probabilities, text, max_sentences=1, diversity=1.0) == [0]


def test_characters_are_never_exceeded_and_what_fits_is_taken() -> None:
    longer = "犬が走る。猫は何匹も寝た。鳥も鳴く。魚の泳ぎ。"
    assert choose([0.9, 0.4, 0.4, 0.1], longer, max_characters=11) == [0, 2], (
        "the second no longer fits, the third does"
    )
    with pytest.raises(InvalidInput, match="shortest has 5 characters"):
        choose([0.9, 0.8, 0.7, 0.1], max_characters=4)
    assert choose([0.1, 0.2, 0.9, 0.8], max_characters=5) == [2]


@pytest.mark.parametrize("length", [{"ratio": 0.999}, {"max_characters": 20_000}, {"ratio": 0.999, "diversity": 0.5}])
def test_a_summary_of_most_of_a_text_does_not_go_through_it_for_every_sentence(
    length: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(f"{chr(0x4E00 + number)}。" for number in range(10_000))
    passes = 0
    shares = Repetition.shares

    def counted(self: Repetition) -> Floats:
        nonlocal passes
        passes += 1
        return shares(self)

    monkeypatch.setattr(Repetition, "shares", counted)
    probabilities = np.random.default_rng(0).random(10_000)
    chosen = choose(probabilities.tolist(), text, **length)
    left_out = sorted(set(range(10_000)) - set(chosen))
    assert left_out == sorted(np.argsort(probabilities)[: len(left_out)].tolist())
    assert len(left_out) == (10 if "ratio" in length else 3_333)
    assert passes < 1_000


@given(
    parts=st.lists(st.text("あいう。「」 ", min_size=1, max_size=9), min_size=1, max_size=12),
    max_characters=st.integers(1, 60),
    diversity=st.sampled_from([0.0, 0.4, 1.0]),
    seed=st.integers(0, 100),
)
def test_a_joined_summary_keeps_within_its_characters(
    parts: list[str], max_characters: int, diversity: float, seed: int
) -> None:
    text = "\n".join(parts)
    sentences = split_sentences(text)
    if not sentences or min(sentence.end - sentence.start for sentence in sentences) > max_characters:
        return
    probabilities = np.random.default_rng(seed).random(len(sentences))
    selected = decode_summary(text, sentences, probabilities, max_characters=max_characters, diversity=diversity)
    summary = join_summary([text[sentences[index].start : sentences[index].end] for index in selected])
    assert selected == sorted(set(selected))
    assert 0 < len(summary) <= max_characters


def test_join_summary() -> None:
    parts = ["見出し", "文だ。", "「そうだ」", "・項目", "終わり"]
    assert join_summary(parts) == "見出し\n文だ。「そうだ」・項目\n終わり"
    assert join_summary([]) == ""


@given(st.text(max_size=30))
def test_utf16_offsets(text: str) -> None:
    offsets = utf16_offsets(text)
    assert [len(text[:end].encode("utf-16-le")) // 2 for end in range(len(text) + 1)] == offsets.tolist()

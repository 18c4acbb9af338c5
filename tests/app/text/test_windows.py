import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.text.sentences import Sentence
from app.text.template import Frame, Template, bert_template
from app.text.tokenizer import Tokens
from app.text.windows import (
    SentenceWindow,
    Window,
    context_room,
    question_windows,
    sentence_windows,
    text_windows,
    tokens_of_sentences,
)
from app.types import IntArray

CLS, SEP = 1, 2
BERT = bert_template(CLS, SEP)


def numbers(*values: int) -> IntArray:
    return np.array(values, dtype=np.int32)


# Two special tokens of one type between texts, and two before the first.
DOUBLED = Template(
    Frame((numbers(1, 3), numbers(2)), (numbers(0, 0), numbers(0)), (0,)),
    Frame((numbers(1, 3), numbers(2, 2), numbers(4)), (numbers(0, 0), numbers(0, 0), numbers(0)), (0, 0)),
)


def tokens(ids: Sequence[int]) -> Tokens:
    positions = np.arange(len(ids), dtype=np.int32)
    return Tokens(np.array(ids, dtype=np.int32), positions, positions + 1, np.ones(len(ids), dtype=np.bool_))


def ask(
    question: Tokens,
    context: Tokens,
    max_tokens: int,
    doc_stride: int,
    overlap: int | None = None,
    template: Template = BERT,
) -> list[Window]:
    return question_windows(
        question,
        context,
        template=template,
        max_tokens=max_tokens,
        doc_stride=doc_stride,
        overlap_token_type=overlap,
    )


def read(
    text: Tokens, pair: Tokens | None, max_tokens: int, doc_stride: int, template: Template = BERT
) -> list[Window]:
    return text_windows(text, pair, template=template, max_tokens=max_tokens, doc_stride=doc_stride)


def mark(sentences: Sequence[Tokens], max_tokens: int, types: Sequence[int] | None = None) -> list[SentenceWindow]:
    types = [0] * len(sentences) if types is None else types
    return sentence_windows(sentences, types, template=BERT, max_tokens=max_tokens)


def check_windows(windows: list[Window], context: Tokens, max_tokens: int) -> None:
    """What holds for windows of every kind: together they show the text, and every token has exactly one owner."""
    owners = np.zeros(len(context), dtype=np.int64)
    for window in windows:
        assert len(window.input_ids) == len(window.token_type_ids) <= max_tokens
        assert window.input_ids.dtype == window.token_type_ids.dtype == np.int32
        assert len(window.owned) == window.context_length
        stretch = slice(window.first_token, window.first_token + window.context_length)
        inside = slice(window.context_start, window.context_start + window.context_length)
        assert np.array_equal(window.input_ids[inside], context.ids[stretch])
        owners[stretch] += window.owned
    assert (owners == 1).all()


def squad_owner(windows: list[Window], token: int) -> int:
    """The rule as the SQuAD scripts write it, token by token."""
    best, owner = -1.0, -1
    for index, window in enumerate(windows):
        left = token - window.first_token
        right = window.first_token + window.context_length - 1 - token
        if min(left, right) < 0:
            continue
        score = min(left, right) + 0.01 * window.context_length
        if score > best:
            best, owner = score, index
    return owner


lengths = st.integers(0, 200)


@given(
    question_length=st.integers(0, 20), context_length=lengths, max_tokens=st.integers(4, 64), stride=st.integers(1, 64)
)
def test_question_windows(question_length: int, context_length: int, max_tokens: int, stride: int) -> None:
    question = tokens(range(1000, 1000 + question_length))
    context = tokens(range(100, 100 + context_length))
    room = context_room(question, max_tokens, BERT)
    assume(stride <= room)

    windows = ask(question, context, max_tokens, stride)

    check_windows(windows, context, max_tokens)
    assert [window.first_token for window in windows] == [stride * index for index in range(len(windows))]
    # No window more than needed.
    assert len(windows) == 1 or windows[-2].first_token + room < context_length
    for index, window in enumerate(windows):
        assert window.question_length == window.context_start == question_length + 2
        assert window.input_ids.tolist() == [
            CLS,
            *question.ids,
            SEP,
            *context.ids[window.first_token : window.first_token + room],
            SEP,
        ]
        assert window.token_type_ids.tolist() == [0] * (question_length + 2) + [1] * (window.context_length + 1)
        owned = window.first_token + np.flatnonzero(window.owned)
        assert all(squad_owner(windows, int(token)) == index for token in owned)


def test_windows_have_the_special_tokens_of_the_template() -> None:
    windows = ask(tokens([7, 8]), tokens([10, 11, 12]), max_tokens=9, doc_stride=2, overlap=5, template=DOUBLED)

    assert [window.input_ids.tolist() for window in windows] == [
        [1, 3, 7, 8, 2, 2, 10, 11, 4],
        [1, 3, 7, 8, 2, 2, 12, 4],
    ]
    assert [window.token_type_ids.tolist() for window in windows] == [[0] * 9, [0] * 8]
    assert [(window.context_start, window.question_length) for window in windows] == [(6, 6), (6, 6)]


@pytest.mark.parametrize(
    ("pair", "expected"), [(None, [[1, 3, 10, 11, 2], [1, 3, 12, 2]]), ([7], [[1, 3, 10, 11, 2, 2, 7, 4]])]
)
def test_windows_of_text_have_the_special_tokens_of_the_template(
    pair: list[int] | None, expected: list[list[int]]
) -> None:
    windows = read(
        tokens([10, 11, 12]),
        None if pair is None else tokens(pair),
        max_tokens=5 if pair is None else 8,
        doc_stride=2,
        template=DOUBLED,
    )

    assert [window.input_ids.tolist() for window in windows][: len(expected)] == expected
    assert {window.context_start for window in windows} == {2}


def test_every_token_of_a_question_found_in_the_context_is_marked() -> None:
    windows = ask(tokens([7, 8, 9]), tokens([5, 8, 6, 7, 8, SEP]), max_tokens=8, doc_stride=2, overlap=2)

    assert [window.token_type_ids.tolist() for window in windows] == [
        [0, 0, 0, 0, 0, 1, 2, 1],
        [0, 0, 0, 0, 0, 1, 2, 1],
        [0, 0, 0, 0, 0, 2, 1, 1],
    ]


def test_empty_context_is_one_window_without_context() -> None:
    (window,) = ask(tokens([7]), tokens([]), max_tokens=10, doc_stride=1)

    assert window.input_ids.tolist() == [CLS, 7, SEP, SEP]
    assert window.context_length == len(window.owned) == 0


def test_a_question_that_fills_the_window_is_refused_with_the_limit() -> None:
    assert len(ask(tokens(range(6)), tokens([5]), max_tokens=10, doc_stride=1)) == 1
    with pytest.raises(InvalidInput, match=r"question has 7 tokens; at most 6"):
        ask(tokens(range(7)), tokens([5]), max_tokens=10, doc_stride=1)


@pytest.mark.parametrize("stride", [0, -1, 7])
def test_a_doc_stride_that_would_skip_tokens_is_refused(stride: int) -> None:
    with pytest.raises(InvalidInput, match="between 1 and 6"):
        ask(tokens([7]), tokens(range(50)), max_tokens=10, doc_stride=stride)


@given(
    text_length=lengths,
    pair_length=st.none() | st.integers(0, 20),
    max_tokens=st.integers(4, 64),
    stride=st.integers(1, 64),
)
def test_text_windows(text_length: int, pair_length: int | None, max_tokens: int, stride: int) -> None:
    text = tokens(range(100, 100 + text_length))
    pair = None if pair_length is None else tokens(range(1000, 1000 + pair_length))
    room = context_room(pair, max_tokens, BERT)
    assume(stride <= room)

    windows = read(text, pair, max_tokens, stride)

    check_windows(windows, text, max_tokens)
    if text_length <= room:
        assert len(windows) == 1
    suffix = [] if pair is None else [*pair.ids, SEP]
    for window in windows:
        assert window.question_length == 0
        assert window.context_start == 1
        assert window.input_ids.tolist() == [CLS, *text.ids[window.first_token :][:room], SEP, *suffix]
        assert window.token_type_ids.tolist() == [0] * (window.context_length + 2) + [1] * len(suffix)


def test_a_pair_that_fills_the_window_is_refused_with_the_limit() -> None:
    with pytest.raises(InvalidInput, match=r"second text has 7 tokens; at most 6"):
        read(tokens([5]), tokens(range(7)), max_tokens=10, doc_stride=1)


@given(sentence_lengths=st.lists(st.integers(0, 40), max_size=60), max_tokens=st.integers(3, 60))
@example(sentence_lengths=[20] + [1] * 41, max_tokens=22)
def test_sentence_windows(sentence_lengths: list[int], max_tokens: int) -> None:
    sentences = [tokens(range(100 * (i + 1), 100 * (i + 1) + length)) for i, length in enumerate(sentence_lengths)]

    windows = mark(sentences, max_tokens)

    shown = [sentence.ids[: max_tokens - 2].tolist() for sentence in sentences]
    # Every sentence in one window, in order, between its own special tokens.
    assert [token for window in windows for token in window.input_ids.tolist()] == [
        token for ids in shown for token in (CLS, *ids, SEP)
    ]
    for window in windows:
        assert 0 < len(window.input_ids) <= max_tokens
        assert not window.token_type_ids.any()
        assert window.input_ids[[0, -1]].tolist() == [CLS, SEP]
        assert window.starts.tolist() == np.flatnonzero(window.input_ids == CLS).tolist()
    assert sum(len(window.starts) for window in windows) == len(sentences)
    sizes = [len(window.input_ids) for window in windows]
    # Neighbours that would fit in one window are in one.
    assert all(first + second > max_tokens for first, second in itertools.pairwise(sizes))


def test_sentence_windows_are_evenly_full() -> None:
    windows = mark([tokens([5] * 8)] * 41, max_tokens=100)  # 10 tokens each: a greedy cut would leave one sentence over

    assert sorted(int((window.input_ids == CLS).sum()) for window in windows) == [8, 8, 8, 8, 9]


def test_one_long_sentence_does_not_make_the_last_window_tiny() -> None:
    windows = mark([tokens([5] * 98), *[tokens([5] * 8)] * 21], max_tokens=100)

    assert [len(window.input_ids) for window in windows] == [100, 70, 70, 70]


def test_a_sentence_and_its_special_tokens_have_the_sentences_type() -> None:
    sentences = [tokens([5, 6]), tokens([7]), tokens([])]

    windows = mark(sentences, max_tokens=7, types=[2, 0, 1])

    assert [window.token_type_ids.tolist() for window in windows] == [[2, 2, 2, 2], [0, 0, 0, 1, 1]]


def test_the_tokens_of_a_sentence_are_those_that_start_in_it() -> None:
    text = tokens(range(8))  # one character each

    sentences = tokens_of_sentences(text, [Sentence(1, 3), Sentence(3, 4), Sentence(6, 8)])

    assert [sentence.ids.tolist() for sentence in sentences] == [[1, 2], [3], [6, 7]]


def test_no_sentences_no_windows() -> None:
    assert mark([], max_tokens=100) == []


def test_a_window_without_room_for_a_sentence_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 3"):
        mark([tokens([5])], max_tokens=2)

"""The inputs of a pre-training step, and the tokens it must predict."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import SPECIAL_TOKENS
from training.config import ConfigError, PretrainConfig
from training.data import DataError
from training.pretrain.masking import Schedule, Vocabulary, choose_words, draw_sequence
from training.pretrain.token_stream import TokenStream

CLS, SEP, MASK = (SPECIAL_TOKENS.index(name) for name in ("[CLS]", "[SEP]", "[MASK]"))


@pytest.fixture
def vocabulary(character_tokenizer_file: Path) -> Vocabulary:
    return Vocabulary.read(character_tokenizer_file, CLS, SEP)


def _stream(tokens: int) -> TokenStream:
    """Words of two tokens; the ids count up from 5, over and over."""
    ids = np.arange(tokens, dtype=np.uint16) % 20 + 5
    return TokenStream(ids, np.arange(tokens) % 2 == 0, "")


def test_words_are_chosen_whole_and_special_tokens_never(vocabulary: Vocabulary) -> None:
    ids = np.array([CLS, 5, 6, 7, 8, SEP, 9, 10, SEP], dtype=np.int32)
    word_starts = np.array([1, 1, 0, 1, 0, 1, 1, 0, 1], dtype=np.bool_)
    seen = {tuple(choose_words(ids, word_starts, 0.5, vocabulary, np.random.default_rng(n))) for n in range(200)}
    assert seen == {(1, 2), (3, 4), (6, 7), (1, 2, 3, 4), (1, 2, 6, 7), (3, 4, 6, 7), (1, 2, 3, 4, 6, 7)}


def test_one_word_is_chosen_where_chance_gives_none(vocabulary: Vocabulary) -> None:
    ids = np.array([CLS, 5, 6, SEP], dtype=np.int32)
    word_starts = np.array([1, 1, 0, 1], dtype=np.bool_)
    assert choose_words(ids, word_starts, 1e-9, vocabulary, np.random.default_rng(0)).tolist() == [1, 2]
    only_special = np.array([CLS, 1, SEP, SEP], dtype=np.int32)
    assert choose_words(only_special, word_starts, 0.5, vocabulary, np.random.default_rng(0)).tolist() == []


def test_of_the_tokens_to_guess_most_are_masked(vocabulary: Vocabulary) -> None:
    config = PretrainConfig(corpus=True, tokenizer="t", lengths={"4096": 1.0}, shifted_share=0.5)
    stream = _stream(10_000)
    sequence = draw_sequence(stream, 100, 4096, config, vocabulary, 4096, np.random.default_rng(3))
    ids, masked = sequence.document.input_ids, sequence.masked
    original = np.concatenate([[CLS], stream.ids[100:4194], [SEP]])
    assert (ids[0], ids[-1], len(ids)) == (CLS, SEP, 4096)
    np.testing.assert_array_equal(original[masked], sequence.targets)
    untouched = np.setdiff1d(np.arange(4096), masked)
    np.testing.assert_array_equal(ids[untouched], original[untouched])
    assert len(masked) / 4096 == pytest.approx(0.15, abs=0.02)
    assert np.mean(ids[masked] == MASK) == pytest.approx(0.8, abs=0.05)
    # One in ten stays, and of the tenth that is drawn at random about one in thirty is drawn unchanged.
    assert np.mean(ids[masked] == sequence.targets) == pytest.approx(0.1, abs=0.04)
    assert not np.isin(ids[1:-1], [0, 1, CLS, SEP]).any()


def test_token_types_and_shifts_are_drawn_for_each_sequence(vocabulary: Vocabulary) -> None:
    config = PretrainConfig(corpus=True, tokenizer="t", lengths={"32": 1.0}, shifted_share=0.5, token_types=3)
    drawn = [draw_sequence(_stream(100), 0, 32, config, vocabulary, 64, np.random.default_rng(n)) for n in range(100)]
    assert {tuple(np.unique(sequence.document.token_type_ids)) for sequence in drawn} == {(0,), (1,), (2,)}
    shifts = [sequence.shift for sequence in drawn]
    assert 35 <= shifts.count(0) <= 65
    assert 20 < max(shifts) <= 32


def test_a_pass_reads_every_window_once_and_the_next_in_another_order() -> None:
    config = PretrainConfig(corpus=True, tokenizer="t", lengths={"12": 1.0}, batch_tokens=24, steps=20)
    schedule = Schedule(109, config)  # ten windows of ten tokens: five steps a pass
    starts = [start for step in range(20) for start in schedule.step(step)[1]]
    passes = [starts[index : index + 10] for index in range(0, 40, 10)]
    for one in passes:
        first = min(one)
        assert 0 <= first <= 9
        assert sorted(one) == list(range(first, first + 100, 10))
    assert len({tuple(np.array(one) - min(one)) for one in passes}) == 4
    again = Schedule(109, config)
    assert again.step(13) == schedule.step(13)


def test_steps_have_the_lengths_asked_for() -> None:
    config = PretrainConfig(corpus=True, tokenizer="t", lengths={"16": 3.0, "64": 1.0}, batch_tokens=128, steps=400)
    schedule = Schedule(1000, config)
    drawn = [schedule.step(step) for step in range(400)]
    assert {(length, len(starts)) for length, starts in drawn} == {(16, 8), (64, 2)}
    assert np.mean([length == 16 for length, _ in drawn]) == pytest.approx(0.75, abs=0.06)
    assert all(0 <= start <= 1000 - (length - 2) for length, starts in drawn for start in starts)


@pytest.mark.parametrize("tokens", [30, 31, 59, 60])
def test_a_stream_hardly_longer_than_a_sequence_is_enough(tokens: int) -> None:
    schedule = Schedule(
        tokens, PretrainConfig(corpus=True, tokenizer="t", lengths={"32": 1.0}, batch_tokens=64, steps=50)
    )
    starts = {start for step in range(50) for start in schedule.step(step)[1]}
    assert min(starts) >= 0
    assert max(starts) <= tokens - 30


def test_a_stream_shorter_than_a_sequence_is_refused() -> None:
    with pytest.raises(DataError, match="The corpus has 29 tokens, too few for sequences of 32"):
        Schedule(29, PretrainConfig(corpus=True, tokenizer="t", lengths={"32": 1.0}))


def test_a_tokenizer_without_a_mask_is_refused(character_tokenizer_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(character_tokenizer_file.read_text(encoding="utf-8").replace("[MASK]", "[GAP]"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"has no mask token"):
        Vocabulary.read(file, CLS, SEP)

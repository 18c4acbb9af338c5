import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.repetition import Repetition
from app.text.sentences import split_sentences
from tests.hostile import HOSTILE_TEXTS


def bigrams(sentence: str) -> set[str]:
    """Those of the letters of a sentence, its last letter with nothing behind it included."""
    own = sentence.replace("。", "")
    return {own[at : at + 2] for at in range(len(own))}


@given(
    sentences=st.lists(st.text("あいう。", min_size=1, max_size=9), min_size=1, max_size=9), seed=st.integers(0, 1000)
)
def test_shares_are_those_of_the_definition_after_every_sentence(sentences: list[str], seed: int) -> None:
    repetition = Repetition(sentences)
    if not any(map(bigrams, sentences)):
        return
    held: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(sentences)).tolist():
        expected = [len(own & held) / len(own) if own else 1.0 for own in map(bigrams, sentences)]
        assert repetition.shares() == pytest.approx(expected)
        assert repetition.shares_of(index) == pytest.approx(expected[index])
        repetition.take(index)
        held |= bigrams(sentences[index])
    assert repetition.shares().tolist() == [1.0] * len(sentences)


def test_what_a_summary_says_already() -> None:
    repetition = Repetition(["犬が走る。", "犬が走った。", "猫だ。", "――。"])
    assert repetition.shares().tolist() == [0.0, 0.0, 0.0, 1.0]
    repetition.take(0)
    assert repetition.shares().tolist() == [1.0, 2 / 5, 0.0, 1.0]  # 犬が が走, not 走っ った た
    repetition.take(0)
    assert repetition.shares_of(0) == 1.0


def test_a_sentence_without_letters_counts_where_no_sentence_has_any() -> None:
    assert Repetition(["……", "。。。"]).shares().tolist() == [0.0, 0.0]


def test_a_sentence_of_one_character_can_be_repeated() -> None:
    repetition = Repetition(["あ", "あ", "い"])
    repetition.take(0)
    assert repetition.shares().tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text(text: str) -> None:
    sentences = [text[sentence.start : sentence.end] for sentence in split_sentences(text)]
    if sentences:
        repetition = Repetition(sentences)
        for index in range(len(sentences)):
            repetition.take(index)
        assert repetition.shares().tolist() == [1.0] * len(sentences)

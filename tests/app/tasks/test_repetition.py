import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.repetition import Repetition
from app.text.sentences import Sentence, split_sentences
from tests.hostile import HOSTILE_TEXTS


def bigrams(text: str, sentence: Sentence) -> set[str]:
    """Those of the sentence alone, its last character with nothing behind it included."""
    own = text[sentence.start : sentence.end]
    return {own[at : at + 2] for at in range(len(own))}


@given(text=st.text("あいう。\n", min_size=1, max_size=60), seed=st.integers(0, 1000))
def test_shares_are_those_of_the_definition_after_every_sentence(text: str, seed: int) -> None:
    sentences = split_sentences(text)
    if not sentences:
        return
    repetition = Repetition(text, sentences)
    held: set[str] = set()
    for index in np.random.default_rng(seed).permutation(len(sentences)).tolist():
        expected = [len(own & held) / len(own) for own in (bigrams(text, sentence) for sentence in sentences)]
        assert repetition.shares() == pytest.approx(expected)
        assert repetition.shares_of(index) == pytest.approx(expected[index])
        repetition.take(index)
        held |= bigrams(text, sentences[index])
    assert repetition.shares().tolist() == [1.0] * len(sentences)


def test_what_a_summary_says_already() -> None:
    text = "犬が走る。犬が走った。猫だ。"
    repetition = Repetition(text, split_sentences(text))
    assert repetition.shares().tolist() == [0.0, 0.0, 0.0]
    repetition.take(0)
    assert repetition.shares().tolist() == [
        1.0,
        3 / 6,
        1 / 3,
    ]  # 犬が が走 of 走っ った た。 。; of 猫だ だ。 。 the last
    repetition.take(0)
    assert repetition.shares_of(0) == 1.0


def test_a_sentence_of_one_character_can_be_repeated() -> None:
    repetition = Repetition("ああい", [Sentence(0, 1), Sentence(1, 2), Sentence(2, 3)])
    repetition.take(0)
    assert repetition.shares().tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text(text: str) -> None:
    sentences = split_sentences(text)
    if sentences:
        repetition = Repetition(text, sentences)
        for index in range(len(sentences)):
            repetition.take(index)
        assert repetition.shares().tolist() == [1.0] * len(sentences)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.coverage import MOST_BIGRAMS, Coverage
from app.text.sentences import Sentence, split_sentences
from tests.hostile import HOSTILE_TEXTS


def bigrams(text: str, sentence: Sentence) -> list[str]:
    return [text[at : at + 2] for at in range(sentence.start, sentence.end - 1)]


def expected_f1(text: str, sentences: list[Sentence], kept: list[float], chosen: list[int]) -> float:
    """By the definition: every bigram once, at the largest of its probabilities anywhere."""
    worth: dict[str, float] = {}
    for sentence in sentences:
        for at in range(sentence.start, sentence.end - 1):
            bigram = text[at : at + 2]
            worth[bigram] = max(worth.get(bigram, 0.0), kept[at])
    taken = [bigram for index in chosen for bigram in bigrams(text, sentences[index])]
    expected = max(min(sum(worth.values()), MOST_BIGRAMS), 1)
    return 2 * sum(worth[bigram] for bigram in set(taken)) / (len(taken) + expected)


@given(text=st.text("あいう。\n", min_size=1, max_size=60), seed=st.integers(0, 1000))
def test_expected_f1_is_that_of_the_definition_after_every_sentence(text: str, seed: int) -> None:
    sentences = split_sentences(text)
    if not sentences:
        return
    rng = np.random.default_rng(seed)
    kept = rng.random(len(text))
    coverage = Coverage(text, sentences, kept)
    chosen: list[int] = []
    for index in rng.permutation(len(sentences)).tolist():
        candidates = [expected_f1(text, sentences, kept.tolist(), [*chosen, other]) for other in range(len(sentences))]
        held = {bigram for one in chosen for bigram in bigrams(text, sentences[one])}
        repeated = [
            len(own & held) / max(len(own), 1) for own in (set(bigrams(text, sentence)) for sentence in sentences)
        ]
        given_f1 = coverage.expected_f1()
        not_taken = [other for other in range(len(sentences)) if other not in chosen]
        assert given_f1[not_taken] == pytest.approx([candidates[other] for other in not_taken])
        assert coverage.repeated() == pytest.approx(repeated)
        coverage.take(index)
        chosen.append(index)


def test_what_a_sentence_repeats_is_worth_nothing_more() -> None:
    text = "犬が走る。犬が走る。猫だ。"
    coverage = Coverage(text, split_sentences(text), np.full(len(text), 0.5))
    expected = 6 * 0.5  # bigrams of the unseen summary: six different ones of .5 each
    before = coverage.expected_f1()
    assert before[0] == before[1] == 2 * 4 * 0.5 / (4 + expected)
    coverage.take(0)
    after = coverage.expected_f1()
    assert after[1] == 2 * 4 * 0.5 / (8 + expected) < before[0] < after[2]
    assert coverage.repeated().tolist() == [1.0, 1.0, 0.0]


def test_an_unseen_summary_is_never_longer_than_summaries_are() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    coverage = Coverage(text, split_sentences(text), np.ones(len(text)))
    assert coverage.expected_f1().tolist() == [2 * 499 / (499 + MOST_BIGRAMS)]


def test_sentences_of_one_character_hold_no_bigram() -> None:
    coverage = Coverage("あい", [Sentence(0, 1), Sentence(1, 2)], np.ones(2))
    coverage.take(1)
    assert coverage.expected_f1().tolist() == [0.0, 0.0]
    assert coverage.repeated().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS)
def test_hostile_text(text: str) -> None:
    sentences = split_sentences(text)
    if sentences:
        coverage = Coverage(text, sentences, np.ones(len(text)))
        for index in range(len(sentences)):
            coverage.take(index)
        assert coverage.repeated().tolist() == [float(one.end - one.start > 1) for one in sentences]

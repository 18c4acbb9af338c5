"""The choice of sentences against slow and obvious implementations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.tasks.summarize import MOST_BIGRAMS, Coverage, decode_summary, join_summary, kept_probabilities
from app.text.sentences import Sentence, split_sentences
from app.text.tokenizer import Tokens
from app.text.windows import SentenceWindow
from app.types import DoubleArray
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


def test_what_a_summary_keeps_is_read_token_by_token() -> None:
    sentences = [tokens_at((0, 2), (2, 3)), tokens_at((4, 5), (4, 5), (5, 5))]  # ㍻ is two tokens, a lone mark none
    ids = np.zeros(6, dtype=np.int32)
    windows = [
        SentenceWindow(ids, ids, np.array([1, 2], dtype=np.int32), np.array([0, 1], dtype=np.int32)),
        SentenceWindow(ids, ids, np.array([1, 2, 3], dtype=np.int32), np.array([2, 3, 4], dtype=np.int32)),
    ]
    first, second = (np.array(row, dtype=np.float32) for row in ([9, 2, -1e9, 9, 9, 9], [9, 0, 2, 9, 9, 9]))
    kept = kept_probabilities(windows, [first, second], sentences, 7, temperature=2.0)
    high = 1 / (1 + np.exp(-1))
    assert kept == pytest.approx([high, high, 0, 0, high, 0, 0])


def tokens_at(*places: tuple[int, int]) -> Tokens:
    starts, ends = np.array(places, dtype=np.int32).T
    return Tokens(np.zeros(len(places), dtype=np.int32), starts, ends, np.ones(len(places), dtype=np.bool_))


TEXT = "犬が走る。猫は寝た。鳥も鳴く。魚の泳ぎ。"  # no bigram twice


def choose(probabilities: list[float], text: str = TEXT, **length: float) -> list[int]:
    """The choice where all characters of a sentence are as probable."""
    sentences = split_sentences(text)
    kept = np.zeros(len(text))
    for sentence, probability in zip(sentences, probabilities, strict=True):
        kept[sentence.start : sentence.end] = probability
    return decode_summary(text, sentences, kept, **length)[0]  # type: ignore[arg-type]


def test_summary_is_chosen_by_score_and_kept_in_document_order() -> None:
    assert choose([0.1, 0.9, 0.2, 0.8], max_sentences=2) == [1, 3]
    assert choose([0.5, 0.5, 0.5, 0.5], max_sentences=2) == [0, 1], "equals: the first"
    assert choose([0.1, 0.9, 0.2, 0.8], max_sentences=9) == [0, 1, 2, 3]


def test_scores_are_the_expected_f1_of_each_sentence_alone() -> None:
    sentences = split_sentences(TEXT)
    kept = np.repeat([0.0, 0.5, 1.0, 0.25], 5)
    _, scores = decode_summary(TEXT, sentences, kept, max_sentences=1)
    assert scores == pytest.approx([2 * 4 * worth / (4 + 4 * 1.75) for worth in (0.0, 0.5, 1.0, 0.25)])


def test_ratio_is_of_sentences_and_never_nothing() -> None:
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=0.5) == [1, 3]
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=0.01) == [1]
    assert choose([0.1, 0.9, 0.2, 0.8], ratio=1.0) == [0, 1, 2, 3]
    ten = "".join(f"{number}番目の文。" for number in range(10))
    assert len(choose([0.5] * 10, ten, ratio=0.7)) == 7, "0.7 * 10 is a little more than 7 in binary"


def test_what_repeats_a_selected_sentence_is_passed_over() -> None:
    text = "犬が走る。犬が走る。猫が眠る。"
    assert choose([0.9, 0.9, 0.1], text, max_sentences=2) == [0, 2]


def test_diversity_passes_over_what_repeats_a_little() -> None:
    text = "犬が走る。犬が走った。猫は寝た。"
    probabilities = [0.9, 0.9, 0.2]
    assert choose(probabilities, text, max_sentences=2) == [0, 1]
    assert choose(probabilities, text, max_sentences=2, diversity=0.5) == [1, 2]
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
    expected_f1 = Coverage.expected_f1

    def counted(self: Coverage) -> DoubleArray:
        nonlocal passes
        passes += 1
        return expected_f1(self)

    monkeypatch.setattr(Coverage, "expected_f1", counted)
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
    kept = np.random.default_rng(seed).random(len(text))
    selected, _ = decode_summary(text, sentences, kept, max_characters=max_characters, diversity=diversity)
    summary = join_summary([text[sentences[index].start : sentences[index].end] for index in selected])
    assert selected == sorted(set(selected))
    assert 0 < len(summary) <= max_characters


def test_join_summary() -> None:
    parts = ["見出し", "文だ。", "「そうだ」", "・項目", "終わり"]
    assert join_summary(parts) == "見出し\n文だ。「そうだ」・項目\n終わり"
    assert join_summary([]) == ""

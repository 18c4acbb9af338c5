"""The probabilities of sentences, and the choice among them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.tasks.repetition import _LABEL, Repetition
from app.tasks.summarize import decode_summary, join_summary, sentence_probabilities
from app.text.characters import letters_of
from app.text.sentences import split_sentences
from app.text.tokenizer import Tokens
from app.text.windows import SentenceWindow
from app.types import DoubleArray


def test_the_probability_of_a_sentence_is_that_of_the_mean_logit_of_its_tokens_and_of_what_its_place_adds() -> None:
    ids = np.zeros(6, dtype=np.int32)
    windows = [SentenceWindow(ids, ids, np.array(places, dtype=np.int32)) for places in ([0, 4], [0, 2, 3])]
    logits = [np.array(row, dtype=np.float32) for row in ([8, 0, 0, 0, -1e9, 9], [-3, 3, 1e9, -9, 0, 3])]
    high = 1 / (1 + np.exp(-1))
    probabilities = sentence_probabilities(windows, logits, np.array([0, 0, 2, 0, 2]), temperature=2.0)
    assert probabilities == pytest.approx([high, 0, high, 1, 0.5])


def tokens_at(*places: tuple[int, int]) -> Tokens:
    starts, ends = np.array(places, dtype=np.int32).T
    return Tokens(np.zeros(len(places), dtype=np.int32), starts, ends, np.ones(len(places), dtype=np.bool_))


TEXT = "犬が走る。猫は寝た。鳥も鳴く。魚の泳ぎ。"  # no bigram twice but that of 。 and nothing


def choose(probabilities: list[float], text: str = TEXT, **length: float) -> list[int]:
    return decode_summary(sentences_in(text), np.array(probabilities), **length)  # type: ignore[arg-type]


def sentences_in(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


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


@pytest.mark.parametrize("length", [{"ratio": 1.0}, {"max_sentences": 2}, {"max_characters": 100}])
@pytest.mark.parametrize(
    "again",
    [
        "猫だ！",
        "猫だ。。。",
        "「猫だ」",
        "猫だ",
        "・猫だ。",
        "※ 猫だ。",
        "★猫だ★",
        "猫 だ。",
        "ﾈｺだ｡",
        "猫だ。\ufe00",
        "猫\u200bだ。",
        "――。",
        "……",
        "♪",
        "！？",
    ],
)
def test_a_sentence_with_the_letters_of_another_or_without_any_is_never_taken(
    again: str, length: dict[str, float]
) -> None:
    first = "ネコだ。" if "ﾈｺ" in again else "猫だ。"
    assert decode_summary([first, again], np.array([0.8, 0.9]), **length) in ([0], [1])  # type: ignore[arg-type]
    assert decode_summary([first, again], np.array([0.9, 0.8]), **length) == [0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other", ["15点だ。", "-1.5点だ。", "1.5%だ。", "○点だ。", "×点だ。", "1-5点だ。", "1.5点か。"]
)
def test_what_says_something_else_is_not_the_same_sentence(other: str) -> None:
    assert decode_summary(["1.5点だ。", other], np.array([0.9, 0.8]), ratio=1.0) == [0, 1]


@pytest.mark.parametrize("length", [{"ratio": 1.0}, {"max_sentences": 2}, {"max_characters": 200}])
def test_sentences_that_differ_in_a_number_only_both_stand(length: dict[str, float]) -> None:
    sentences = [
        f"当社の国内の店舗と通信販売とを合わせた{year}年度の売上は{amount}万円であった。"
        for year, amount in ((2023, "1,200"), (2023, "1,300"), (2024, "1,300"))
    ]
    probabilities = np.array([0.9, 0.8, 0.1])
    assert decode_summary(sentences[:2], probabilities[:2], **length) == [0, 1]  # type: ignore[arg-type]
    assert decode_summary(sentences, probabilities, ratio=1.0) == [0, 1, 2]


def test_what_says_nothing_is_not_the_shortest_sentence() -> None:
    with pytest.raises(InvalidInput, match="shortest has 4 characters"):
        decode_summary(["……。", "犬も鳴く"], np.array([0.9, 0.8]), max_characters=3)


@given(
    sentences=st.lists(st.text("猫だ1.。！「」 ・…", min_size=1, max_size=6), min_size=1, max_size=12),
    length=st.sampled_from([{"ratio": 1.0}, {"max_sentences": 5}, {"max_characters": 200}, {"ratio": 0.5}]),
    diversity=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 100),
)
def test_no_summary_of_any_sentences_holds_one_twice(
    sentences: list[str], length: dict[str, float], diversity: float, seed: int
) -> None:
    probabilities = np.random.default_rng(seed).random(len(sentences))
    selected = decode_summary(sentences, probabilities, diversity=diversity, **length)  # type: ignore[arg-type]
    # Without the labels of items, which are not compared: 1.だ and 1だ are two.
    letters = [
        letters_of(_LABEL.sub("", sentence)) or letters_of(sentence)
        for sentence in map(sentences.__getitem__, selected)
    ]
    assert letters
    if any(map(letters_of, sentences)):
        assert all(letters)
        assert len(set(letters)) == len(letters)


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

    def counted(self: Repetition) -> DoubleArray:
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
    sentences = sentences_in("\n".join(parts))
    some = [sentence for sentence in sentences if letters_of(sentence)] or sentences
    if not some or min(map(len, some)) > max_characters:
        return
    probabilities = np.random.default_rng(seed).random(len(sentences))
    selected = decode_summary(sentences, probabilities, max_characters=max_characters, diversity=diversity)
    summary = join_summary([sentences[index] for index in selected])
    assert selected == sorted(set(selected))
    assert 0 < len(summary) <= max_characters


def test_join_summary() -> None:
    parts = ["見出し", "文だ。", "「そうだ」", "・項目", "終わり"]
    assert join_summary(parts) == "見出し\n文だ。「そうだ」・項目\n終わり"
    assert join_summary([]) == ""

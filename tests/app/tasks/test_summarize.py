"""The probabilities of sentences, and the choice among them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.tasks.repetition import Repetition
from app.tasks.summarize import decode_summary, join_summary, sentence_probabilities
from app.text.sentences import split_sentences
from app.text.tokenizer import Tokens
from app.text.windows import SentenceWindow
from app.types import DoubleArray


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

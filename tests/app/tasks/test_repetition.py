import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.repetition import NOTHING_NEW, Repetition
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
        assert repetition.adds_nothing(index) == (expected[index] >= NOTHING_NEW)
        repetition.take(index)
        held |= bigrams(sentences[index])
    assert repetition.shares().tolist() == [1.0] * len(sentences)


def test_what_a_summary_says_already() -> None:
    repetition = Repetition(["犬が走る。", "犬が走った。", "猫だ。", "――。"])
    assert repetition.shares().tolist() == [0.0, 0.0, 0.0, 1.0]
    repetition.take(0)
    assert repetition.shares().tolist() == [1.0, 2 / 5, 0.0, 1.0]  # 犬が が走, not 走っ った た
    repetition.take(0)
    assert repetition.adds_nothing(0)


LONG = "本年度の第一四半期における当社の国内での売上高は、前年の同じ時期とくらべて伸び、{}となりました。"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1,200万円", "1,300万円"),
        ("１２００万円", "１２０１万円"),
        ("千二百万円", "千三百万円"),
        ("1.5倍", "15倍"),
        ("-5%", "5%"),
        ("3月5日に2億円", "5月3日に2億円"),
        ("10:30の時点で9件", "10:31の時点で9件"),
    ],
)
def test_a_sentence_that_differs_in_a_number_adds_something_however_long_it_is(first: str, second: str) -> None:
    repetition = Repetition([LONG.format(first), LONG.format(second)])
    repetition.take(0)
    assert (repetition.adds_nothing(0), repetition.adds_nothing(1)) == (True, False)
    repetition.take(1)
    assert repetition.adds_nothing(1)


@pytest.mark.parametrize(("first", "second"), [("1,200万円", "1200万円"), ("１，２００万円", "1,200万円。")])
def test_a_number_written_in_another_way_is_the_same_number(first: str, second: str) -> None:
    repetition = Repetition([LONG.format(first), LONG.format(second)])
    repetition.take(0)
    assert repetition.adds_nothing(1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1. {}", "2. {}"),
        ("（１）{}", "（２）{}"),
        ("①{}", "②{}"),
        ("１　{}", "２　{}"),
        ("- 3) {}", "- 4) {}"),
        ("1.2. {}", "1.3. {}"),
        ("{}[1]", "{}[2]"),
        ("{}　12", "{}　13"),
        ("{}（３）", "{}"),
    ],
)
def test_the_number_of_an_item_a_note_or_a_page_is_nothing_new(first: str, second: str) -> None:
    sentence = "本資料の転載を禁じます。"
    repetition = Repetition([first.format(sentence), second.format(sentence)])
    repetition.take(0)
    assert repetition.adds_nothing(1)


@pytest.mark.parametrize(
    ("first", "second"), [("1.5倍に{}", "2.5倍に{}"), ("10:30に{}", "10:31に{}"), ("5人に{}", "6人に{}")]
)
def test_a_number_at_the_beginning_of_a_sentence_is_its_own(first: str, second: str) -> None:
    rest = "なるまでには、なお相当の時間と費用とがかかるものと見込まれていると、委員会は報告した。"
    repetition = Repetition([first.format(rest), second.format(rest)])
    repetition.take(0)
    assert not repetition.adds_nothing(1)


def test_numbers_that_were_said_of_other_things_are_new_together() -> None:
    said = ["2023年の売上は1,200万円でした。", "2024年の売上は1,300万円でした。"]
    repetition = Repetition([*said, "2023年の売上は1,300万円でした。", "売上は1,300万円でした。"])
    repetition.take(0)
    repetition.take(1)
    assert [repetition.adds_nothing(index) for index in range(4)] == [True, True, False, True]


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

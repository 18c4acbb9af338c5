import pytest

from training.data import LabelledText
from training.evaluation.baselines import (
    centroid,
    lead_sentences,
    lexrank,
    overlap_answer,
    random_answer,
    random_labels,
    random_sentences,
    textrank,
    tfidf_labels,
)

CONTEXT = "京都は千年の都であった。金閣寺は足利義満が建てた寺である。大阪城は豊臣秀吉が築いた。"


def test_the_answer_is_the_longest_run_that_the_question_does_not_hold() -> None:
    # 金閣 閣寺 寺は が建 建て てた of the nine bigrams of the question stand in the second sentence.
    assert overlap_answer("金閣寺は誰が建てた?", CONTEXT) == ("足利義満", 6 / 9)
    assert overlap_answer("大阪城は誰が築いた?", CONTEXT)[0] == "豊臣秀吉"


def test_a_sentence_without_such_a_run_is_the_answer_itself() -> None:
    assert overlap_answer("寺?", "寺である。") == ("寺である。", 0.0)
    assert overlap_answer("?", "。") == ("。", 0.0)
    assert overlap_answer("何?", "\n") == ("\n", 0.0)


def test_chance_is_the_same_at_every_run() -> None:
    assert random_answer("7", CONTEXT) == random_answer("7", CONTEXT)
    assert len({random_answer(str(seed), CONTEXT) for seed in range(50)}) > 5
    assert random_answer("7", "。。") == "。。"
    assert random_labels(["A", "A", "B"], 1000) == random_labels(["A", "A", "B"], 1000)
    assert 600 < random_labels(["A", "A", "B"], 1000).count("A") < 730
    assert random_sentences(["一", "二", "三", "四"], 3) == random_sentences(["一", "二", "三", "四"], 3)
    assert random_sentences(["一", "二"], 3) == [0, 1]


def test_tfidf_learns_what_tells_classes_apart() -> None:
    training = [LabelledText(f"{number}番の寺院と仏像", "寺") for number in range(9)]
    training += [LabelledText(f"{number}番の鉄道と駅", "駅") for number in range(9)]
    assert tfidf_labels(training, ["古い仏像", "新しい鉄道"]) == ["寺", "駅"]


@pytest.mark.parametrize("rank", [lexrank, textrank])
def test_the_sentence_that_others_resemble_is_central(rank: object) -> None:
    assert callable(rank)
    sentences = ["雨が降る。", "京都の寺は古い。", "京都の寺は多い。", "京都の祭は古い。", "猫。"]
    assert rank(sentences, 1) == [1]
    assert rank(sentences, 3) == [1, 2, 3]
    assert rank(["寺。"], 3) == [0]
    assert rank(["同じ文。"] * 4, 2) == [0, 1], "equals keep their order"
    assert rank(["あ", "い", "　。"], 2) == [0, 1]


def test_the_sentence_nearest_the_middle_of_the_text() -> None:
    sentences = ["雨が降る。", "京都の寺は古い。", "京都の寺は多い。", "京都の祭は古い。", "猫。"]
    assert centroid(sentences, 1) == [1]
    assert centroid(sentences, 3) == [1, 2, 3]
    assert centroid(["同じ文。"] * 4, 2) == [0, 1], "equals keep their order"
    assert lead_sentences(sentences, 2) == [0, 1]
    assert lead_sentences(["寺。"], 3) == centroid(["寺。"], 3) == [0]

"""Figures of predictors that are known."""

import pytest

from tests.training.items import item
from training.data import LabelledText, QuestionExample, SummaryExample
from training.evaluation.predictions import Scored
from training.evaluation.scores import (
    Part,
    by_length,
    by_position,
    label_baselines,
    label_figures,
    question_baselines,
    question_figures,
    summary_baselines,
    summary_figures,
)
from training.metrics import greedy_oracle

SUMMARIES = [
    SummaryExample(("寺は古い。", "山がある。", "海もある。", "川が流れる。", "都であった。"), "川が流れる都であった"),
    SummaryExample(("甲。", "乙。"), "乙"),
]
# One is in the half on which temperatures are fitted, the other in the half on which the error is measured.
FITTED_ON, MEASURED_ON = "文書1", "文書0"


def test_figures_of_questions() -> None:
    items = [
        item(score=0.9, position=0.0, characters=400, document=FITTED_ON),
        item(score=0.75, position=0.3, characters=500, document=MEASURED_ON),
        item("誤", score=0.75, position=0.5, measure=0.5, characters=16000, document=MEASURED_ON),
        item(score=0.9, position=0.99, characters=20000, document=FITTED_ON),
    ]
    assert question_figures(items, []) == {
        "n": 4,
        "em": 0.75,
        "f1": 0.875,
        "ece": 0.25,
        "f1_quarter_1": 1.0,
        "f1_quarter_2": 1.0,
        "f1_quarter_3": 0.5,
        "f1_quarter_4": 1.0,
        "f1_under_500": 1.0,
        "f1_500_to_1000": 1.0,
        "f1_from_16000": 0.75,
        "worst_best_quarter": 0.5,
    }


def test_the_null_score_is_measured_beside_other_documents() -> None:
    own = [item(score=0.9, score_diff=-3.0), item(score=0.4, score_diff=2.0)]
    other = [item(score=0.6, score_diff=1.0), item(score=0.1, score_diff=4.0)]
    figures = question_figures(own, other)
    assert (figures["null_score_auroc"], figures["score_diff_auroc"]) == (0.75, 0.75)


def test_what_the_data_cannot_give_is_left_out() -> None:
    unanswerable = item("", "", document=FITTED_ON, right=True, measure=1.0)
    assert question_figures([unanswerable], []) == {"n": 1, "em": 1.0, "f1": 1.0, "f1_under_500": 1.0}


def test_parts_hold_their_lower_bound() -> None:
    items = [item(characters=count) for count in (499, 500, 999, 1000)]
    assert by_length(items) == [Part("under_500", 1, 1.0), Part("500_to_1000", 2, 1.0), Part("1000_to_2000", 1, 1.0)]
    items = [item(position=position) for position in (0.0, 0.2499, 0.25, 0.9999)]
    assert by_position(items) == [Part("quarter_1", 2, 1.0), Part("quarter_2", 1, 1.0), Part("quarter_4", 1, 1.0)]


def test_baselines_of_questions() -> None:
    examples = [QuestionExample("1", "寺を建てたのは誰?", "寺を建てたのは義満。", (("義満", 7),), "寺")]
    others = [QuestionExample("1", "寺を建てたのは誰?", "雨が降る。", (), "雨")]
    assert question_baselines(examples, others) == {
        "overlap.em": 1.0,
        "overlap.f1": 1.0,
        "random.em": question_baselines(examples, [])["random.em"],
        "random.f1": question_baselines(examples, [])["random.f1"],
        "overlap.null_score_auroc": 1.0,
    }


@pytest.mark.parametrize(("given", "accuracy", "macro_f1"), [("AAAB", 1.0, 1.0), ("AAAA", 0.75, round(6 / 7 / 2, 4))])
def test_figures_of_labels(given: str, accuracy: float, macro_f1: float) -> None:
    items = [item(label, wanted, document=FITTED_ON) for label, wanted in zip(given, "AAAB", strict=True)]
    assert label_figures(items) == {
        "n": 4,
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "accuracy_under_500": accuracy,
        "majority.accuracy": 0.75,
    }


def test_baselines_of_labels() -> None:
    texts = [LabelledText("寺院と仏像", "寺"), LabelledText("鉄道と駅", "駅")]
    figures = label_baselines(texts, texts * 5)
    assert list(figures) == ["tfidf.accuracy", "tfidf.macro_f1", "random.accuracy", "random.macro_f1"]
    assert (figures["tfidf.accuracy"], figures["tfidf.macro_f1"]) == (1.0, 1.0)


def _summaries(chosen: list[list[int]]) -> list[Scored]:
    texts = ["".join(e.sentences[i] for i in indices) for e, indices in zip(SUMMARIES, chosen, strict=True)]
    return [item(text, probabilities=()) for text in texts]


def test_a_summary_that_is_the_oracles_has_come_all_the_way() -> None:
    oracle = summary_figures(_summaries([greedy_oracle(e.sentences, e.summary, 3) for e in SUMMARIES]), SUMMARIES)
    assert list(oracle) == [
        *("n", "bigram_f1", "share_to_oracle", "rouge1", "rougeL"),
        *("bigram_f1_under_500", "lead.bigram_f1", "oracle.bigram_f1"),
    ]
    assert oracle["share_to_oracle"] == 1.0
    assert oracle["bigram_f1"] == oracle["oracle.bigram_f1"] > oracle["lead.bigram_f1"]
    lead = summary_figures(_summaries([[0, 1, 2], [0, 1]]), SUMMARIES)
    assert (lead["share_to_oracle"], lead["bigram_f1"]) == (0.0, lead["lead.bigram_f1"])


def test_where_the_lead_is_the_oracle_there_is_no_way_to_share() -> None:
    examples = [SummaryExample(("京都。",), "京都。")]
    figures = summary_figures([item("京都。", probabilities=())], examples)
    assert "share_to_oracle" not in figures
    assert summary_baselines(examples, figures) == {
        "lexrank.bigram_f1": 1.0,
        "textrank.bigram_f1": 1.0,
        "random.bigram_f1": 1.0,
    }

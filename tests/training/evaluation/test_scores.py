"""Figures of predictors that are known."""

from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

from tests.training.items import item
from training.data import LabelledText, QuestionExample
from training.evaluation.scores import (
    Part,
    by_length,
    by_position,
    label_baselines,
    label_scores,
    question_baselines,
    question_scores,
)

# Two documents; nothing was fitted on the second.
FITTED_ON: dict[str, Any] = {"document": "文書1", "is_fitted_on": True}
MEASURED_ON = {"document": "文書0"}


def test_figures_of_questions() -> None:
    items = [
        item(score=0.9, position=0.0, characters=400, **FITTED_ON),
        item(score=0.75, position=0.3, characters=500, **MEASURED_ON),
        item("誤", score=0.75, position=0.5, measure=0.5, characters=16000, **MEASURED_ON),
        item(score=0.9, position=0.99, characters=20000, **FITTED_ON),
    ]
    scores = question_scores(items, [], None)
    assert scores.values == {
        "n": 4,
        "em": 0.75,
        "f1": 0.875,
        "ece": 0.25,
        "worst_best_quarter": 0.5,
        "f1_quarter_1": 1.0,
        "f1_quarter_2": 1.0,
        "f1_quarter_3": 0.5,
        "f1_quarter_4": 1.0,
        "f1_under_500": 1.0,
        "f1_500_to_1000": 1.0,
        "f1_from_16000": 0.75,
    }
    # Two documents, one with all answers right, the other with half of them.
    assert scores.intervals["em"] == (0.5, 1.0)
    assert scores.intervals.keys() == {"em", "f1", "ece", "worst_best_quarter"}


def test_the_calibration_error_is_of_all_documents_where_nothing_was_fitted() -> None:
    items = [item(score=0.9, document="一"), item("誤", score=0.6, document="二"), item(score=0.7, document="三")]
    assert question_scores(items, [], None).values["ece"] == pytest.approx((0.1 + 0.6 + 0.3) / 3, abs=1e-4)
    assert label_scores(items).values["ece"] == pytest.approx((0.1 + 0.6 + 0.3) / 3, abs=1e-4)


def test_questions_without_an_answer_count_for_answerability_and_calibration_alone() -> None:
    items = [
        item(score=0.9, score_diff=-3.0, **MEASURED_ON),
        item("誤", score=0.6, score_diff=0.5, measure=0.5, **MEASURED_ON),
        item("余計", wanted=(), score=0.3, score_diff=2.0, measure=0.0, right=False, **MEASURED_ON),
        item("余計", wanted=(), score=0.7, score_diff=-1.0, measure=0.0, right=False, **MEASURED_ON),
    ]
    values = question_scores(items, [], None).values
    assert (values["n"], values["em"], values["f1"]) == (4, 0.5, 0.75)
    null_scores = [1 - score for score in (0.9, 0.6, 0.3, 0.7)]
    assert values["answerability_auroc"] == roc_auc_score([0, 0, 1, 1], null_scores) == 0.75
    assert values["score_diff_answerability_auroc"] == roc_auc_score([0, 0, 1, 1], [-3.0, 0.5, 2.0, -1.0]) == 0.75
    assert values["ece"] == pytest.approx((0.1 + 0.6 + 0.3 + 0.7) / 4)
    assert values["f1_under_500"] == 0.75
    assert "answerability_accuracy" not in values


def test_answerability_at_the_models_threshold_is_of_the_documents_on_which_none_is_fitted() -> None:
    items = [
        item(score_diff=-3.0, **MEASURED_ON),  # said and right
        item("誤", score_diff=-1.0, measure=0.5, **MEASURED_ON),  # said and wrong
        item(score_diff=1.5, **MEASURED_ON),  # right, and not said
        item("余計", wanted=(), score_diff=2.0, measure=0.0, right=False, **MEASURED_ON),  # not stated
        item("", wanted=(), probabilities=(1.0,), score_diff=0.0, right=True, **MEASURED_ON),  # nothing found
        item(score_diff=9.0, **FITTED_ON),
    ]
    values = question_scores(items, [], threshold=1.0).values
    assert values["answerability_accuracy"] == 0.8
    assert values["answerability_balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert values["right_at_threshold"] == 0.6
    answered = question_scores(items[:3], [], threshold=1.0).values
    assert (answered["answerability_accuracy"], answered["right_at_threshold"]) == (0.6667, 0.3333)
    assert "answerability_balanced_accuracy" not in answered


def test_the_null_score_is_measured_against_other_documents() -> None:
    own = [item(score=0.9, score_diff=-3.0), item("余計", wanted=(), right=False), item(score=0.4, score_diff=2.0)]
    other = [item(score=0.6, score_diff=1.0), item(score=0.1, score_diff=4.0)]
    figures = question_scores(own, other, None).values
    assert (figures["null_score_auroc"], figures["score_diff_auroc"]) == (0.75, 0.75)


def test_what_the_data_cannot_give_is_left_out() -> None:
    unanswerable = item("", wanted=(), **FITTED_ON, right=True, measure=1.0)
    scores = question_scores([unanswerable], [], None)
    assert (scores.values, scores.intervals) == ({"n": 1}, {})


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
    without = [QuestionExample("2", "海は?", "寺を建てたのは義満。", (), "寺")]
    assert question_baselines([*examples, *without], others) == question_baselines(examples, others)
    assert question_baselines(without, []) == {}


@pytest.mark.parametrize(("given", "accuracy", "macro_f1"), [("AAAB", 1.0, 1.0), ("AAAA", 0.75, round(6 / 7 / 2, 4))])
def test_figures_of_labels(given: str, accuracy: float, macro_f1: float) -> None:
    documents = ("一", "二", "一", "二")
    items = [
        item(label, wanted, document=document, is_fitted_on=True)
        for label, wanted, document in zip(given, "AAAB", documents, strict=True)
    ]
    scores = label_scores(items)
    assert scores.values == {
        "n": 4,
        "accuracy": accuracy,
        "macro_f1": macro_f1,
        "accuracy_under_500": accuracy,
        "majority.accuracy": 0.75,
    }
    assert scores.intervals["accuracy"] == ((1.0, 1.0) if given == "AAAB" else (0.5, 1.0))
    assert scores.intervals.keys() == {"accuracy", "macro_f1"}


def test_baselines_of_labels() -> None:
    texts = [LabelledText("寺院と仏像", "寺"), LabelledText("鉄道と駅", "駅")]
    figures = label_baselines(texts, texts * 5)
    assert list(figures) == ["tfidf.accuracy", "tfidf.macro_f1", "random.accuracy", "random.macro_f1"]
    assert (figures["tfidf.accuracy"], figures["tfidf.macro_f1"]) == (1.0, 1.0)

import numpy as np
import pytest

from app.tasks.classify import decode_labels
from tests.training.items import item
from training.data import DataError
from training.evaluation.calibration import (
    Bin,
    calibration_error,
    fit_answerability,
    fit_temperature,
    reliability,
    rescaled,
    with_half_to_fit_on,
)
from training.evaluation.predictions import Scored


def _said(score: float, right: int, wrong: int) -> list[Scored]:
    return [item(score=score)] * right + [item("誤", score=score)] * wrong


def _error(items: list[Scored]) -> float:
    return calibration_error(np.array([i.probabilities[0] for i in items]), np.array([float(i.right) for i in items]))


def test_a_score_that_is_as_often_right_as_it_says_has_no_error() -> None:
    items = [*_said(0.75, 3, 1), *_said(0.5, 1, 1), *_said(1.0, 2, 0)]
    assert _error(items) == pytest.approx(0)


def test_the_error_is_weighted_by_the_items_of_a_bin() -> None:
    items = [*_said(0.9, 0, 1), *_said(0.3, 3, 0)]  # off by 0.9 once, by 0.7 three times
    assert _error(items) == pytest.approx((0.9 + 3 * 0.7) / 4)


def test_bins_are_closed_above_and_empty_ones_are_left_out() -> None:
    items = [*_said(0.0, 0, 1), *_said(1 / 15, 1, 0), *_said(1.0, 1, 0)]
    assert reliability(items) == [
        Bin(0.0, 1 / 15, 2, 1 / 30, 0.5),
        Bin(14 / 15, 1.0, 1, 1.0, 1.0),
    ]


def test_items_without_an_answer_have_no_confidence() -> None:
    assert reliability([item("", probabilities=(1.0,))]) == []


def test_rescaled_is_what_the_service_says_at_that_temperature() -> None:
    logits = [np.array([0.3, 2.0, -1.0], dtype=np.float32), np.array([1.5, -0.5, 0.2], dtype=np.float32)]

    def served(temperature: float) -> list[float]:
        return [score for _, score in decode_labels(logits, [30, 10], temperature=temperature, top_k=None)]

    before = item(probabilities=tuple(served(2.0)))
    assert rescaled(before, 1.5 / 2.0).probabilities == pytest.approx(served(1.5))


def test_the_fitted_temperature_is_the_one_the_answers_were_drawn_at() -> None:
    rng = np.random.default_rng(3)
    items = []
    for _ in range(4000):
        logits = rng.normal(size=5) * 3
        true = np.exp(logits) / np.exp(logits).sum()
        said = np.exp(logits / 0.4)  # served too sure of itself
        best = int(logits.argmax())
        right = bool(rng.choice(5, p=true) == best)
        probabilities = tuple(float(p) for p in np.sort(said / said.sum())[::-1])
        items.append(item("答" if right else "誤", probabilities=probabilities))
    temperature = fit_temperature(items, served_at=0.4)
    assert temperature == pytest.approx(1.0, rel=0.1)
    calibrated = [rescaled(scored, temperature / 0.4) for scored in items]
    assert _error(calibrated) < 0.03 < _error(items)


def test_scores_of_zero_and_of_different_numbers_can_be_fitted() -> None:
    items = [item(probabilities=(1.0, 0.0)), item("誤", probabilities=(0.6, 0.3, 0.1)), item("", probabilities=(1.0,))]
    assert 0.05 <= fit_temperature(items, served_at=1.0) <= 20


@pytest.mark.parametrize(
    ("items", "state"), [([item()], "all 1 answers .* are right"), ([item("誤")], "wrong"), ([], "all 0 answers")]
)
def test_nothing_is_fitted_on_answers_that_are_all_alike(items: list[Scored], state: str) -> None:
    with pytest.raises(DataError, match=state):
        fit_temperature(items, served_at=1.0)


def test_a_document_is_in_the_same_half_with_any_other_documents() -> None:
    items = [item(document=f"文書{number // 2}") for number in range(400)]
    marked = with_half_to_fit_on(items)
    fitting = [item for item in marked if item.is_fitted_on]
    measuring = [item for item in marked if not item.is_fitted_on]
    assert 140 < len(fitting) < 260
    assert len(fitting) + len(measuring) == 400
    assert {i.document for i in fitting}.isdisjoint(i.document for i in measuring)
    assert with_half_to_fit_on(fitting) == fitting
    assert with_half_to_fit_on(measuring) == measuring


def _asked(*diffs_and_answers: tuple[float, bool]) -> list[Scored]:
    return [item(wanted="答" if has else (), score_diff=diff) for diff, has in diffs_and_answers]


def test_the_threshold_of_answerability_parts_the_questions_best() -> None:
    parted = [(-5.0, True), (-2.0, True), (1.0, True), (3.0, False), (4.0, False)]
    assert fit_answerability(_asked(*parted)) == 2.0
    assert fit_answerability(_asked(*reversed(parted))) == 2.0
    # However many questions have an answer, the one without counts as much as all of them.
    assert fit_answerability(_asked(*[(-1.0, True)] * 50, (0.0, True), (0.5, False))) == 0.25
    assert fit_answerability(_asked((1.0, False), *[(2.0, True)] * 9, (3.0, False))) == 2.5


def test_equal_values_lie_on_one_side_of_the_threshold() -> None:
    threshold = fit_answerability(_asked((0.0, True), (1.0, True), (1.0, False), (1.0, False), (2.0, False)))
    assert threshold == 0.5


@pytest.mark.parametrize(("asked", "count"), [([(0.0, True)] * 2, 2), ([(0.0, False)] * 2, 0), ([], 0)])
def test_a_threshold_needs_questions_of_both_kinds(asked: list[tuple[float, bool]], count: int) -> None:
    with pytest.raises(DataError, match=f"of the {len(asked)} in the half .* for fitting, {count} have an answer"):
        fit_answerability(_asked(*asked))

"""Calibration: is a score the probability of being right? Measures the error, and fits the temperature that reduces it.

The module works on the probabilities of the service, so the fit holds for the served scores. It does not know texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from app.types import DoubleArray
from training.data import DataError, in_held_out_split
from training.evaluation.predictions import Scored

BINS = 15  # of equal width, as in Guo et al. 2017
FITTING_PERCENT = 50  # share of the documents to fit on
TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Bin:
    """Items whose confidence lies in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    accuracy: float


def with_half_to_fit_on(items: Sequence[Scored]) -> list[Scored]:
    """The items, those of half of the documents marked as fitted on. Each document is always in the same half."""
    return [replace(item, is_fitted_on=in_held_out_split(item.document, FITTING_PERCENT)) for item in items]


def reliability(items: Sequence[Scored]) -> list[Bin]:
    """The bins that hold items, from low to high confidence. Summaries, and items without any answer, have none."""
    answered = [item for item in items if item.given and item.probabilities]
    confidence = np.array([item.probabilities[0] for item in answered])
    right = np.array([item.right for item in answered], dtype=np.float64)
    places = _bins(confidence)
    bins = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            means = float(confidence[inside].mean()), float(right[inside].mean())
            bins.append(Bin(place / BINS, (place + 1) / BINS, int(inside.sum()), *means))
    return bins


def calibration_error(confidence: DoubleArray, right: DoubleArray) -> float:
    """Mean over the items of |accuracy - mean confidence| of their bin (Naeini et al. 2015, Guo et al. 2017).

    Args:
        confidence, right: (items,) the score of the given answer, and 1 where it is right.
    """
    places = _bins(confidence)
    # Of a bin of n items, n |accuracy - mean confidence| is the difference of the two sums.
    return float(np.abs(np.bincount(places, right - confidence)).sum() / len(confidence))


def _bins(confidence: DoubleArray) -> npt.NDArray[np.int64]:
    return np.asarray(np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1), dtype=np.int64)


def rescaled(item: Scored, factor: float) -> Scored:
    """The item as served at `factor` times its temperature: p^(1/factor), scaled to a sum of 1."""
    return replace(item, probabilities=tuple(_tempered(_logarithms([item]), factor)[0].tolist()))


def fit_temperature(items: Sequence[Scored], served_at: float) -> float:
    """The temperature at which the score of the given answer, read as its probability of being right, has least log
    loss.

    Guo et al. 2017 take the log loss of the right class. The right answer to a question may not be among the n-best,
    so this takes the event "the given answer is right", for questions and classes alike.

    Raises:
        DataError: all answers are right, or all wrong; then the best temperature is infinite or zero.
    """
    answered = [item for item in items if item.given]
    right = np.array([item.right for item in answered])
    if right.all() or not right.any():
        state = "right" if len(answered) and right.all() else "wrong"
        raise DataError(
            f"Fitting a temperature needs right and wrong answers; all {len(answered)} answers in the half of the "
            f"documents for fitting are {state}."
        )
    logarithms = _logarithms(answered)

    def log_loss(log_factor: float) -> float:
        confidence = np.clip(_tempered(logarithms, np.exp(log_factor))[:, 0], 1e-12, 1 - 1e-12)
        return float(-np.where(right, np.log(confidence), np.log1p(-confidence)).mean())

    low, high = (np.log(temperature / served_at) for temperature in TEMPERATURES)
    best = minimize_scalar(log_loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return round(served_at * float(np.exp(best.x)), 3)


def check_can_fit(has_answer: Sequence[bool], where: str) -> None:
    """Refuse questions on which no threshold of answerability can be fitted.

    Raises:
        DataError: all questions are answerable, or none is.
    """
    if all(has_answer) or not any(has_answer):
        raise DataError(
            "Fitting a threshold of answerability needs questions with an answer and questions without one; of the "
            f"{len(has_answer)} {where}, {sum(has_answer)} have an answer."
        )


def fit_answerability(items: Sequence[Scored]) -> float:
    """The threshold of `score_diff` that best separates answerable from unanswerable questions, by balanced accuracy.

    Balanced accuracy is the mean of the two recalls, so the threshold does not depend on the share of unanswerable
    questions. Of equally good thresholds, this is the middle one.

    Raises:
        DataError: all questions are answerable, or none is.
    """
    has_answer = np.array([bool(item.wanted) for item in items], dtype=np.bool_)
    check_can_fit(has_answer.tolist(), "in the half of the documents for fitting")
    diffs = np.array([item.score_diff for item in items])
    order = np.argsort(diffs, kind="stable")
    ranked, answered = diffs[order], has_answer[order]
    # For each cut: the answerable questions at or below it, and the unanswerable ones above it.
    below = np.concatenate([[0], np.cumsum(answered)]) / answered.sum()
    above = 1 - np.concatenate([[0], np.cumsum(~answered)]) / (~answered).sum()
    between = np.flatnonzero(np.diff(ranked)) + 1  # cuts between different values, as k: after k items
    cuts = np.concatenate([[0], between, [len(ranked)]])
    balanced = (below + above)[cuts]
    best = cuts[np.isclose(balanced, balanced.max())]
    cut = int(best[len(best) // 2])
    low, high = ranked[max(cut - 1, 0)], ranked[min(cut, len(ranked) - 1)]
    return round(float(low + high) / 2, 3)


def _logarithms(items: Sequence[Scored]) -> DoubleArray:
    """Log-probabilities, one row for each item; rows end in -inf where an item has fewer."""
    width = max(len(item.probabilities) for item in items)
    rows = np.full((len(items), width), -np.inf)
    for row, item in zip(rows, items, strict=True):
        row[: len(item.probabilities)] = np.log(np.maximum(item.probabilities, np.finfo(np.float64).tiny))
    return rows


def _tempered(logarithms: DoubleArray, factor: float) -> DoubleArray:
    shifted = np.exp((logarithms - logarithms.max(axis=1, keepdims=True)) / factor)
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))

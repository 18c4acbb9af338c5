"""From scored items to figures: the measures of a data set, of parts of it, and of simple methods.

A figure that the data cannot give (F1 of long documents where all are short) is left out. Figures of a baseline carry
its name: `overlap.f1` next to `f1`. Summaries are scored in summary_scores.py. This module does not know requests or
files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from sklearn.metrics import f1_score

from app.types import BoolArray, DoubleArray, LongArray
from training.data import LabelledText, QuestionExample
from training.evaluation.baselines import overlap_answer, random_answer, random_labels, tfidf_labels
from training.evaluation.calibration import calibration_error
from training.evaluation.intervals import Interval, Statistic, bootstrap, measured
from training.evaluation.predictions import Scored
from training.evaluation.unanswerable import auroc
from training.metrics import best_over_references

Figures = dict[str, float]

QUARTERS = 4
LENGTH_EDGES = (500, 1000, 2000, 4000, 8000, 16000)  # characters


@dataclass(frozen=True)
class Scores:
    """Figures, and 95 % bootstrap intervals over documents for the headline ones."""

    values: Figures
    intervals: dict[str, Interval] = field(default_factory=dict)

    def with_others(self, others: Figures) -> "Scores":
        """These scores with the figures of other methods added."""
        return replace(self, values=self.values | others)


@dataclass(frozen=True)
class Part:
    """A part of the items: those of one length, or with the answer in one quarter of the document."""

    name: str
    n: int
    measure: float  # mean


def by_length(items: Sequence[Scored]) -> list[Part]:
    """Mean measure by length of the document, shortest first."""
    bounds = zip((0, *LENGTH_EDGES), (*LENGTH_EDGES, None), strict=True)
    return list(
        _parts(
            (
                f"under_{high}" if low == 0 else f"{low}_to_{high}" if high else f"from_{low}",
                [item for item in items if low <= item.characters and (high is None or item.characters < high)],
            )
            for low, high in bounds
        )
    )


def by_position(items: Sequence[Scored]) -> list[Part]:
    """Mean measure by the quarter of the document in which the right answer begins."""
    return list(
        _parts(
            (
                f"quarter_{quarter + 1}",
                [i for i in items if i.position is not None and int(i.position * QUARTERS) == quarter],
            )
            for quarter in range(QUARTERS)
        )
    )


def _parts(named: Iterable[tuple[str, list[Scored]]]) -> Iterator[Part]:
    for name, items in named:
        if items:
            yield Part(name, len(items), mean(item.measure for item in items))


def question_scores(items: Sequence[Scored], about_others: Sequence[Scored], threshold: float | None) -> Scores:
    """Figures of answers, answerability and calibration.

    Exact match and character F1 are those of the best answer to the answerable questions: over all, by quarter and by
    length. `ece` covers every question; `answerability_auroc` compares answerable questions with unanswerable ones.

    Args:
        about_others: answerable questions, asked about documents that do not answer them; empty when not asked.
        threshold: of `score_diff`, above which the model says "not stated"; None when it has none. Its figures, like
            the calibration error, cover the documents on which nothing was fitted. `right_at_threshold`
            counts exact answers, and "not stated" for unanswerable questions.
    """
    answered = [item for item in items if item.wanted]
    statistics = _question_statistics(items)
    if threshold is not None:
        statistics |= _threshold_statistics(items, threshold)
    if about_others:
        statistics |= _pair_statistics(items, about_others)
    documents = [item.document for item in items]
    parts = (*by_position(answered), *by_length(answered))
    values = {"n": len(items), **measured(documents, statistics), **{f"f1_{p.name}": p.measure for p in parts}}
    return Scores(values, bootstrap(documents, statistics))


def _question_statistics(items: Sequence[Scored]) -> dict[str, Statistic]:
    has_answer = _has_answer(items)
    right, f1 = _array(item.right for item in items), _array(item.measure for item in items)
    position = _array(-1.0 if item.position is None else item.position for item in items)
    null_score, score_diff = (_array(getattr(item, name) for item in items) for name in ("null_score", "score_diff"))

    def worst_best_quarter(places: LongArray) -> float:
        quarters = np.floor(position[places] * QUARTERS)
        means = _array(mean_where(f1, position >= 0)(places[quarters == quarter]) for quarter in range(QUARTERS))
        # nan also where a quarter has no answer.
        return float(means.min() / means.max()) if means.max() > 0 else np.nan

    return {
        "em": mean_where(right, has_answer),
        "f1": mean_where(f1, has_answer),
        "ece": _calibration(items),
        "answerability_auroc": _auroc_within(null_score, has_answer),
        "score_diff_answerability_auroc": _auroc_within(score_diff, has_answer),
        "worst_best_quarter": worst_best_quarter,
    }


def _threshold_statistics(items: Sequence[Scored], threshold: float) -> dict[str, Statistic]:
    has_answer, here = _has_answer(items), np.array([not item.is_fitted_on for item in items])
    refused = np.array([not item.given or item.score_diff > threshold for item in items])
    told = _array(refused != has_answer)
    right = _array(np.where(refused, ~has_answer, [item.right and bool(item.wanted) for item in items]))

    def balanced(places: LongArray) -> float:
        return (mean_where(told, here & has_answer)(places) + mean_where(told, here & ~has_answer)(places)) / 2

    return {
        "answerability_accuracy": mean_where(told, here),
        "answerability_balanced_accuracy": balanced,
        "right_at_threshold": mean_where(right, here),
    }


def _pair_statistics(items: Sequence[Scored], about_others: Sequence[Scored]) -> dict[str, Statistic]:
    """Each question's null score for its own document against that for another one."""
    has_answer = _has_answer(items)

    def statistic(name: str) -> Statistic:
        own, other = _array(getattr(item, name) for item in items), np.full(len(items), np.nan)
        other[has_answer] = [getattr(item, name) for item in about_others]

        def of(places: LongArray) -> float:
            asked = places[has_answer[places]]
            return auroc(own[asked], other[asked])

        return of

    return {f"{name}_auroc": statistic(name) for name in ("null_score", "score_diff")}


def _auroc_within(values: DoubleArray, has_answer: BoolArray) -> Statistic:
    return lambda places: auroc(values[places[has_answer[places]]], values[places[~has_answer[places]]])


def question_baselines(examples: Sequence[QuestionExample], about_others: Sequence[QuestionExample]) -> Figures:
    """Figures of the most similar sentence, and of chance, on the answerable questions."""
    examples = [example for example in examples if example.answers]
    if not examples:
        return {}
    overlap = [overlap_answer(example.question, example.context) for example in examples]
    methods = {
        "overlap": [answer for answer, _ in overlap],
        "random": [random_answer(example.id, example.context) for example in examples],
    }
    figures: Figures = {}
    for name, answers in methods.items():
        scores = [
            best_over_references(answer, [text for text, _ in example.answers])
            for answer, example in zip(answers, examples, strict=True)
        ]
        figures[f"{name}.em"] = mean(em for em, _ in scores)
        figures[f"{name}.f1"] = mean(f1 for _, f1 in scores)
    if about_others:
        others = [overlap_answer(example.question, example.context) for example in about_others]
        unlike = [[1 - share for _, share in answers] for answers in (overlap, others)]
        figures["overlap.null_score_auroc"] = round(auroc(*unlike), 4)
    return figures


def label_scores(items: Sequence[Scored]) -> Scores:
    """Accuracy and macro-F1, calibration, accuracy by length, and the share of the most frequent class."""
    wanted, given = [item.wanted[0] for item in items], [item.given for item in items]
    _, codes = np.unique([*wanted, *given], return_inverse=True)
    own, said = codes[: len(items)], codes[len(items) :]
    documents = [item.document for item in items]
    statistics: dict[str, Statistic] = {
        "accuracy": mean_where(_array(own == said), np.ones(len(items), np.bool_)),
        "macro_f1": lambda places: _macro_f1(own[places], said[places]),
        "ece": _calibration(items),
    }
    values = {
        "n": len(items),
        **measured(documents, statistics),
        **{f"accuracy_{part.name}": part.measure for part in by_length(items)},
        "majority.accuracy": round(max(wanted.count(label) for label in set(wanted)) / len(wanted), 4),
    }
    return Scores(values, bootstrap(documents, statistics))


def _macro_f1(wanted: Sequence[str] | LongArray, given: Sequence[str] | LongArray) -> float:
    """Mean F1 over the classes that occur in the data."""
    return float(f1_score(wanted, given, labels=np.unique(wanted), average="macro", zero_division=0))


def label_baselines(examples: Sequence[LabelledText], training: Sequence[LabelledText]) -> Figures:
    """Figures of TF-IDF with logistic regression, and of chance; both use the training split."""
    wanted = [example.label for example in examples]
    methods = {
        "tfidf": tfidf_labels(training, [example.text for example in examples]),
        "random": random_labels([example.label for example in training], len(examples)),
    }
    figures: Figures = {}
    for name, labels in methods.items():
        figures[f"{name}.accuracy"] = mean(given == label for given, label in zip(labels, wanted, strict=True))
        figures[f"{name}.macro_f1"] = round(_macro_f1(wanted, labels), 4)
    return figures


def _calibration(items: Sequence[Scored]) -> Statistic:
    """Expected calibration error over the documents on which nothing was fitted."""
    counted = np.array([bool(item.given and item.probabilities) and not item.is_fitted_on for item in items])
    confidence = _array(item.probabilities[0] if item.probabilities else 0.0 for item in items)
    right = _array(item.right for item in items)

    def error(places: LongArray) -> float:
        inside = places[counted[places]]
        return calibration_error(confidence[inside], right[inside]) if len(inside) else np.nan

    return error


def mean_where(values: DoubleArray, mask: BoolArray) -> Statistic:
    """The mean of the values that the mask selects."""

    def statistic(places: LongArray) -> float:
        inside = places[mask[places]]
        return float(values[inside].mean()) if len(inside) else np.nan

    return statistic


def _has_answer(items: Sequence[Scored]) -> BoolArray:
    return np.array([bool(item.wanted) for item in items])


def _array(values: Iterable[float]) -> DoubleArray:
    return np.array(list(values), dtype=np.float64)


def mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return round(sum(numbers) / len(numbers), 4)

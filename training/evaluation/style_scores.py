"""Figures of each style of document in a reading set: wrapped lines, tables, clauses and the others of STYLES.

A document may have several styles and then counts for each. This module does not know files or requests.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.evaluation.intervals import Interval, Statistic, bootstrap, measured
from training.evaluation.predictions import Choice, Scored
from training.evaluation.scores import Figures, mean_where
from training.evaluation.summary_scores import share_of_marks

Groups = Mapping[str, Collection[str]]  # the names of the documents of each style


@dataclass(frozen=True)
class StyleScores:
    """Figures of the documents of one style, and their 95 % bootstrap intervals over documents."""

    style: str
    documents: int
    n: int  # questions that have an answer, or marked sentences
    values: Figures
    intervals: dict[str, Interval]

    def as_json(self) -> dict[str, Any]:
        return {"documents": self.documents, "n": self.n, **self.values, "intervals": self.intervals}


def questions_by_style(items: Sequence[Scored], groups: Groups) -> list[StyleScores]:
    """Exact match and character F1 of the questions that have an answer; a style without any is left out."""
    scores = []
    for style, names in groups.items():
        own = [item for item in items if item.wanted and item.document in names]
        every = np.ones(len(own), np.bool_)
        statistics = {
            "em": mean_where(np.array([float(item.right) for item in own]), every),
            "f1": mean_where(np.array([item.measure for item in own]), every),
        }
        if own:
            scores.append(_scores(style, [item.document for item in own], len(own), statistics))
    return scores


def marks_by_style(choices: Sequence[Choice], groups: Groups) -> list[StyleScores]:
    """The share of the marked sentences in the summaries; a style without summaries is left out."""
    scores = []
    for style, names in groups.items():
        own = [choice for choice in choices if choice.document.document in names]
        if own:
            statistics = {"marks_found": share_of_marks(own, [choice.chosen for choice in own])}
            marks = sum(len(choice.document.marks) for choice in own)
            scores.append(_scores(style, [choice.document.document for choice in own], marks, statistics))
    return scores


def _scores(style: str, documents: Sequence[str], n: int, statistics: Mapping[str, Statistic]) -> StyleScores:
    intervals = bootstrap(documents, statistics)
    return StyleScores(style, len(set(documents)), n, measured(documents, statistics), intervals)

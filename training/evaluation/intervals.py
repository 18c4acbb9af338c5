"""95 % bootstrap intervals: how far a figure would move with other documents.

The draws are of documents, not of items, because questions about one text are easy or hard together. This module knows
arrays, and does not know models.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from app.types import LongArray

Interval = tuple[float, float]
# The figure of the items at these indices, which may repeat; nan where the items give none.
Statistic = Callable[[LongArray], float]

DRAWS = 1_000
LEVEL = 0.95


def measured(documents: Sequence[str], statistics: Mapping[str, Statistic]) -> dict[str, float]:
    """Each figure over all items; a figure that the items cannot give is left out.

    Args:
        documents: names the document of each item.
    """
    every = np.arange(len(documents))
    values = {name: float(statistic(every)) for name, statistic in statistics.items()}
    return {name: round(value, 4) for name, value in values.items() if not math.isnan(value)}


def bootstrap(documents: Sequence[str], statistics: Mapping[str, Statistic]) -> dict[str, Interval]:
    """The percentile interval (Efron 1979) of each figure over `DRAWS` draws of as many documents as there are.

    All figures and all runs get the same draws. With a single document there are no intervals.

    Args:
        documents: names the document of each item.
    """
    _, of_items = np.unique(np.asarray(documents, dtype=object).astype(str), return_inverse=True)
    count = int(of_items.max(initial=-1)) + 1
    if count < 2:
        return {}
    order = np.argsort(of_items, kind="stable")
    bounds = np.searchsorted(of_items[order], np.arange(count + 1))
    groups = [order[first:last] for first, last in itertools.pairwise(bounds)]
    rng = np.random.default_rng(0)
    values: dict[str, list[float]] = {name: [] for name in statistics}
    for _ in range(DRAWS):
        places = np.concatenate([groups[document] for document in rng.integers(count, size=count)])
        for name, statistic in statistics.items():
            values[name].append(float(statistic(places)))
    tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
    return {
        name: (round(float(low), 4), round(float(high), 4))
        for name, drawn in values.items()
        if not np.isnan(drawn).all()
        for low, high in [np.nanpercentile(drawn, tails)]
    }

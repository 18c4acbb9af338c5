"""Shared by simulations, load tests and the soak: arrivals, lengths, a text to cut documents from, percentiles."""

import argparse
import math
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

SAMPLE = Path(__file__).parents[1] / "app" / "static" / "samples" / "history.txt"
QUESTION = "工事の責任者は誰でしたか"  # of SAMPLE
SHORTEST, LONGEST = 32, 16_384  # tokens of a document in the log-normal mix


def poisson(rate: float, duration_s: float, rng: random.Random) -> Iterator[float]:
    """Arrival times of independent clients: a Poisson process of `rate` a second."""
    at_s = rng.expovariate(rate)
    while at_s < duration_s:
        yield at_s
        at_s += rng.expovariate(rate)


def log_normal(
    median: float, sigma: float, rng: random.Random, *, shortest: int = SHORTEST, longest: int = LONGEST
) -> int:
    """The length of one document: tokens with these limits, characters with those of load_test/traffic.py."""
    return min(max(round(rng.lognormvariate(math.log(median), sigma)), shortest), longest)


def percentile(values: Iterable[float], percent: float) -> float:
    """The percentile by nearest rank; infinite when there is no value."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1] if ordered else math.inf


def positive(kind: Callable[[str], T]) -> Callable[[str], T]:
    """What parses an argument that must be a finite number above 0."""

    def number(value: str) -> T:
        try:
            parsed = kind(value)
        except ValueError:
            parsed = None
        if parsed is None or not 0 < float(value) < float("inf"):
            raise argparse.ArgumentTypeError(f"{value!r} is not a number above 0.")
        return parsed

    return number

"""Requests for simulations and load tests: when they come, how long they are, and a text to cut them from."""

import csv
import math
import random
from collections.abc import Iterator
from pathlib import Path

from bench.simulate.simulation import Request

SAMPLE = Path(__file__).parents[1] / "app" / "static" / "samples" / "history.txt"
QUESTION = "工事の責任者は誰でしたか"  # of SAMPLE
SHORTEST, LONGEST = 32, 16_384  # tokens of a document in the log-normal mix


def poisson(rate: float, duration_s: float, rng: random.Random) -> Iterator[float]:
    """Arrival times of independent clients, `rate` a second on average."""
    at_s = rng.expovariate(rate)
    while at_s < duration_s:
        yield at_s
        at_s += rng.expovariate(rate)


def log_normal(
    median: float, sigma: float, rng: random.Random, *, shortest: int = SHORTEST, longest: int = LONGEST
) -> int:
    """The length of one document: tokens with these limits, characters with those of load_test/traffic.py."""
    return min(max(round(rng.lognormvariate(math.log(median), sigma)), shortest), longest)


def windows_of(tokens: int, max_tokens: int, doc_stride: int) -> tuple[int, ...]:
    """Tokens of the windows that a document of so many is read in."""
    if tokens <= max_tokens:
        return (tokens,)
    starts = [0, *range(doc_stride, tokens - max_tokens + doc_stride, doc_stride)]
    return tuple(min(max_tokens, tokens - start) for start in starts)


def recorded(file: Path, max_tokens: int, doc_stride: int) -> list[Request]:
    """Requests from a CSV file without a header: seconds since the start, tokens.

    Raises:
        ValueError: names the line that is not that.
    """
    requests = []
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            try:
                at_s, tokens = float(row[0]), int(row[1])
            except (ValueError, IndexError):
                raise ValueError(f"{file}, line {number}: expected seconds,tokens, found {','.join(row)!r}.") from None
            requests.append(Request(at_s, windows_of(tokens, max_tokens, doc_stride)))
    return sorted(requests, key=lambda request: request.at_s)

"""Arrivals and lengths."""

import random
import statistics
from pathlib import Path

import pytest

from app.errors import InvalidInput
from bench.simulate.simulation import Request, recorded, windows_of
from bench.workload import LONGEST, SHORTEST, log_normal, poisson


def test_poisson_arrivals() -> None:
    times = list(poisson(5.0, 1000.0, random.Random(0)))
    assert len(times) == pytest.approx(5000, rel=0.05)
    assert times == sorted(times)
    assert times[0] > 0
    assert times[-1] < 1000


def test_lengths() -> None:
    rng = random.Random(0)
    lengths = [log_normal(700, 1.0, rng) for _ in range(5000)]
    assert statistics.median(lengths) == pytest.approx(700, rel=0.1)
    assert SHORTEST <= min(lengths) < max(lengths) <= LONGEST


@pytest.mark.parametrize(
    ("tokens", "windows"),
    [(1, (1,)), (100, (100,)), (101, (100, 51)), (200, (100, 100, 100)), (201, (100,) * 3 + (51,))],
)
def test_windows(tokens: int, windows: tuple[int, ...]) -> None:
    assert windows_of(tokens, max_tokens=100, doc_stride=50) == windows


def test_recorded_arrivals(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.csv"
    file.write_text("2.5,10\n0.5,150\n", encoding="utf-8")
    assert recorded(file, 100, 100) == [Request(0.5, (100, 50)), Request(2.5, (10,))]
    file.write_text("2.5,10\nsoon,10\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2: expected seconds,tokens, found 'soon,10'"):
        recorded(file, 100, 100)

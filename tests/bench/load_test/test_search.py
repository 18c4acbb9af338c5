"""The search for the highest rate, on services that hold an objective up to a known one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from bench.load_test.search import PRECISION, Found, Probe, Verdict, highest_rate, verdict


def searched(judge: Callable[[float], Verdict], first: float = 1.0, lowest: float = 0.5) -> Found:
    async def probe(rate: float) -> Probe:
        return Probe(rate, 100, 10.0, 1.0, judge(rate))

    return asyncio.run(highest_rate(probe, first, lowest))


def up_to(capacity: float, then: Verdict = "misses") -> Callable[[float], Verdict]:
    return lambda rate: "holds" if rate <= capacity else then


def rates(found: Found) -> list[float]:
    return [probe.rate for probe in found.probes]


def test_doubling_then_bisection() -> None:
    found = searched(up_to(10.6))
    assert rates(found) == [1, 2, 4, 8, 16, 12, 10, 11, 10.5]
    assert (found.highest_rate, found.limited_by) == (10.5, "misses")


@pytest.mark.parametrize("capacity", [1.0, 1.01, 3.7, 64.0, 999.0])
def test_the_rate_is_right_to_the_precision(capacity: float) -> None:
    found = searched(up_to(capacity))
    assert found.highest_rate is not None
    assert found.highest_rate <= capacity <= found.highest_rate * (1 + PRECISION)


def test_a_first_rate_that_is_too_high() -> None:
    found = searched(up_to(1.5), first=8.0)
    assert rates(found) == [8, 4, 2, 1, 1.5, 1.75, 1.625, 1.5625]
    assert found.highest_rate == 1.5


def test_no_rate_holds() -> None:
    found = searched(up_to(0.1), first=3.0, lowest=0.5)
    assert rates(found) == [3, 1.5, 0.75]
    assert (found.highest_rate, found.limited_by) == (None, "misses")


def test_the_client_is_the_limit() -> None:
    found = searched(up_to(4.0, "client"))
    assert (found.highest_rate, found.limited_by) == (4.0, "client")


def test_an_interrupted_search_keeps_what_it_found() -> None:
    found = searched(up_to(2.0, "interrupted"))
    assert rates(found) == [1, 2, 4]
    assert (found.highest_rate, found.limited_by) == (2.0, "interrupted")


@pytest.mark.parametrize(
    ("good_share", "keeps_up", "interrupted", "judged"),
    [
        (0.99, True, False, "holds"),
        (0.99, False, False, "holds"),
        (0.98, True, False, "misses"),
        (0.98, False, False, "client"),
        (1.0, True, True, "interrupted"),
        (None, True, False, "misses"),
    ],
)
def test_verdicts(good_share: float | None, keeps_up: bool, interrupted: bool, judged: Verdict) -> None:
    figures: dict[str, Any] = {
        "good_share": good_share, "client": {"keeps_up": keeps_up}, "interrupted": interrupted,
    }  # fmt: skip
    assert verdict(figures) == judged

"""The highest rate at which a service holds its objective: doubling, then bisection. This module knows only rates and
verdicts.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

# misses: the service was too slow. client: the client was too slow to tell. interrupted: the user pressed Ctrl-C.
Verdict = Literal["holds", "misses", "client", "interrupted"]

PRECISION = 0.05  # the search ends when the lowest failed rate is at most this many times the highest that held
PROBE_REQUESTS = 10  # expected requests of a probe, at least: fewer tell nothing
GOOD_SHARE = 0.99  # of all requests sent: this is p99 with unanswered requests counted as infinitely late


@dataclass(frozen=True)
class Probe:
    """One rate that was tried."""

    rate: float  # requests/s
    sent: int
    p99_ms: float | None  # of the answered
    good_share: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Found:
    """The result of a search."""

    highest_rate: float | None  # the highest that held the objective; None when none did
    limited_by: Verdict  # the verdict on the next higher rate
    probes: list[Probe]


def verdict(figures: dict[str, object]) -> Verdict:
    """The verdict on a probe from its figures (summary.py)."""
    share, client = figures["good_share"], figures["client"]
    assert isinstance(client, dict)
    if figures["interrupted"]:
        return "interrupted"
    if isinstance(share, float) and share >= GOOD_SHARE:
        return "holds"  # delays of the client count against the service, so the rate holds even so
    return "misses" if client["keeps_up"] else "client"


async def highest_rate(probe: Callable[[float], Awaitable[Probe]], first: float, lowest: float) -> Found:
    """Try `first`, then higher rates while they hold, or lower ones down to `lowest`."""
    probes: list[Probe] = []
    holds: float | None = None  # the highest rate that did
    fails: Probe | None = None  # the lowest rate that did not
    rate = first
    while True:
        tried = await probe(rate)
        probes.append(tried)
        if tried.verdict == "interrupted":
            return Found(holds, "interrupted", probes)
        if tried.verdict == "holds":
            holds = rate
        else:
            fails = tried
        if fails is None:
            rate *= 2
        elif holds is not None and fails.rate > holds * (1 + PRECISION):
            rate = (holds + fails.rate) / 2
        elif holds is None and rate / 2 >= lowest:
            rate /= 2
        else:
            return Found(holds, fails.verdict, probes)

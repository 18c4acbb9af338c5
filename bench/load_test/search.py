"""The highest rate at which a service holds its objective: doubling, then bisection. Knows rates and verdicts only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

# misses: the service was too slow. client: what sends was too slow to tell. interrupted: nobody waits for more.
Verdict = Literal["holds", "misses", "client", "interrupted"]

PRECISION = (
    0.05  # the search ends when the lowest rate that failed is not more than so much above the highest that held
)
PROBE_REQUESTS = 10  # that a probe sends on average at least: fewer say nothing
GOOD_SHARE = 0.99  # of all requests sent: p99, with whatever is not answered counted as infinitely late


@dataclass(frozen=True)
class Probe:
    """One rate, tried."""

    rate: float  # requests/s
    sent: int
    p99_ms: float | None  # of the answered
    good_share: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Found:
    """Where the search ended."""

    highest_rate: float | None  # that held; None when none did
    limited_by: Verdict  # why no higher rate is known to hold
    probes: list[Probe]


def verdict(figures: dict[str, object]) -> Verdict:
    """From a summary (summary.py)."""
    share, client = figures["good_share"], figures["client"]
    assert isinstance(client, dict)
    if figures["interrupted"]:
        return "interrupted"
    if isinstance(share, float) and share >= GOOD_SHARE:
        return "holds"  # a client that is late counts against the service, so this stands
    return "misses" if client["keeps_up"] else "client"


async def highest_rate(probe: Callable[[float], Awaitable[Probe]], first: float, lowest: float) -> Found:
    """Try rates: `first`, then higher ones, or lower ones down to `lowest`."""
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

"""Runs the real scheduler on an engine that only sleeps, and measures the answers that clients would get.

The engine takes `batch_s + token_s * tokens` for a batch. Outside it, a request costs `request_s` (HTTP, JSON) and, on
one of `text_threads`, `text_token_s` for each token. Everything else (order, batches, prefetch, deadlines, refusals) is
app/engine/batcher.py itself, in virtual time. This module does not know texts or models: a request is a list of window
lengths.
"""

import asyncio
import csv
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.engine.batcher import Batcher, BatchReport
from app.errors import DeadlineExceeded, InvalidInput, Overloaded
from app.packing import packed_length
from app.settings import Settings
from bench.simulate import virtual_time
from bench.workload import percentile

BLOCK = 64


def _default(setting: str) -> Any:
    """The service's own default of a setting."""
    return Settings.model_fields[setting].default


@dataclass(frozen=True)
class Costs:
    """Costs, in seconds."""

    batch_s: float
    token_s: float
    request_s: float = 0.0
    text_token_s: float = 0.0


@dataclass(frozen=True)
class Limits:
    """The settings of the service that the scheduler obeys; see app/settings/."""

    max_batch_tokens: int = _default("max_batch_tokens")
    max_queue_tokens: int = _default("max_queue_tokens")
    request_timeout_s: float = _default("request_timeout_s")
    text_threads: int = _default("text_threads")


@dataclass(frozen=True)
class Request:
    """Time of arrival, and tokens of each window."""

    at_s: float
    windows: tuple[int, ...]


@dataclass(frozen=True)
class Outcome:
    """The results of all requests."""

    latencies_s: list[float]  # of answered requests, in the order of arrival
    refused: int
    expired: int
    seconds: float  # from the first arrival to the last answer
    tokens: int  # of answered requests
    batch_tokens: list[int]

    def percentile_s(self, percent: float) -> float:
        """The percentile of the latency of answered requests; infinite when none was answered."""
        return percentile(self.latencies_s, percent)

    def goodput(self, objective_s: float) -> float:
        """Requests a second that were answered within the objective."""
        return sum(latency <= objective_s for latency in self.latencies_s) / self.seconds if self.seconds else 0.0

    def good_share(self, objective_s: float) -> float:
        """Share of all requests that were answered within the objective."""
        sent = len(self.latencies_s) + self.refused + self.expired
        return sum(latency <= objective_s for latency in self.latencies_s) / sent if sent else 1.0

    def batch_fill(self, max_batch_tokens: int) -> float:
        """Mean share of `max_batch_tokens` in a batch."""
        return statistics.mean(self.batch_tokens) / max_batch_tokens if self.batch_tokens else 0.0


def simulate(requests: Sequence[Request], costs: Costs, limits: Limits) -> Outcome:
    """Send all requests at their times and wait for the last answer."""
    return virtual_time.run(_simulate(requests, costs, limits))


async def _simulate(requests: Sequence[Request], costs: Costs, limits: Limits) -> Outcome:
    clock = asyncio.get_running_loop().time
    engine_is_free = asyncio.Lock()
    text_threads = asyncio.Semaphore(limits.text_threads)
    batch_tokens: list[int] = []
    latencies: dict[int, float] = {}
    refused = expired = 0

    async def engine(windows: Sequence[int]) -> Sequence[int]:
        async with engine_is_free:  # in turn: the lock is fair
            await asyncio.sleep(costs.batch_s + costs.token_s * sum(map(_cost, windows)))
        return windows

    def observe(_: Sequence[int], report: BatchReport) -> None:
        batch_tokens.append(report.tokens)

    batcher = Batcher[int, int](
        engine,
        cost=_cost,
        max_batch_tokens=limits.max_batch_tokens,
        max_queue_tokens=limits.max_queue_tokens,
        clock=clock,
        observe=observe,
    )

    async def send(number: int, request: Request) -> None:
        nonlocal refused, expired
        await asyncio.sleep(request.at_s - clock())
        try:
            async with asyncio.timeout(limits.request_timeout_s):
                await asyncio.sleep(costs.request_s)
                async with text_threads:
                    await asyncio.sleep(costs.text_token_s * sum(request.windows))
                await batcher.submit(request.windows, deadline=request.at_s + limits.request_timeout_s)
            latencies[number] = clock() - request.at_s
        except Overloaded:
            refused += 1
        except (TimeoutError, DeadlineExceeded):
            expired += 1

    await asyncio.gather(*(send(number, request) for number, request in enumerate(requests)))
    await batcher.close()
    return Outcome(
        latencies_s=[latencies[number] for number in sorted(latencies)],
        refused=refused,
        expired=expired,
        seconds=clock() - requests[0].at_s if requests else 0.0,
        tokens=sum(sum(requests[number].windows) for number in latencies),
        batch_tokens=batch_tokens,
    )


def _cost(window: int) -> int:
    return packed_length(window, BLOCK)


def replicas_needed(
    requests: Sequence[Request], costs: Costs, limits: Limits, *, objective_s: float, share: float, most: int = 256
) -> int | None:
    """The fewest replicas, each given every n-th request, with which this share of requests meets the objective.

    None when `most` are not enough: a request whose own time exceeds the objective stays late with any number of
    replicas.
    """

    def enough(replicas: int) -> bool:
        shares = [
            simulate(requests[first::replicas], costs, limits).good_share(objective_s)
            for first in range(min(replicas, 4))  # a sample of the replicas is enough
        ]
        return statistics.mean(shares) >= share

    high = 1
    while not enough(high):
        if high >= most:
            return None
        high = min(2 * high, most)
    low = high // 2  # not enough, or 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def windows_of(tokens: int, max_tokens: int, doc_stride: int) -> tuple[int, ...]:
    """Tokens of each window of a document with this many tokens."""
    if tokens <= max_tokens:
        return (tokens,)
    starts = [0, *range(doc_stride, tokens - max_tokens + doc_stride, doc_stride)]
    return tuple(min(max_tokens, tokens - start) for start in starts)


def recorded(file: Path, max_tokens: int, doc_stride: int) -> list[Request]:
    """Requests from a CSV file without a header: seconds since the start, tokens.

    Raises:
        InvalidInput: names the first invalid line.
    """
    requests = []
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.reader(lines), start=1):
            try:
                at_s, tokens = float(row[0]), int(row[1])
                if not 0 <= at_s < math.inf or tokens < 1:
                    raise ValueError
            except (ValueError, IndexError):
                raise InvalidInput(
                    f"{file}, line {number}: expected seconds,tokens, found {','.join(row)!r}."
                ) from None
            requests.append(Request(at_s, windows_of(tokens, max_tokens, doc_stride)))
    return sorted(requests, key=lambda request: request.at_s)

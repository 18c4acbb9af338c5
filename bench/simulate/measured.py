"""A running service as the simulation sees it: its costs fitted, and a real run to hold a prediction against.

Only the address that is named is asked. What the service and the machine are doing besides falls on the figures.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np

from app.packing import packed_length
from bench.simulate.simulation import BLOCK, Costs, Outcome, Request
from bench.workload import QUESTION, SAMPLE

FIT_CHARACTERS = (50, 200, 500, 1000, 2000, 3000, 4000, 5000)


@dataclass(frozen=True)
class Answered:
    """One request, as client and service measured it."""

    at_s: float
    latency_s: float
    queue_s: float
    infer_s: float
    windows: tuple[int, ...]  # tokens; of several windows, only their sum is known to be right


async def fit(url: str, rounds: int) -> list[Answered]:
    """Documents of several lengths, one at a time."""
    async with _client(url) as client:
        for characters in FIT_CHARACTERS:  # untimed
            await _ask(client, characters, 0.0)
        return [await _ask(client, characters, 0.0) for _ in range(rounds) for characters in FIT_CHARACTERS]


def costs_of(answered: Sequence[Answered]) -> Costs:
    """Least squares over requests that were sent one at a time."""
    padded = np.array([sum(packed_length(window, BLOCK) for window in one.windows) for one in answered])
    tokens = np.array([sum(one.windows) for one in answered])
    token_s, batch_s = np.polyfit(padded, [one.infer_s for one in answered], 1)
    around = [one.latency_s - one.infer_s - one.queue_s for one in answered]
    text_token_s, request_s = np.polyfit(tokens, around, 1)
    values = (batch_s, token_s, request_s, text_token_s)
    return Costs(*(max(float(value), 0.0) for value in values))


async def send(url: str, arrivals: Sequence[float], characters: tuple[int, int], rng: random.Random) -> list[Answered]:
    """Send a document at each of these times, whether or not earlier ones have been answered."""
    async with _client(url) as client:
        begun = time.perf_counter()

        async def one(at_s: float, length: int) -> Answered:
            await asyncio.sleep(at_s - (time.perf_counter() - begun))
            return await _ask(client, length, begun)

        return await asyncio.gather(*(one(at_s, rng.randint(*characters)) for at_s in arrivals))


def as_requests(answered: Sequence[Answered]) -> list[Request]:
    """The same requests for the simulation, in the order they were really sent."""
    return [Request(one.at_s, one.windows) for one in sorted(answered, key=lambda one: one.at_s)]


def as_outcome(answered: Sequence[Answered]) -> Outcome:
    """What was measured, in the simulation's terms."""
    first = min(one.at_s for one in answered)
    last = max(one.at_s + one.latency_s for one in answered)
    return Outcome(
        latencies_s=[one.latency_s for one in sorted(answered, key=lambda one: one.at_s)],
        refused=0,
        expired=0,
        seconds=last - first,
        tokens=sum(sum(one.windows) for one in answered),
        batch_tokens=[],
    )


def _client(url: str) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=url, timeout=600, limits=limits, trust_env=False)


async def _ask(client: httpx.AsyncClient, characters: int, begun: float) -> Answered:
    text = SAMPLE.read_text(encoding="utf-8")
    body = {"question": QUESTION, "context": (text * (characters // len(text) + 1))[:characters]}
    sent = time.perf_counter()
    response = await client.post("/qa", json=body)
    ended = time.perf_counter()
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    windows, tokens = answer["usage"]["windows"], answer["usage"]["tokens"]
    return Answered(
        at_s=sent - begun,
        latency_s=ended - sent,
        queue_s=answer["timings"]["queue_ms"] / 1000,
        infer_s=answer["timings"]["infer_ms"] / 1000,
        windows=tuple(tokens // windows + (number < tokens % windows) for number in range(windows)),
    )

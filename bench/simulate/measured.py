"""Measures a running service for the simulation: its costs, and a real load to compare a prediction with.

Sends with the client and the open loop of the load test, and only to the given address. Other work of the service and
of the machine distorts the figures.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.packing import packed_length
from bench.load_test.client import Result, Target, Unusable, ask, describe, open_client
from bench.load_test.loops import Load
from bench.load_test.traffic import Request, request
from bench.simulate import simulation
from bench.simulate.simulation import BLOCK, Costs, Outcome
from bench.workload import SAMPLE

FIT_CHARACTERS = (50, 200, 500, 1000, 2000, 3000, 4000, 5000)


@dataclass(frozen=True)
class Answered:
    """One answered request, with the times that the client and the service measured."""

    at_s: float
    latency_s: float
    queue_s: float
    infer_s: float
    windows: tuple[int, ...]  # tokens; with several windows, only their sum is exact


async def fit(url: str, rounds: int) -> list[Answered]:
    """Send documents of several lengths, one at a time.

    Raises:
        Unusable: the service cannot be asked, or a request was not answered.
    """
    async with open_client(Target(url)) as client:
        await describe(client, Target(url), ["qa"])
        answered = []
        for _ in range(1 + rounds):
            load = Load(partial(ask, client))
            answered += [
                _answered(await ask(client, _question(characters), load.clock(), load.clock))
                for characters in FIT_CHARACTERS
            ]
        return answered[len(FIT_CHARACTERS) :]  # the first round warms up


def costs_of(answered: Sequence[Answered]) -> Costs:
    """Costs by least squares over requests that were sent one at a time."""
    padded = np.array([sum(packed_length(window, BLOCK) for window in one.windows) for one in answered])
    tokens = np.array([sum(one.windows) for one in answered])
    token_s, batch_s = np.polyfit(padded, [one.infer_s for one in answered], 1)
    around = [one.latency_s - one.infer_s - one.queue_s for one in answered]
    text_token_s, request_s = np.polyfit(tokens, around, 1)
    values = (batch_s, token_s, request_s, text_token_s)
    return Costs(*(max(float(value), 0.0) for value in values))


async def send(url: str, arrivals: Sequence[float], characters: tuple[int, int], rng: random.Random) -> list[Answered]:
    """Send a document at each of these times, whether or not earlier ones have been answered.

    Raises:
        Unusable: the service cannot be asked, or a request was not answered.
    """
    requests = [(at_s, _question(rng.randint(*characters))) for at_s in arrivals]
    async with open_client(Target(url)) as client:
        await describe(client, Target(url), ["qa"])
        measured = await Load(partial(ask, client)).open_loop(requests, max(arrivals, default=0.0))
    return [_answered(result) for result in measured.results]


def as_requests(answered: Sequence[Answered]) -> list[simulation.Request]:
    """The same requests for the simulation, in the order in which they were sent."""
    return [simulation.Request(one.at_s, one.windows) for one in sorted(answered, key=lambda one: one.at_s)]


def as_outcome(answered: Sequence[Answered]) -> Outcome:
    """The measured load in the form of a simulated one."""
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


def _question(characters: int) -> Request:
    text = SAMPLE.read_text(encoding="utf-8")
    return request("qa", (text * (characters // len(text) + 1))[:characters])


def _answered(result: Result) -> Answered:
    if not result.answered:
        raise Unusable(f"A request was not answered: {result.outcome} {result.message}".rstrip())
    tokens, windows = result.tokens, result.windows
    return Answered(
        at_s=result.sent_s,
        latency_s=result.ended_s - result.sent_s,
        queue_s=result.stages_ms["queue"] / 1000,
        infer_s=result.stages_ms["infer"] / 1000,
        windows=tuple(tokens // windows + (number < tokens % windows) for number in range(windows)),
    )

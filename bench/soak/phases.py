"""The phases of the soak in order: quiet run, capacity, overload, calm, crash, stop.

This module knows the clients by name, and does not know the checks.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.soak.clients import Clients
from bench.soak.connection import Connection
from bench.soak.record import Record
from bench.soak.requests import Wanted
from bench.soak.server import POLL_S, Server
from bench.workload import poisson

OVERLOAD = 3.0  # times the measured capacity
SATURATING_USERS = 8  # each sends one request after the other
CALM_USERS = 3
MISBEHAVING_USERS = 2
# The longest wait of a user before the next request; the server closes a connection after five idle seconds.
THINK_S = 0.2
REFUSED_S = 0.5  # the shortest wait of a saturating user after a 429, so that it does not only collect refusals
STOP_AFTER_S = 2.0  # seconds of load before SIGTERM
PATIENCE_S = 120.0  # for events that must come but may take long on a slow machine

# Shares of --minutes. Memory is compared between the two calm phases, each with an overload before it.
SHARES = {"capacity": 0.1, "overload 1": 0.12, "calm 1": 0.23, "crash": 0.18, "overload 2": 0.12, "calm 2": 0.25}
CRASHED = "/qa"  # the endpoint whose engine is killed
HELD_S = 0.5  # the engine is stopped for this long before the kill, so that requests are in it


@dataclass
class Events:
    """Events other than requests. Times are seconds since the epoch; None means that it did not happen."""

    capacity: float = 0.0  # requests/s answered while more were always waiting
    offered: list[float] = field(default_factory=list)  # valid requests/s, in each overload
    crashed_model: str = ""
    crashes: int = 0
    crashed: float = 0.0  # time of the last crash; the next two belong to it too
    not_ready: float | None = None
    ready_again: float | None = None
    terminated: float = 0.0
    stopped: float | None = None
    exit_code: int | None = None
    metrics: str = ""  # read after all requests before the stop had ended


class Load:
    """Runs the phases, in the order of the methods."""

    def __init__(self, server: Server, record: Record, seed: int) -> None:
        self.events = Events()
        self._server = server
        self._record = record
        self._rng = random.Random(seed)
        self._clients = Clients(server.url, record, self._rng)
        self._going = False  # whether users start another request
        self._arrived: set[asyncio.Task[object]] = set()  # open requests of an overload

    async def quiet(self) -> None:
        """Send every valid request once, alone. Later answers are compared with these."""
        self._record.enter("quiet")
        for wanted in self._clients.requests:
            await self._clients.ask(wanted)

    async def capacity(self, seconds: float) -> None:
        """Measure the capacity, in tokens, so that one long text more does not change the rate."""
        self._record.enter("capacity")
        begun = time.monotonic()
        await self._for(seconds, *(self._saturate() for _ in range(SATURATING_USERS)))
        tokens = sum(self._tokens(sent.wanted) for sent in self._record.of_phase("capacity") if sent.status == 200)
        mean = statistics.mean(self._tokens(wanted) for wanted in self._clients.requests)
        self.events.capacity = tokens / mean / (time.monotonic() - begun)

    async def overload(self, phase: str, seconds: float) -> None:
        """Send valid requests at `OVERLOAD` times the capacity in an open loop, together with all other clients."""
        self._record.enter(phase)
        await self._while(self._until_refused(phase, seconds), *self._calm_users(), self._arrivals())
        began = [sent.began for sent in self._record.of_phase(phase) if sent.kind == "overload"]
        self.events.offered.append((len(began) - 1) / (began[-1] - began[0]))

    async def calm(self, phase: str, seconds: float) -> None:
        """Run a few users that behave and a few that do not."""
        self._record.enter(phase)
        await self._for(seconds, *self._calm_users())

    async def crash(self, seconds: float) -> None:
        """Run a calm load and kill an engine while it has work."""
        self._record.enter("crash")
        await self._for(seconds, *self._calm_users(), self._kill(seconds / 4))

    async def settle(self) -> None:
        """Wait until every request has ended on both sides, then read the metrics."""
        self._record.enter("settled")
        await asyncio.gather(*self._arrived)
        wanted = {sent.request_id for sent in self._record.sent if sent.is_logged}
        until = time.monotonic() + PATIENCE_S
        while wanted - {request_id for request_id, _ in self._server.lines()} and time.monotonic() < until:
            await asyncio.sleep(POLL_S)
        _, metrics = await self._clients.get("/metrics", "metrics")
        self.events.metrics = metrics.decode()

    async def stop(self) -> None:
        """Run all clients and an overload, and send SIGTERM in the middle of it."""
        self._record.enter("stop")
        await self._while(self._terminate(), *self._calm_users(), self._arrivals())
        await asyncio.gather(*self._arrived)

    async def _until_refused(self, phase: str, seconds: float) -> None:
        """Wait this many seconds, or longer on a slow machine, until the queue is full."""
        await asyncio.sleep(seconds)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and all(sent.status != 429 for sent in self._record.of_phase(phase)):
            await asyncio.sleep(POLL_S)

    async def _terminate(self) -> None:
        await asyncio.sleep(STOP_AFTER_S)
        self.events.terminated = time.time()
        self._server.terminate()
        self.events.exit_code = await self._server.ended()
        self.events.stopped = time.time()

    def _tokens(self, wanted: Wanted | None) -> int:
        """The tokens of a request, from its answer in the quiet run."""
        assert wanted is not None
        tokens: int = self._record.references[wanted.name]["usage"]["tokens"]
        return tokens

    async def _for(self, seconds: float, *users: Awaitable[None]) -> None:
        await self._while(asyncio.sleep(seconds), *users)

    async def _while(self, something: Awaitable[None], *users: Awaitable[None]) -> None:
        """Let users send while a phase lasts. Each ends with the answer to its last request."""
        self._going = True
        running = asyncio.gather(*users)
        try:
            await something
        finally:
            self._going = False
        await running

    def _calm_users(self) -> list[Awaitable[None]]:
        return [
            *(self._behave() for _ in range(CALM_USERS)),
            *(self._misbehave() for _ in range(MISBEHAVING_USERS)),
        ]

    async def _behave(self) -> None:
        async with Connection(self._server.url) as connection:
            while self._going:
                await self._clients.ask(self._clients.any(), connection=connection)
                await asyncio.sleep(self._rng.uniform(0, THINK_S))

    async def _misbehave(self) -> None:
        """Cycle through the clients, so that each sends equally often."""
        waiting: list[Callable[[], Awaitable[object]]] = []
        while self._going:
            if not waiting:
                waiting = list(self._clients.misbehaving.values())
                self._rng.shuffle(waiting)
            await waiting.pop()()
            await asyncio.sleep(self._rng.uniform(0, THINK_S))

    async def _saturate(self) -> None:
        while self._going:
            sent = await self._clients.ask(self._clients.any(), "capacity")
            if sent.status == 429:
                await asyncio.sleep(REFUSED_S)

    async def _arrivals(self) -> None:
        begun = time.monotonic()
        for at_s in poisson(OVERLOAD * self.events.capacity, float("inf"), self._rng):
            await asyncio.sleep(at_s - (time.monotonic() - begun))
            if not self._going:
                return
            request = asyncio.create_task(self._clients.ask(self._clients.any(), "overload"))
            self._arrived.add(request)
            request.add_done_callback(self._arrived.discard)

    async def _kill(self, after_s: float) -> None:
        """Kill the engine until a request fails whose client still waits: the engine may hold only abandoned ones."""
        await asyncio.sleep(after_s)
        wanted = next(wanted for wanted in self._clients.requests if wanted.path == CRASHED)
        self.events.crashed_model = self._record.references[wanted.name]["model"]
        until = time.monotonic() + PATIENCE_S
        while not any(sent.error_type == "engine_failed" for sent in self._record.sent) and time.monotonic() < until:
            engine = self._server.engines()[self.events.crashed_model]
            engine.suspend()
            asked = asyncio.create_task(self._clients.ask(wanted, "in the crash"))
            await asyncio.sleep(HELD_S)
            self.events.crashes += 1
            self.events.crashed = time.time()
            engine.kill()
            await self._away_and_back()
            await asked

    async def _away_and_back(self) -> None:
        """Poll readiness until the service has turned unready and ready again."""
        self.events.not_ready = self.events.ready_again = None
        until = time.monotonic() + PATIENCE_S
        while self.events.ready_again is None and time.monotonic() < until:
            sent, _ = await self._clients.get("/readyz", "readiness", frozenset({200, 503}))
            if sent.status == 503:
                self.events.not_ready = self.events.not_ready or sent.began
            elif self.events.not_ready is not None:
                self.events.ready_again = sent.began
            await asyncio.sleep(POLL_S)

"""A running load: when to send requests, which are in flight, which have ended.

Open loop: each request is sent at its time, whether or not earlier ones have been answered, as independent clients do.
Closed loop: a fixed number of clients, each of which sends its next request after the answer to its last one. The loops
take the time from the event loop and send through a function, so that tests run in virtual time. This module does not
know HTTP.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from bench.load_test.client import Result
from bench.load_test.traffic import Request

Clock = Callable[[], float]
Send = Callable[[Request, float, Clock], Awaitable[Result]]

# After an error, a client of a closed loop waits this long before its next request, unless Retry-After says otherwise.
PAUSE_S = 1.0


@dataclass(frozen=True)
class Measured:
    """The results of a finished load."""

    results: list[Result]  # in the order in which they ended
    seconds: float  # time during which requests were sent
    cpu_share: float = 0.0  # share of one core that the client used while sending
    unfinished: int = 0  # requests in flight when the load was interrupted
    interrupted: bool = False


class Load:
    """One load. `results` and `in_flight` may be read while it runs; a cancelled load ends with the results it has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self.results: list[Result] = []
        self.in_flight = 0
        self._unfinished = 0

    def clock(self) -> float:
        """Seconds since the load began."""
        return self._loop.time() - self._begun

    async def open_loop(self, arrivals: Iterable[tuple[float, Request]], duration_s: float) -> Measured:
        """Send each request at its time, all of them within the duration; wait for all answers."""

        async def sending(tasks: asyncio.TaskGroup) -> None:
            for at_s, request in arrivals:
                await asyncio.sleep(at_s - self.clock())
                tasks.create_task(self._one(request, at_s))
            await asyncio.sleep(duration_s - self.clock())

        return await self._measure(sending)

    async def closed_loop(self, requests: Iterator[Request], concurrency: int, duration_s: float) -> Measured:
        """Keep this many requests in flight until the time is over; wait for the last answers."""

        async def work() -> None:
            while (now := self.clock()) < duration_s:
                result = await self._one(next(requests), now)
                if not result.answered:
                    pause_s = PAUSE_S if result.retry_after_s is None else result.retry_after_s
                    await asyncio.sleep(min(pause_s, duration_s - self.clock()))

        async def sending(tasks: asyncio.TaskGroup) -> None:
            for _ in range(concurrency):
                tasks.create_task(work())
            await asyncio.sleep(duration_s - self.clock())

        return await self._measure(sending)

    async def _one(self, request: Request, scheduled_s: float) -> Result:
        self.in_flight += 1
        try:
            result = await self._send(request, scheduled_s, self.clock)
        except asyncio.CancelledError:
            self._unfinished += 1
            raise
        finally:
            self.in_flight -= 1
        self.results.append(result)
        return result

    async def _measure(self, sending: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> Measured:
        cpu_begun = time.process_time()
        seconds = cpu_s = 0.0
        interrupted = False
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await sending(tasks)
                finally:
                    seconds, cpu_s = self.clock(), time.process_time() - cpu_begun
        except asyncio.CancelledError:  # Ctrl-C: the results so far are the results
            interrupted = True
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
        cpu_share = cpu_s / seconds if seconds else 0.0
        return Measured(self.results, seconds, cpu_share, self._unfinished, interrupted)

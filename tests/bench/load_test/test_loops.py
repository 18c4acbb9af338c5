"""Open and closed loops in virtual time, on a service that only takes time."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from bench.load_test.client import Result
from bench.load_test.loops import Clock, Load, Measured
from bench.load_test.traffic import Request
from bench.simulate import virtual_time

REQUEST = Request("/qa", 2, b"{}")


class Service:
    """Answers one request at a time, each in `seconds`, with `outcome`."""

    def __init__(self, seconds: float, outcome: str = "200", retry_after_s: float | None = None) -> None:
        self._seconds = seconds
        self._outcome = outcome
        self._retry_after_s = retry_after_s
        self._lock = asyncio.Lock()

    async def send(self, request: Request, scheduled_s: float, clock: Clock) -> Result:
        sent_s = clock()
        async with self._lock:
            await asyncio.sleep(self._seconds)
        return Result(
            request.endpoint, request.characters, scheduled_s, sent_s, clock(), self._outcome,
            retry_after_s=self._retry_after_s,
        )  # fmt: skip


def run(load: Coroutine[Any, Any, Measured]) -> Measured:
    return virtual_time.run(load)


def test_an_open_loop_does_not_wait_for_answers() -> None:
    async def main() -> Measured:
        return await Load(Service(2.0).send).open_loop([(1.0, REQUEST), (1.5, REQUEST), (2.0, REQUEST)], 4.0)

    measured = run(main())
    assert [(r.scheduled_s, r.sent_s, r.ended_s) for r in measured.results] == [(1, 1, 3), (1.5, 1.5, 5), (2, 2, 7)]
    assert (measured.seconds, measured.unfinished, measured.interrupted) == (4.0, 0, False)


def test_latency_counts_from_the_scheduled_time_when_the_client_is_late() -> None:
    """The client is busy with something else for five seconds, just when it should have sent the first."""

    async def main() -> Measured:
        load = Load(Service(0.1).send)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, virtual_time.VirtualLoop)

        def arrivals() -> Any:
            yield 1.0, REQUEST
            loop._jumping.now += 5.0
            yield 2.0, REQUEST

        return await load.open_loop(arrivals(), 3.0)

    results = run(main()).results
    assert [result.late_ms for result in results] == pytest.approx([5000, 4000])
    assert [result.latency_ms for result in results] == pytest.approx([5100, 4200])


def test_a_closed_loop_keeps_so_many_in_flight() -> None:
    async def main() -> tuple[Measured, int]:
        load = Load(Service(1.0).send)
        task = asyncio.create_task(load.closed_loop(itertools.repeat(REQUEST), 3, 4.5))
        await asyncio.sleep(2.2)
        in_flight = load.in_flight
        return await task, in_flight

    measured, in_flight = virtual_time.run(main())
    assert in_flight == 3
    assert [result.ended_s for result in measured.results] == [1, 2, 3, 4, 5, 6, 7], "none is sent after 4.5 s"
    assert measured.seconds == 4.5


@pytest.mark.parametrize(("retry_after_s", "sent"), [(None, [0.0, 2.0, 4.0]), (3.0, [0.0, 4.0]), (60.0, [0.0])])
def test_a_refused_client_waits(retry_after_s: float | None, sent: list[float]) -> None:
    async def main() -> Measured:
        service = Service(1.0, "429", retry_after_s)
        return await Load(service.send).closed_loop(itertools.repeat(REQUEST), 1, 5.0)

    assert [result.sent_s for result in run(main()).results] == sent


@pytest.mark.parametrize("concurrency", [None, 2])
def test_an_interrupted_load_ends_with_what_it_has(concurrency: int | None) -> None:
    async def main() -> Measured:
        load = Load(Service(2.0).send)
        if concurrency:
            running = load.closed_loop(itertools.repeat(REQUEST), concurrency, 100.0)
        else:
            running = load.open_loop([(float(second), REQUEST) for second in range(100)], 100.0)
        task = asyncio.create_task(running)
        await asyncio.sleep(5.5)
        task.cancel()
        measured = await task
        assert load.in_flight == 0
        return measured

    measured = run(main())
    assert [result.ended_s for result in measured.results] == [2.0, 4.0]
    assert measured.interrupted
    assert measured.unfinished == (2 if concurrency else 4)
    assert measured.seconds == 5.5

"""Virtual time: order and clock as in real time, without the waiting."""

import asyncio

import pytest

from bench.simulate import virtual_time


def test_hours_pass_at_once_and_in_order() -> None:
    async def main() -> list[tuple[str, float]]:
        clock = asyncio.get_running_loop().time
        seen: list[tuple[str, float]] = []

        async def wait(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, clock()))

        await asyncio.gather(wait("late", 7200), wait("early", 3600))
        return seen

    assert virtual_time.run(main()) == [("early", 3600.0), ("late", 7200.0)]


def test_timeouts_run_on_it() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(100):
                await asyncio.sleep(1000)
        return asyncio.get_running_loop().time()

    assert virtual_time.run(main()) == 100.0


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_waiting_for_nothing_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="Deadlock: every task waits for something other than time"):
        virtual_time.run(main())

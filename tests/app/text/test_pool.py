"""The queue before the text threads: its order, its limit, and dropped calls."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from app.errors import Overloaded
from app.text.pool import TextThreads


class Held:
    """A call that runs until the test lets it end."""

    def __init__(self, name: str, ran: list[str]) -> None:
        self._name, self._ran = name, ran
        self.begun = threading.Event()
        self.end = threading.Event()

    def __call__(self) -> str:
        self._ran.append(self._name)
        self.begun.set()
        self.end.wait(10)
        return self._name


@pytest.fixture
async def threads() -> AsyncIterator[TextThreads]:
    one = TextThreads(1, max_waiting_characters=100)
    yield one
    one.close()


async def occupied(threads: TextThreads, ran: list[str]) -> tuple[Held, "asyncio.Task[str]"]:
    held = Held("running", ran)
    task = asyncio.create_task(threads.tokenize(50, held))
    await asyncio.to_thread(held.begun.wait, 10)
    return held, task


async def test_decoding_goes_before_texts_that_wait(threads: TextThreads) -> None:
    ran: list[str] = []
    held, running = await occupied(threads, ran)
    waiting = [asyncio.create_task(threads.tokenize(10, ran.append, name)) for name in ("first", "second")]
    await asyncio.sleep(0)
    decoding = asyncio.create_task(threads.decode(ran.append, "decoded"))
    await asyncio.sleep(0)
    held.end.set()
    await asyncio.gather(running, *waiting, decoding)
    assert ran == ["running", "decoded", "first", "second"]
    assert threads.waiting_characters == 0


async def test_a_full_line_refuses_and_says_when_to_come_back(threads: TextThreads) -> None:
    ran: list[str] = []
    held, running = await occupied(threads, ran)
    enormous = asyncio.create_task(threads.tokenize(500, ran.append, "enormous"))
    await asyncio.sleep(0)
    assert threads.waiting_characters == 500, "one that finds nobody waiting is always taken"
    with pytest.raises(Overloaded, match=r"500 characters wait .* would add 1; 100 may wait") as full:
        await threads.tokenize(1, ran.append, "refused")
    assert full.value.retry_after_s == 1, "nothing measured yet"
    held.end.set()
    await asyncio.gather(running, enormous)
    assert ran == ["running", "enormous"]


async def test_retry_after_is_measured() -> None:
    now = 0.0

    def read() -> None:
        nonlocal now
        now += 5.0

    threads = TextThreads(1, max_waiting_characters=100, clock=lambda: now)
    await threads.tokenize(50, read)  # 10 characters a second
    held, running = await occupied(threads, [])
    waiting = asyncio.create_task(threads.tokenize(95, str))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as full:
        await threads.tokenize(10, str)
    assert full.value.retry_after_s == 10  # 95 / 10, rounded up
    held.end.set()
    await asyncio.gather(running, waiting)
    threads.close()


async def test_a_call_that_is_cancelled_while_it_waits_never_runs(threads: TextThreads) -> None:
    ran: list[str] = []
    held, running = await occupied(threads, ran)
    gone = asyncio.create_task(threads.tokenize(10, ran.append, "gone"))
    stays = asyncio.create_task(threads.tokenize(10, ran.append, "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    held.end.set()
    await asyncio.gather(running, gone, stays, return_exceptions=True)
    assert ran == ["running", "stays"]
    assert threads.waiting_characters == 0


async def test_a_thread_is_free_only_when_its_call_has_ended(threads: TextThreads) -> None:
    ran: list[str] = []
    held, running = await occupied(threads, ran)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    next_one = asyncio.create_task(threads.tokenize(10, ran.append, "next"))
    await asyncio.sleep(0)
    assert threads.waiting_characters == 10, "the cancelled call still runs"
    held.end.set()
    await next_one


async def test_a_call_that_fails_frees_its_thread(threads: TextThreads) -> None:
    def fails() -> None:
        raise ValueError("no text")

    for _ in range(3):
        with pytest.raises(ValueError, match="no text"):
            await threads.tokenize(10, fails)
    assert await threads.decode(str) == ""


async def test_every_thread_is_reached() -> None:
    threads = TextThreads(3, max_waiting_characters=1)
    seen: set[int] = set()
    await threads.run_on_each(lambda: seen.add(threading.get_ident()))
    assert len(seen) == 3
    threads.close()


async def test_cancelling_what_runs_on_each_leaves_no_thread_behind() -> None:
    """One thread has come and waits for the other, which is busy and then finds its call cancelled."""
    threads = TextThreads(2, 100)
    go_on = threading.Event()
    busy = asyncio.create_task(threads.decode(go_on.wait))
    await asyncio.sleep(0)
    everywhere = asyncio.create_task(threads.run_on_each(lambda: None))
    await asyncio.sleep(0.05)
    everywhere.cancel()
    with pytest.raises(asyncio.CancelledError):
        await everywhere
    go_on.set()
    assert await busy
    async with asyncio.timeout(20):
        await asyncio.to_thread(threads.close)

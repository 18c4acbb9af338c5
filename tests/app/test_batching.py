"""Every rule of the batcher, in virtual time: the clock is a number and a batch ends when the test says so."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.batching import Batcher, BatchReport, Completion
from app.errors import EngineFailed, Overloaded, Unavailable

Document = tuple[str, int]  # a name and its tokens


class Engine:
    """Keeps every batch until the test ends it, and moves the clock then."""

    def __init__(self) -> None:
        self.now = 0.0
        self.batches: list[list[Document]] = []
        self._running: asyncio.Future[None] | None = None

    def clock(self) -> float:
        return self.now

    async def __call__(self, documents: Sequence[Document]) -> list[str]:
        assert self._running is None, "one batch at a time"
        self.batches.append(list(documents))
        self._running = asyncio.get_running_loop().create_future()
        try:
            await self._running
        finally:
            self._running = None
        return [name.upper() for name, _ in documents]

    async def end(self, seconds: float = 1.0, error: Exception | None = None) -> None:
        """End the batch that runs after so many seconds."""
        assert self._running is not None
        self.now += seconds
        if error is None:
            self._running.set_result(None)
        else:
            self._running.set_exception(error)
        await settle()


async def settle() -> None:
    """Let everything happen that can happen without time passing."""
    for _ in range(20):
        await asyncio.sleep(0)


def make(
    engine: Engine, max_batch_tokens: int = 100, max_queue_tokens: int = 1000, reports: list[BatchReport] | None = None
) -> Batcher[Document, str]:
    batcher = Batcher[Document, str](
        engine,
        cost=lambda document: document[1],
        max_batch_tokens=max_batch_tokens,
        max_queue_tokens=max_queue_tokens,
        clock=engine.clock,
        observe=lambda _, report: None if reports is None else reports.append(report),
    )
    batcher.start()
    return batcher


async def submit(batcher: Batcher[Document, str], *documents: Document) -> asyncio.Task[Completion[str]]:
    task = asyncio.create_task(batcher.submit(documents))
    await settle()
    return task


async def test_starts_at_once_when_idle() -> None:
    engine = Engine()
    batcher = make(engine)
    task = await submit(batcher, ("a", 10))
    assert engine.batches == [[("a", 10)]]
    await engine.end(2.0)
    done = await task
    assert (done.results, done.queue_s, done.infer_s) == (["A"], 0.0, 2.0)
    await batcher.close()


async def test_fills_the_next_batch_while_one_runs_in_order() -> None:
    engine = Engine()
    batcher = make(engine)
    tasks = [await submit(batcher, (name, 40)) for name in "abcde"]
    assert engine.batches == [[("a", 40)]]
    assert batcher.queued_tokens == 160
    await engine.end()
    assert engine.batches[1] == [("b", 40), ("c", 40)], "three would be more than 100 tokens"
    await engine.end()
    assert engine.batches[2] == [("d", 40), ("e", 40)]
    await engine.end()
    assert [(await task).results for task in tasks] == [["A"], ["B"], ["C"], ["D"], ["E"]]
    assert [(await task).queue_s for task in tasks] == [0, 1, 1, 2, 2]
    assert batcher.queued_tokens == 0
    await batcher.close()


async def test_first_in_first_out_even_when_a_later_one_would_fit() -> None:
    engine = Engine()
    batcher = make(engine)
    for name, tokens in (("running", 1), ("a", 60), ("b", 60), ("c", 10)):
        await submit(batcher, (name, tokens))
    await engine.end()
    assert engine.batches[1] == [("a", 60)]
    await engine.end()
    assert engine.batches[2] == [("b", 60), ("c", 10)]
    await engine.end()
    await batcher.close()


async def test_a_document_larger_than_a_batch_runs_alone() -> None:
    engine = Engine()
    batcher = make(engine)
    for name, tokens in (("running", 1), ("small", 10), ("large", 500), ("next", 10)):
        await submit(batcher, (name, tokens))
    for _ in range(3):
        await engine.end()
    assert engine.batches[1:] == [[("small", 10)], [("large", 500)], [("next", 10)]]
    await engine.end()
    await batcher.close()


async def test_windows_of_one_request_come_back_together_and_in_order() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    task = await submit(batcher, *((f"w{number}", 40) for number in range(5)))
    await engine.end()
    for _ in range(3):
        assert not task.done()
        await engine.end()
    done = await task
    assert done.results == ["W0", "W1", "W2", "W3", "W4"]
    assert (done.queue_s, done.infer_s) == (1.0, 3.0)
    await batcher.close()


async def test_a_full_queue_refuses_whole_requests_and_says_when_to_come_back() -> None:
    engine = Engine()
    batcher = make(engine, max_queue_tokens=100)
    await submit(batcher, ("measured", 50))
    with pytest.raises(Overloaded) as before:
        await batcher.submit([("a", 60), ("b", 60)])
    assert before.value.retry_after_s == 1, "nothing measured yet"
    await engine.end(5.0)
    assert batcher.tokens_per_second == 10.0
    await submit(batcher, ("running", 30))
    waiting = await submit(batcher, ("waiting", 95))
    with pytest.raises(Overloaded, match="holds 95 tokens and this request would add 6; 100 may wait") as full:
        await batcher.submit([("c", 6)])
    assert full.value.retry_after_s == 13  # (30 + 95) / 10, rounded up
    fits = await submit(batcher, ("d", 5))
    for _ in range(2):
        await engine.end()
    assert waiting.done()
    assert fits.done()
    await batcher.close()


async def test_cancelled_work_is_dropped_before_it_runs() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    gone = await submit(batcher, ("gone", 70), ("gone too", 70))
    stays = await submit(batcher, ("stays", 70))
    gone.cancel()
    await settle()
    assert batcher.queued_tokens == 70
    await engine.end()
    assert engine.batches[1] == [("stays", 70)]
    await engine.end()
    assert (await stays).results == ["STAYS"]
    with pytest.raises(asyncio.CancelledError):
        await gone
    await batcher.close()


async def test_work_cancelled_while_it_runs_leaves_the_others_alone() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    gone, stays = await submit(batcher, ("gone", 10)), await submit(batcher, ("stays", 10))
    await engine.end()
    gone.cancel()
    await settle()
    await engine.end()
    assert (await stays).results == ["STAYS"]
    assert batcher.queued_tokens == 0
    await batcher.close()


async def test_a_failed_batch_fails_its_members_only(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    reports: list[BatchReport] = []
    batcher = make(engine, reports=reports)
    first = await submit(batcher, ("first", 60))
    second = await submit(batcher, ("second", 60), ("third", 60))  # two batches
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        await engine.end(error=MemoryError("no memory"))
        assert engine.batches[1] == [("second", 60)]
        with pytest.raises(EngineFailed) as failure:
            await first
        assert isinstance(failure.value.__cause__, MemoryError)
        await engine.end(error=RuntimeError("again"))
    with pytest.raises(EngineFailed):
        await second
    assert batcher.queued_tokens == 0, "the rest of a failed request is dropped"
    last = await submit(batcher, ("last", 60))
    await engine.end()
    assert (await last).results == ["LAST"]
    assert [report.failed for report in reports] == [True, True, False]
    assert reports[-1] == BatchReport(tokens=60, seconds=1.0, failed=False)
    await batcher.close()


async def test_an_engine_that_loses_results_is_a_failed_batch(caplog: pytest.LogCaptureFixture) -> None:
    async def loses(_: Sequence[Document]) -> list[str]:
        return []

    batcher = Batcher[Document, str](loses, cost=lambda _: 1, max_batch_tokens=1, max_queue_tokens=10)
    batcher.start()
    with caplog.at_level(logging.CRITICAL, "nagayomi"), pytest.raises(EngineFailed):
        await batcher.submit([("a", 1)])
    await batcher.close()


async def test_closing_fails_what_waits_and_finishes_what_runs() -> None:
    engine = Engine()
    batcher = make(engine)
    running, waiting = await submit(batcher, ("running", 60)), await submit(batcher, ("waiting", 60))
    closing = asyncio.create_task(batcher.close())
    await settle()
    with pytest.raises(Unavailable, match="shutting down"):
        await waiting
    with pytest.raises(Unavailable, match="shutting down"):
        await batcher.submit([("late", 1)])
    assert not closing.done()
    await engine.end()
    assert (await running).results == ["RUNNING"]
    await closing
    assert batcher.queued_tokens == 0


async def test_nothing_to_do() -> None:
    batcher = make(Engine())
    assert await batcher.submit([]) == Completion([], 0.0, 0.0)
    await batcher.close()


@given(
    requests=st.lists(st.lists(st.integers(1, 150), min_size=1, max_size=6), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11), max_size=4),
)
def test_every_request_is_answered_once_in_order_within_the_budget(
    requests: list[list[int]], cancelled: set[int]
) -> None:
    async def check() -> None:
        engine = Engine()
        batcher = make(engine, max_queue_tokens=10_000)
        tasks = [
            await submit(batcher, *((f"{number}.{part}", tokens) for part, tokens in enumerate(parts)))
            for number, parts in enumerate(requests)
        ]
        for number in cancelled & set(range(len(tasks))):
            tasks[number].cancel()
        await settle()
        while engine._running is not None:
            await engine.end()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, (result, parts) in enumerate(zip(results, requests, strict=True)):
            if isinstance(result, Completion):
                assert result.results == [f"{number}.{part}" for part in range(len(parts))]
            else:
                assert isinstance(result, asyncio.CancelledError)
                assert number in cancelled
        ran = [document for batch in engine.batches for document in batch]
        assert len(set(ran)) == len(ran)
        assert [tuple(map(int, name.split("."))) for name, _ in ran] == sorted(
            tuple(map(int, name.split("."))) for name, _ in ran
        )
        assert all(len(batch) == 1 or sum(tokens for _, tokens in batch) <= 100 for batch in engine.batches)
        assert batcher.queued_tokens == 0
        await batcher.close()

    asyncio.run(check())

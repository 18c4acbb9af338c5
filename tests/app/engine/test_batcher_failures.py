"""The batcher when the engine, or an observer of a batch, fails; in virtual time, as in test_batcher.py."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from app.engine.batcher import Batcher, BatchReport
from app.errors import EngineFailed
from tests.app.fake_engine import Document, Engine, make, settle, submit


async def test_a_poisonous_document_sinks_no_other(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    reports: list[BatchReport] = []
    batcher = make(engine, reports=reports)
    await submit(batcher, ("running", 1))
    tasks = [await submit(batcher, (name, 20)) for name in ("a", "poison", "b")]
    await engine.end()
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        await engine.end(error=RuntimeError("no such shape"))
        # One by one, before whatever else waits.
        assert engine.batches[2:] == [[("a", 20)], [("poison", 20)]]
        waiting = await submit(batcher, ("later", 20))
        await engine.end()
        await engine.end(error=RuntimeError("no such shape"))
        await engine.end()
        await engine.end()
    assert engine.batches[4:] == [[("b", 20)], [("later", 20)]]
    assert [(await task).results for task in (tasks[0], tasks[2], waiting)] == [["A"], ["B"], ["LATER"]]
    with pytest.raises(EngineFailed, match=r"engine failed on this request\. Other requests continue") as failure:
        await tasks[1]
    assert str(failure.value.__cause__) == "no such shape"
    assert [report.failed for report in reports] == [False, True, False, True, False, False]
    assert batcher.queued_tokens == 0
    await batcher.close()


async def test_a_document_that_fails_alone_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine()
    batcher = make(engine)
    failing = await submit(batcher, ("first", 60), ("second", 60))
    other = await submit(batcher, ("other", 60))
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        await engine.end(error=MemoryError("no memory"))
        with pytest.raises(EngineFailed):
            await failing
    assert engine.batches[0] == [("first", 60)]
    while engine.held:
        await engine.end()
    assert (await other).results == ["OTHER"]
    assert batcher.queued_tokens == 0, "the rest of a failed request is dropped"
    await batcher.close()


async def test_when_the_engine_is_lost_its_batch_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """One of its members may be what kills it."""
    engine = Engine()
    batcher = make(engine)
    tasks = [asyncio.create_task(batcher.submit([(name, 20)])) for name in "ab"]
    await settle()
    waiting = await submit(batcher, ("waiting", 20))
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        await engine.end(error=EngineFailed("The engine stopped."))
    for task in tasks:
        with pytest.raises(EngineFailed, match=r"The engine stopped\. Other requests continue; try again\."):
            await task
    assert engine.batches == [[("a", 20), ("b", 20)], [("waiting", 20)]]
    await engine.end()
    assert (await waiting).results == ["WAITING"]
    await batcher.close()


async def test_the_restart_of_an_engine_is_no_time_of_a_batch() -> None:
    engine = Engine()
    settled = asyncio.Event()
    reports: list[BatchReport] = []
    batcher = make(engine, reports=reports, settled=settled)
    tasks = [await submit(batcher, (name, 100)) for name in "ab"]
    engine.now += 60.0
    assert engine.batches == []
    settled.set()
    await settle()
    await engine.end(2.0)
    await engine.end(2.0)
    done = [await task for task in tasks]
    assert [(one.queue_s, one.infer_s) for one in done] == [(60, 2), (62, 2)]
    assert [report.seconds for report in reports] == [2, 2]
    assert batcher.tokens_per_second == 50
    await batcher.close()


async def test_an_engine_that_loses_results_is_a_failed_batch(caplog: pytest.LogCaptureFixture) -> None:
    async def loses(_: Sequence[Document]) -> list[str]:
        return []

    batcher = Batcher[Document, str](loses, cost=lambda _: 1, max_batch_tokens=1, max_queue_tokens=10)
    with caplog.at_level(logging.CRITICAL, "nagayomi"), pytest.raises(EngineFailed):
        await batcher.submit([("a", 1)])
    await batcher.close()


@pytest.mark.parametrize("given", [[], ["A"], ["A", "B", "C"]])
async def test_members_of_a_batch_whose_results_are_not_as_many_are_run_one_by_one(
    given: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    async def loses(documents: Sequence[Document]) -> list[str]:
        return given if len(documents) == 2 else [documents[0][0].upper()]

    batcher = Batcher[Document, str](loses, cost=lambda _: 1, max_batch_tokens=2, max_queue_tokens=10)
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        assert (await batcher.submit([("x", 1), ("y", 1)])).results == ["X", "Y"], "run again, one by one"
    await batcher.close()


async def test_metrics_that_fail_keep_no_request_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def engine(documents: Sequence[Document]) -> list[str]:
        return [name for name, _ in documents]

    def observe(*_: object) -> None:
        raise ValueError("no such label")

    batcher = Batcher[Document, str](engine, cost=lambda _: 1, max_batch_tokens=1, max_queue_tokens=10, observe=observe)
    for name in "ab":
        assert (await batcher.submit([(name, 1)])).results == [name]
    await batcher.close()
    await settle()
    assert [record.getMessage() for record in caplog.records] == ["the report of a batch failed"] * 2

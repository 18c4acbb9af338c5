"""Every rule of the batcher, in virtual time: the clock is a number and a batch ends when the test says so."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.engine.batcher import Batcher, Completion
from app.errors import DeadlineExceeded, Overloaded, Unavailable
from tests.app.fake_engine import Document, Engine, make, settle, submit


async def test_starts_at_once_when_idle() -> None:
    engine = Engine()
    batcher = make(engine)
    task = await submit(batcher, ("a", 10))
    assert engine.batches == [[("a", 10)]]
    await engine.end(2.0)
    done = await task
    assert (done.results, done.queue_s, done.infer_s) == (["A"], 0.0, 2.0)
    await batcher.close()


async def test_what_comes_at_the_same_moment_shares_a_batch() -> None:
    engine = Engine()
    batcher = make(engine)
    tasks = [asyncio.create_task(batcher.submit([(name, 40)])) for name in "ab"]
    await settle()
    assert engine.batches == [[("a", 40), ("b", 40)]]
    await engine.end()
    assert [(await task).results for task in tasks] == [["A"], ["B"]]
    await batcher.close()


async def test_fills_the_next_batch_while_one_runs() -> None:
    engine = Engine()
    batcher = make(engine)
    tasks = [await submit(batcher, (name, 40)) for name in "abc"]
    assert engine.batches == [[("a", 40)]], "80 tokens do not fill a batch yet"
    assert (batcher.queued_tokens, batcher.queued_requests) == (80, 2)
    await engine.end()
    assert engine.batches[1] == [("b", 40), ("c", 40)]
    await engine.end()
    assert [(await task).results for task in tasks] == [["A"], ["B"], ["C"]]
    assert [(await task).queue_s for task in tasks] == [0, 1, 1]
    assert batcher.queued_tokens == 0
    await batcher.close()


async def test_a_whole_batch_is_handed_over_while_another_runs_and_no_more_than_one() -> None:
    engine = Engine()
    batcher = make(engine)
    tasks = [await submit(batcher, (name, 50)) for name in "abcdefg"]
    assert engine.batches == [[("a", 50)], [("b", 50), ("c", 50)]]
    assert batcher.queued_tokens == 200
    await engine.end(2.0)
    assert engine.batches[2:] == [[("d", 50), ("e", 50)]]
    for _ in range(3):
        await engine.end(2.0)
    done = [await task for task in tasks]
    # A prefetched batch starts when the one before it ends, not when it is handed over.
    assert [one.queue_s for one in done] == [0, 2, 2, 4, 4, 6, 6]
    assert [one.infer_s for one in done] == [2] * 7
    past = (0.8**3, 0.8**2, 0.8, 1)  # the older, the less it counts
    tokens = sum(weight * batch for weight, batch in zip(past, (50, 100, 100, 100), strict=True))
    assert batcher.tokens_per_second == pytest.approx(tokens / (2 * sum(past)))
    await batcher.close()


async def test_a_document_larger_than_a_batch_runs_alone() -> None:
    engine = Engine()
    batcher = make(engine)
    for name, tokens in (("running", 1), ("small", 10), ("large", 500), ("next", 10)):
        await submit(batcher, (name, tokens))
    while engine.held:
        await engine.end()
    assert engine.batches[1:] == [[("small", 10)], [("large", 500)], [("next", 10)]]
    await batcher.close()


async def test_a_question_does_not_wait_for_anothers_windows() -> None:
    engine = Engine()
    batcher = make(engine, max_queue_tokens=100_000)
    await submit(batcher, *((f"window {number}", 100) for number in range(500)), client="a")
    question = await submit(batcher, ("question", 10), client="b")
    batches = 0
    while not question.done():
        await engine.end()
        batches += 1
    assert batches <= 4, "the one that ran, the one handed over, perhaps one led by the oldest, and its own"
    closing = asyncio.create_task(batcher.close())
    await settle()
    while engine.held:
        await engine.end()
    await closing


async def test_closing_while_a_request_is_cancelled_ends() -> None:
    engine = Engine()
    batcher = make(engine)
    tasks = [await submit(batcher, (name, 100)) for name in ("running", "next", "waiting", "last")]
    tasks[2].cancel()
    closing = asyncio.create_task(batcher.close())
    while engine.held:
        await engine.end()
    await closing
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results[2:]] == [asyncio.CancelledError, Unavailable]


async def test_windows_of_one_request_come_back_together_and_in_order() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    task = await submit(batcher, *((f"w{number}", 40) for number in range(5)))
    await engine.end()
    assert [len(batch) for batch in engine.batches] == [1, 2, 2]
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
    gone = await submit(batcher, ("gone", 30), ("gone too", 30))
    stays = await submit(batcher, ("stays", 30))
    gone.cancel()
    await settle()
    assert batcher.queued_tokens == 30
    await engine.end()
    assert engine.batches[1] == [("stays", 30)]
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


async def test_expired_work_is_dropped_before_it_runs() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    late = await submit(batcher, ("late", 10), ("late too", 10), deadline=4.0)
    in_time = await submit(batcher, ("in time", 10), deadline=6.0)
    await engine.end(5.0)
    assert engine.batches[1:] == [[("in time", 10)]]
    with pytest.raises(DeadlineExceeded, match="could not be answered within its time limit"):
        await late
    assert batcher.queued_tokens == 0
    await engine.end(5.0)
    assert (await in_time).results == ["IN TIME"], "what has started is finished"
    await batcher.close()


async def test_a_batch_that_has_expired_as_a_whole_makes_room_for_the_next() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    await submit(batcher, ("prepared", 100))
    late = [await submit(batcher, (f"late {number}", 60), deadline=1.0) for number in range(2)]
    in_time = await submit(batcher, ("in time", 60))
    await engine.end(2.0)
    assert engine.batches[1:] == [[("prepared", 100)], [("in time", 60)]]
    for task in late:
        with pytest.raises(DeadlineExceeded):
            await task
    await engine.end()
    await engine.end()
    assert (await in_time).results == ["IN TIME"]
    await batcher.close()


async def _measured(engine: Engine, batcher: Batcher[Document, str], tokens: int, seconds: float) -> None:
    await submit(batcher, ("measured", tokens))
    await engine.end(seconds)


async def test_what_would_be_done_too_late_leaves_the_engine_to_what_can_be_in_time() -> None:
    engine = Engine()
    batcher = make(engine)
    await _measured(engine, batcher, 100, 10.0)
    await submit(batcher, ("running", 100))
    late = await submit(batcher, ("late", 60), deadline=25.0)
    in_time = await submit(batcher, ("in time", 60), deadline=30.0)
    later = await submit(batcher, ("later", 60), deadline=100.0)
    with pytest.raises(DeadlineExceeded, match="could not be answered within its time limit"):
        await late  # 10 s are over, the running batch ends after 20, and this one would end after 26
    assert engine.batches[2:] == [[("in time", 60)]]
    for _ in range(3):
        await engine.end(10.0)
    assert [(await task).results for task in (in_time, later)] == [["IN TIME"], ["LATER"]]
    await batcher.close()


async def test_the_place_of_what_is_late_in_a_batch_is_filled() -> None:
    engine = Engine()
    batcher = make(engine)
    await submit(batcher, ("running", 1))
    await submit(batcher, ("prepared", 100))
    for name, deadline in (("late", 1.0), ("a", 100.0), ("b", 100.0), ("c", 100.0)):
        await submit(batcher, (name, 30), deadline=deadline)
    await engine.end(2.0)
    assert engine.batches[2:] == [[("a", 30), ("b", 30), ("c", 30)]]
    await engine.end()
    await engine.end()
    await batcher.close()


async def test_the_time_that_the_running_batch_has_had_is_not_counted_again() -> None:
    engine = Engine()
    batcher = make(engine)
    await _measured(engine, batcher, 100, 10.0)
    await submit(batcher, ("running", 100))
    engine.now += 9.0
    await submit(batcher, ("a", 100), deadline=31.0)
    await submit(batcher, ("b", 100), deadline=100.0)
    assert engine.batches[2:] == [[("a", 100)]]
    for _ in range(3):
        await engine.end(0.0)
    await batcher.close()


async def test_the_last_of_the_queue_runs_however_slow_the_engine_was() -> None:
    engine = Engine()
    batcher = make(engine)
    await _measured(engine, batcher, 10, 1000.0)
    lone = await submit(batcher, ("lone", 100), deadline=1001.0)
    await engine.end(0.5)
    assert (await lone).results == ["LONE"]
    await batcher.close()


async def test_small_batches_make_no_large_one_look_slow() -> None:
    engine = Engine()
    batcher = make(engine)
    await _measured(engine, batcher, 1, 1.0)  # a batch of any size may take so long
    await submit(batcher, ("running", 1))
    await submit(batcher, ("large", 100), deadline=3.5)
    await submit(batcher, ("next", 100), deadline=100.0)
    assert engine.batches[2:] == [[("large", 100)]]
    for _ in range(3):
        await engine.end()
    await batcher.close()


async def test_the_next_batch_starts_then_members_wake_then_the_batch_is_reported() -> None:
    happened: list[object] = []

    class Telling(Engine):
        async def __call__(self, documents: Sequence[Document]) -> list[str]:
            happened.append([name for name, _ in documents])
            return await super().__call__(documents)

    engine = Telling()
    batcher = Batcher[Document, str](
        engine,
        cost=lambda document: document[1],
        max_batch_tokens=100,
        max_queue_tokens=1000,
        clock=engine.clock,
        observe=lambda documents, _: happened.append(f"{documents[0][0]} reported"),
    )

    async def member(name: str) -> None:
        await batcher.submit([(name, 60)])
        happened.append(f"{name} woke")

    tasks = [asyncio.create_task(member(name)) for name in "ab"]
    await settle()
    await engine.end()
    await engine.end()
    assert happened == [["a"], ["b"], "a woke", "a reported", "b woke", "b reported"]
    await asyncio.gather(*tasks)
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


async def test_progress_counts_results_as_they_come() -> None:
    engine = Engine()
    batcher = make(engine)
    seen: list[tuple[int, int]] = []
    task = await submit(batcher, ("a", 60), ("b", 60), ("c", 40), progress=lambda *counts: seen.append(counts))
    assert seen == [(0, 3)]
    while engine.held:
        await engine.end()
    assert (await task).results == ["A", "B", "C"]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


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
        while engine.held:
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
        assert all(len(batch) == 1 or sum(tokens for _, tokens in batch) <= 100 for batch in engine.batches)
        assert batcher.queued_tokens == 0
        await batcher.close()

    asyncio.run(check())

"""Jobs: their results, owners, times and limits, and new jobs without room."""

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest

from app.errors import BodyTooLarge, InvalidInput, JobNotFound, Overloaded, RequestTooLarge
from app.jobs import Job, JobLimits, Jobs, Work

LIMITS = JobLimits(max_jobs=3, max_owner_jobs=2, max_bytes=1000, keep_s=100)


def giving(result: bytes = b"{}") -> Work:
    async def work(job: Job) -> bytes:
        return result

    return work


async def never(job: Job) -> bytes:
    await asyncio.Event().wait()
    return b""


async def over(job: Job) -> Job:
    while job.state == "running":
        await asyncio.sleep(0)
    return job


async def test_a_job_runs_reports_and_keeps_its_result() -> None:
    jobs = Jobs(LIMITS)
    gate = asyncio.Event()

    async def work(job: Job) -> bytes:
        job.report(1, 4)
        await gate.wait()
        job.report(4, 4)
        return b'{"a":1}'

    job = jobs.start("", 10, work)
    await asyncio.sleep(0)
    assert (job.state, job.windows_done, job.windows, job.result, jobs.running) == ("running", 1, 4, None, 1)
    gate.set()
    await over(job)
    assert (job.state, job.windows_done, job.windows, job.result, jobs.running) == ("done", 4, 4, b'{"a":1}', 0)
    assert jobs.find("", job.id) is job


async def test_ids_cannot_be_guessed() -> None:
    jobs = Jobs(LIMITS)
    ids = {jobs.start("", 0, giving()).id for _ in range(3)}

    assert len(ids) == 3
    assert all(len(one) == 22 for one in ids)


async def test_a_job_is_its_owners_alone() -> None:
    jobs = Jobs(LIMITS)
    job = jobs.start("a", 0, giving())

    for act in (jobs.find, jobs.remove):
        for owner in ("b", ""):
            with pytest.raises(JobNotFound, match=r"There is no such job"):
                act(owner, job.id)
    assert jobs.find("a", job.id) is job


async def test_a_job_that_fails_keeps_its_error() -> None:
    jobs = Jobs(LIMITS)

    async def work(job: Job) -> bytes:
        raise InvalidInput("Not like this.")

    job = await over(jobs.start("", 10, work))
    assert (job.state, str(job.error), job.size) == ("failed", "Not like this.", 0)


async def test_the_unforeseen_fails_its_job_in_a_sentence_that_shows_nothing() -> None:
    jobs = Jobs(LIMITS)

    async def work(job: Job) -> bytes:
        raise ValueError("secret text")

    job = await over(jobs.start("", 10, work))
    assert job.error is not None
    assert (job.error.status, job.error.error_type) == (500, "internal")
    assert "secret" not in str(job.error)
    assert job.size == 0


async def test_removing_a_job_that_runs_cancels_it() -> None:
    jobs = Jobs(LIMITS)
    cancelled = asyncio.Event()

    async def work(job: Job) -> bytes:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    job = jobs.start("", 0, work)
    await asyncio.sleep(0)
    jobs.remove("", job.id)
    await cancelled.wait()
    assert job.state == "cancelled"
    with pytest.raises(JobNotFound):
        jobs.find("", job.id)


@pytest.mark.parametrize(
    ("owners", "sizes", "words"),
    [
        (["", "", ""], [0, 0, 0], "The server keeps 3 jobs, as many as it may;"),
        (["", ""], [600, 300], "The jobs of the server hold 900 bytes of 1000 that they may;"),
        (["a", "a"], [0, 0], "The key a has 2 jobs, as many as one key may have;"),
    ],
)
async def test_where_there_is_no_room_a_job_is_refused(owners: list[str], sizes: list[int], words: str) -> None:
    jobs = Jobs(LIMITS)
    for owner, size in zip(owners, sizes, strict=True):
        jobs.start(owner, size, never)

    with pytest.raises(Overloaded, match=words) as error:
        jobs.start(owners[0], 200, giving())
    assert error.value.retry_after_s == 10
    await jobs.close()


async def test_a_result_that_was_fetched_makes_room_and_no_other_does() -> None:
    jobs = Jobs(LIMITS)
    first, second, third = [await over(jobs.start("", 0, giving())) for _ in range(3)]
    with pytest.raises(Overloaded):
        jobs.start("", 0, giving())
    second.fetched = True
    jobs.start("", 0, giving())

    assert jobs.find("", first.id) is first
    assert jobs.find("", third.id) is third
    with pytest.raises(JobNotFound):
        jobs.find("", second.id)


async def test_the_room_of_one_owner_is_made_of_its_own_results() -> None:
    jobs = Jobs(LIMITS)
    other = await over(jobs.start("b", 0, giving()))
    mine = [await over(jobs.start("a", 0, giving())) for _ in range(2)]
    other.fetched = mine[1].fetched = True
    jobs.start("a", 0, giving())

    assert jobs.find("b", other.id) is other
    with pytest.raises(JobNotFound):
        jobs.find("a", mine[1].id)


async def test_a_result_is_forgotten_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = Jobs(LIMITS)
    later: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda delay, call, *args: later.append((delay, call, args)), raising=False)
    job = await over(jobs.start("", 0, giving()))

    ((delay, call, arguments),) = later
    assert delay == 100
    call(*arguments)
    with pytest.raises(JobNotFound):
        jobs.find("", job.id)


async def test_a_job_that_is_removed_is_no_longer_held() -> None:
    jobs = Jobs(LIMITS)
    job = await over(jobs.start("", 0, giving()))
    await asyncio.sleep(0)
    held = weakref.ref(job)
    jobs.remove("", job.id)
    del job
    gc.collect()

    assert held() is None


async def test_a_job_that_fails_holds_nothing_of_what_it_read() -> None:
    class Body:
        """What the work holds; unlike bytes, it can be watched."""

    def reading() -> tuple[Work, weakref.ref[Body]]:
        body = Body()

        async def work(job: Job) -> bytes:
            try:
                raise ValueError(body)
            except ValueError as error:
                raise InvalidInput("Not like this.") from error

        return work, weakref.ref(body)

    work, held = reading()
    job = Jobs(LIMITS).start("", 1, work)
    del work
    await over(job)
    await asyncio.sleep(0)
    gc.collect()

    assert (job.state, job.size, str(job.error), held()) == ("failed", 0, "Not like this.", None)


def test_a_request_larger_than_all_may_hold_is_not_asked_to_try_again() -> None:
    jobs = Jobs(LIMITS)

    with pytest.raises(BodyTooLarge, match=r"holds 1001 bytes; all jobs together may hold 1000\. Send less"):
        jobs.start("", 1001, never)
    assert (jobs.running, jobs.kept) == (0, 0)


async def test_a_result_larger_than_all_may_hold_fails_its_job() -> None:
    job = await over(Jobs(LIMITS).start("", 0, giving(b"x" * 1001)))

    assert job.state == "failed"
    assert isinstance(job.error, RequestTooLarge)
    assert "The result has 1001 bytes" in str(job.error)


async def test_followers_hear_of_changes_and_of_silence() -> None:
    jobs = Jobs(LIMITS)
    gates = [asyncio.Event(), asyncio.Event()]

    async def work(job: Job) -> bytes:
        for done, gate in enumerate(gates, 1):
            await gate.wait()
            job.report(done, 2)
        return b""

    job = jobs.start("", 0, work)
    heard = []
    async for changed in job.changes(0.01):
        heard.append((changed, job.windows_done))
        if not changed:
            for gate in gates:
                gate.set()
    assert heard[0] == (False, 0)
    assert heard[-1] == (True, 2)
    assert job.state == "done"


async def test_closing_ends_every_job() -> None:
    jobs = Jobs(LIMITS)
    running = jobs.start("a", 0, never)
    done = await over(jobs.start("b", 0, giving()))
    await jobs.close()

    assert (running.state, done.state) == ("cancelled", "done")
    with pytest.raises(JobNotFound):
        jobs.find("b", done.id)

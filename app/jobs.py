"""Jobs: long work for which a client need not wait, held in memory, bounded in number, size and age.

A job belongs to its owner, the name of a key, and no other owner finds it. It runs until it is done, fails or is
cancelled; its result is kept for a while after that. A new job may replace finished jobs whose result was fetched; a
result that was not fetched is never dropped before its time. A restart of the process forgets all jobs. Everything here
runs on the event loop. This module knows neither HTTP nor the work of a job.
"""

import asyncio
import contextvars
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from app.errors import BodyTooLarge, JobNotFound, NagayomiError, Overloaded, RequestTooLarge, Unavailable

JobState = Literal["running", "done", "failed", "cancelled"]

logger = logging.getLogger("nagayomi.jobs")

_ID_BYTES = 16
_RETRY_AFTER_S = 10


@dataclass(frozen=True)
class JobLimits:
    """Limits on the number, size and age of jobs."""

    max_jobs: int
    max_owner_jobs: int  # of one owner, where owners have names
    max_bytes: int  # of all jobs: their bodies while they run, their results after that
    keep_s: float  # after its end


@dataclass(eq=False)
class Job:
    """One piece of work and its state."""

    owner: str
    size: int  # bytes it holds
    id: str = field(default_factory=lambda: secrets.token_urlsafe(_ID_BYTES))
    state: JobState = "running"
    windows: int | None = None  # of all its texts; None until they are tokenized
    windows_done: int = 0
    tokens: int | None = None  # over all windows; None until it is done
    begun: float = field(default_factory=time.monotonic)
    result: bytes | None = None  # JSON
    error: NagayomiError | None = None
    fetched: bool = False  # a client has fetched its result
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _task: "asyncio.Task[None] | None" = None
    _expiry: asyncio.TimerHandle | None = None  # forgets the job; it holds the job until it is cancelled

    def report(self, done: int, windows: int) -> None:
        """Note the progress."""
        self.windows_done, self.windows = done, windows
        self.notify()

    def notify(self) -> None:
        """Wake all followers."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changes(self, every_s: float) -> AsyncIterator[bool]:
        """The changes of the job until it is over: True for one or more, False after `every_s` seconds without one."""
        while self.state == "running":
            changed = self._changed
            try:
                async with asyncio.timeout(every_s):
                    await changed.wait()
            except TimeoutError:
                yield False
            else:
                yield True


Work = Callable[[Job], Awaitable[bytes]]


def _ignore(job: Job) -> None:
    pass


class Jobs:
    """All jobs of one process.

    Args:
        observe: called with every job at its end.
    """

    def __init__(self, limits: JobLimits, observe: Callable[[Job], None] = _ignore) -> None:
        self._limits = limits
        self._observe = observe
        self._jobs: dict[str, Job] = {}  # oldest first

    @property
    def running(self) -> int:
        """Jobs that are not over."""
        return sum(job.state == "running" for job in self._jobs.values())

    @property
    def kept(self) -> int:
        """Finished jobs whose results are kept."""
        return len(self._jobs) - self.running

    def start(self, owner: str, size: int, work: Work) -> Job:
        """Run `work`, which gives the result as JSON, in the background.

        Args:
            size: bytes that the job holds while it runs.

        Raises:
            Overloaded: there is no room for the job; the message says why.
            BodyTooLarge: there never is room for it.
        """
        limits = self._limits
        if size > limits.max_bytes:
            raise BodyTooLarge(
                f"The request holds {size} bytes; all jobs together may hold {limits.max_bytes}. Send less, or send it "
                "without respond-async."
            )
        if owner:
            self._make_room(lambda: self._count(owner) < limits.max_owner_jobs, owner)
            if self._count(owner) >= limits.max_owner_jobs:
                raise self._full(f"The key {owner} has {limits.max_owner_jobs} jobs, as many as one key may have")
        self._make_room(lambda: self._count() < limits.max_jobs and self._bytes() + size <= limits.max_bytes)
        if self._count() >= limits.max_jobs:
            raise self._full(f"The server keeps {limits.max_jobs} jobs, as many as it may")
        if self._bytes() + size > limits.max_bytes:
            raise self._full(f"The jobs of the server hold {self._bytes()} bytes of {limits.max_bytes} that they may")
        job = Job(owner, size)
        self._jobs[job.id] = job
        # The job has a context of its own, because the request that started it ends earlier.
        job._task = asyncio.get_running_loop().create_task(self._run(job, work), context=contextvars.Context())
        return job

    def find(self, owner: str, job_id: str) -> Job:
        """
        Raises:
            JobNotFound: there is no such job, or it belongs to another owner.
        """
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise JobNotFound(
                "There is no such job. It may have been deleted, its result may have expired, or the server may have "
                "been restarted."
            )
        return job

    def remove(self, owner: str, job_id: str) -> None:
        """Cancel a job if it runs, and forget it.

        Raises:
            JobNotFound: see `find`.
        """
        job = self.find(owner, job_id)
        self._forget(job)
        if job.state == "running":
            self._end(job, "cancelled")
            if job._task is not None:
                job._task.cancel()

    async def close(self) -> None:
        """Cancel all running jobs, and forget all jobs."""
        jobs = list(self._jobs.values())
        tasks = [job._task for job in jobs if job._task is not None and not job._task.done()]
        for job in jobs:
            self.remove(job.owner, job.id)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job: Job, work: Work) -> None:
        state: JobState = "failed"
        try:
            result = await work(job)
            if len(result) > self._limits.max_bytes:
                raise RequestTooLarge(
                    f"The result has {len(result)} bytes; all jobs together may hold {self._limits.max_bytes}. Ask for "
                    "less, or without respond-async."
                )
            job.size, job.result, state = len(result), result, "done"
        except NagayomiError as error:
            # The frames of its traceback, and of the errors behind it, hold what the work has read.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            job.size, job.error = 0, error
        except asyncio.CancelledError:
            if job.state == "running":  # the server stops
                job.error = Unavailable("The service is shutting down.")
                self._end(job, "failed")
            raise
        except Exception:  # the last resort, as in app/http/middleware.py for requests
            logger.exception("job %s failed", job.id)
            job.size = 0
            job.error = NagayomiError("Something went wrong on the server; the log has it under the id of the job.")
        if job.state == "running":
            self._end(job, state)
            self._make_room(lambda: self._bytes() <= self._limits.max_bytes)
            job._expiry = asyncio.get_running_loop().call_later(self._limits.keep_s, self._forget, job)

    def _end(self, job: Job, state: JobState) -> None:
        job.state = state
        job.notify()
        self._observe(job)

    def _make_room(self, enough: Callable[[], bool], owner: str | None = None) -> None:
        """Forget finished jobs whose result was fetched, the oldest first, until there is room."""
        for job in list(self._jobs.values()):
            if enough():
                return
            if job.state != "running" and job.fetched and owner in (None, job.owner):
                self._forget(job)

    def _forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)
        if job._expiry is not None:
            job._expiry.cancel()

    def _count(self, owner: str | None = None) -> int:
        return sum(owner in (None, job.owner) for job in self._jobs.values())

    def _bytes(self) -> int:
        return sum(job.size for job in self._jobs.values())

    def _full(self, why: str) -> Overloaded:
        return Overloaded(
            f"{why}; delete one, fetch one that is done, or try again later: a result is kept for "
            f"{self._limits.keep_s:g} seconds.",
            _RETRY_AFTER_S,
        )

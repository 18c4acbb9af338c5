"""The queue of one model: windows of all requests, in order, cut into batches by tokens.

Rules: first in, first out. Work starts the moment the engine is free, with whatever waits, up to `max_batch_tokens`; a
window larger than that runs alone. All windows of a request are taken or none (`Overloaded`). What was cancelled is
dropped before it is packed. A failed batch fails its own members and nobody else.

The engine and the clock are arguments and nothing here sleeps, so everything can be tested in virtual time. Knows
nothing of what a document is beyond its cost in tokens.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.errors import EngineFailed, Overloaded, Unavailable

D = TypeVar("D")  # a document, ready for the engine
R = TypeVar("R")  # what the engine gives for it

logger = logging.getLogger("nagayomi.batching")

_MAX_RETRY_AFTER_S = 3600
_RATE_MEMORY = 0.8  # weight of the past in the measured speed: about the last five batches count


@dataclass(frozen=True)
class BatchReport:
    """One batch that has run, for metrics."""

    tokens: int  # in whole blocks
    seconds: float
    failed: bool


@dataclass(frozen=True)
class Completion(Generic[R]):
    """All results of one submission, in its order, and where its time went."""

    results: list[R]
    queue_s: float  # from submission until the first of its documents started
    infer_s: float  # from then until the last one was done


@dataclass(eq=False, slots=True)
class _Entry(Generic[D, R]):
    document: D
    cost: int
    future: asyncio.Future[R]
    siblings: list["_Entry[D, R]"]  # all entries of its submission, itself included
    waiting: bool = True
    started: float = math.inf
    ended: float = -math.inf


def _ignore(documents: Sequence[object], report: BatchReport) -> None:
    pass


class Batcher(Generic[D, R]):
    """Runs documents through one engine in batches.

    Args:
        engine: runs a batch and gives one result per document, in order.
        cost: tokens of a document as the engine pays for them, in whole blocks.
        max_batch_tokens: tokens of a batch at most, unless a single document has more.
        max_queue_tokens: tokens that may wait; a submission that would exceed it is refused as a whole.
        clock: seconds, monotonic.
        observe: called after every batch with its documents and a report.
    """

    def __init__(
        self,
        engine: Callable[[Sequence[D]], Awaitable[Sequence[R]]],
        *,
        cost: Callable[[D], int],
        max_batch_tokens: int,
        max_queue_tokens: int,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Sequence[D], BatchReport], None] = _ignore,
    ) -> None:
        self._engine = engine
        self._cost = cost
        self._max_batch_tokens = max_batch_tokens
        self._max_queue_tokens = max_queue_tokens
        self._clock = clock
        self._observe = observe
        self._queue: deque[_Entry[D, R]] = deque()
        self._queued_tokens = 0
        self._running_tokens = 0
        self._done_tokens = 0.0  # fading sums over past batches; their quotient is the measured speed
        self._busy_seconds = 0.0
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def queued_tokens(self) -> int:
        """Tokens that wait, without those of the batch that runs."""
        return self._queued_tokens

    @property
    def queued_requests(self) -> int:
        """Submissions of which documents wait. Looks at the whole queue: for metrics, not for decisions."""
        return len({id(entry.siblings) for entry in self._queue if entry.waiting})

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of the engine over the last batches; None before the first."""
        return self._done_tokens / self._busy_seconds if self._busy_seconds > 0 else None

    def start(self) -> None:
        """Begin to run what is submitted. Must be called in the event loop that submits."""
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="batcher")

    async def close(self) -> None:
        """Refuse new work, fail what waits, and wait for the batch that runs."""
        self._closed = True
        for entry in self._queue:
            if not entry.future.done():
                entry.future.set_exception(Unavailable("The service is shutting down."))
        self._queue.clear()
        self._queued_tokens = 0
        self._wake.set()
        if self._worker is not None:
            await self._worker

    async def submit(self, documents: Sequence[D]) -> Completion[R]:
        """Queue documents and wait for all of their results. Cancelling the caller drops those that have not started.

        Raises:
            Overloaded: the queue has no room for all of them.
            EngineFailed: a batch with one of them failed.
            Unavailable: the batcher is closed.
        """
        if self._closed:
            raise Unavailable("The service is shutting down.")
        if not documents:
            return Completion([], 0.0, 0.0)
        loop = asyncio.get_running_loop()
        entries: list[_Entry[D, R]] = []
        entries += [_Entry(document, self._cost(document), loop.create_future(), entries) for document in documents]
        tokens = sum(entry.cost for entry in entries)
        if self._queued_tokens + tokens > self._max_queue_tokens:
            raise Overloaded(
                f"The queue holds {self._queued_tokens} tokens and this request would add {tokens}; "
                f"{self._max_queue_tokens} may wait. Try again later.",
                self._retry_after_s(),
            )
        submitted = self._clock()
        self._queue.extend(entries)
        self._queued_tokens += tokens
        self._wake.set()
        try:
            results = await asyncio.gather(*(entry.future for entry in entries))
        finally:
            self._drop(entries)
        started = min(entry.started for entry in entries)
        ended = max(entry.ended for entry in entries)
        return Completion(results, started - submitted, ended - started)

    def _drop(self, entries: Sequence[_Entry[D, R]]) -> None:
        """Take what still waits out of the count; the queue skips it when it gets there."""
        for entry in entries:
            if not entry.future.done():
                entry.future.cancel()
            if entry.waiting and not self._closed:
                entry.waiting = False
                self._queued_tokens -= entry.cost

    def _retry_after_s(self) -> int:
        """Seconds until what waits and runs is done, from the measured speed; 1 before anything was measured."""
        speed = self.tokens_per_second
        if speed is None:
            return 1
        seconds = (self._queued_tokens + self._running_tokens) / speed
        return min(max(math.ceil(seconds), 1), _MAX_RETRY_AFTER_S)

    def _take(self) -> list[_Entry[D, R]]:
        """The next batch: from the front of the queue as many as fit, at least one; empty when nothing waits."""
        batch: list[_Entry[D, R]] = []
        tokens = 0
        while self._queue:
            entry = self._queue[0]
            if not entry.waiting:
                self._queue.popleft()
                continue
            if batch and tokens + entry.cost > self._max_batch_tokens:
                break
            self._queue.popleft()
            entry.waiting = False
            self._queued_tokens -= entry.cost
            tokens += entry.cost
            batch.append(entry)
        return batch

    async def _work(self) -> None:
        while not self._closed:
            batch = self._take()
            if batch:
                await self._run(batch)
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _run(self, batch: Sequence[_Entry[D, R]]) -> None:
        tokens = self._running_tokens = sum(entry.cost for entry in batch)
        started = self._clock()
        for entry in batch:
            entry.started = started
        documents = [entry.document for entry in batch]
        failure: Exception | None = None
        results: Sequence[R] = ()
        try:
            results = await self._engine(documents)
            if len(results) != len(batch):
                raise RuntimeError(f"the engine gave {len(results)} results for {len(batch)} documents")
        except Exception as error:  # whatever it is: its members must hear of it and the next batch must run
            logger.exception("a batch of %d documents, %d tokens failed", len(batch), tokens)
            failure = error
        ended = self._clock()
        self._running_tokens = 0
        if failure is None:
            self._done_tokens = _RATE_MEMORY * self._done_tokens + tokens
            self._busy_seconds = _RATE_MEMORY * self._busy_seconds + (ended - started)
        for index, entry in enumerate(batch):
            entry.ended = ended
            if entry.future.done():  # cancelled while it ran
                continue
            if failure is None:
                entry.future.set_result(results[index])
            else:
                entry.future.set_exception(_failure(failure))
                self._drop(entry.siblings)  # now, not when the submitter wakes: the next batch is taken before that
        self._observe(documents, BatchReport(tokens, ended - started, failure is not None))


def _failure(cause: Exception) -> EngineFailed:
    """An exception of its own for every member: a shared one would gather tracebacks of unrelated requests."""
    error = EngineFailed("The engine failed on the batch that held this request. Other requests go on; try again.")
    error.__cause__ = cause
    return error

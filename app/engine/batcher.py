"""The queue of one model: windows of all requests, cut into batches by tokens.

Rules:

    at once       Work starts the moment the engine is free, with all waiting windows up to `max_batch_tokens`. A
                  larger window runs alone.
    order         See app/engine/fair_queue.py: clients and requests take turns, and nothing starves.
    prefetch      While a batch runs, the engine receives one more and prepares it; but only when the queue fills a
                  whole batch, so that later requests can still join a batch that is not full.
    dropped       Cancelled windows, and windows that would end past their deadline, leave before they are packed: an
                  engine that is behind would otherwise only run what is late when it is done. Others take their place.
                  The last windows of the queue may always try.
    failures      The members of a failed batch run once more, one by one, so that only those that fail alone fail.
                  When the engine itself is gone (`EngineFailed`), all of them fail at once: one may be the cause.
    limit         The queue accepts all windows of a request or none (`Overloaded`).

The engine and the clock are arguments and nothing here sleeps, so everything can be tested and simulated in virtual
time. This module knows the cost of a document in tokens, and does not know its content.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.engine.fair_queue import FairQueue
from app.errors import DeadlineExceeded, EngineFailed, Overloaded, Unavailable

D = TypeVar("D")  # a document, ready for the engine
R = TypeVar("R")  # the engine's result for it

logger = logging.getLogger("nagayomi.batching")

_MAX_RETRY_AFTER_S = 3600
_RATE_MEMORY = 0.8  # weight of the past in the measured speed: about the last five batches count
_IN_ENGINE = 2  # batches: one runs and one is prepared


@dataclass(frozen=True)
class BatchReport:
    """One batch that has run, for metrics."""

    tokens: int  # in whole blocks
    seconds: float
    failed: bool


@dataclass(frozen=True)
class Completion(Generic[R]):
    """All results of one submission, in its order, and its times."""

    results: list[R]
    queue_s: float  # from submission until the first of its documents started
    infer_s: float  # from then until the last one was done


@dataclass(eq=False, slots=True)
class _Entry(Generic[D, R]):
    document: D
    cost: int
    future: asyncio.Future[R]
    deadline: float
    siblings: list["_Entry[D, R]"]  # all entries of its submission, itself included
    started: float = math.inf
    ended: float = -math.inf


def _cost_of(entries: Sequence[_Entry[Any, Any]]) -> int:
    return sum(entry.cost for entry in entries)


def _follow(results: Sequence[asyncio.Future[R]], progress: Callable[[int, int], None]) -> None:
    """Tell how many results there are, now and whenever there are more."""
    done = 0

    def count(result: asyncio.Future[R]) -> None:
        nonlocal done
        if not result.cancelled() and result.exception() is None:
            done += 1
            progress(done, len(results))

    progress(0, len(results))
    for result in results:
        result.add_done_callback(count)


def _ignore(documents: Sequence[object], report: BatchReport) -> None:
    pass


class Batcher(Generic[D, R]):
    """Runs documents through one engine in batches. Belongs to the event loop that first submits.

    Args:
        engine: runs a batch and gives one result per document, in order. It is called with the next batch before it has
            given the results of the last one, and must run them in turn.
        cost: tokens of a document as the engine pays for them, in whole blocks.
        max_batch_tokens: most tokens of a batch, unless a single document has more.
        max_queue_tokens: tokens that may wait; a submission that would exceed it is refused as a whole.
        settled: not set while the engine can begin no batch, as during a restart. A batch that waits for it has not
            started, and that time measures no speed.
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
        settled: asyncio.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
        observe: Callable[[Sequence[D], BatchReport], None] = _ignore,
    ) -> None:
        self._engine = engine
        self._cost = cost
        self._max_batch_tokens = max_batch_tokens
        self._max_queue_tokens = max_queue_tokens
        self._settled = settled
        self._clock = clock
        self._observe = observe
        self._queue: FairQueue[_Entry[D, R]] = FairQueue()
        self._alone: deque[_Entry[D, R]] = deque()  # members of a failed batch, to be run one by one
        self._running: dict[asyncio.Task[None], int] = {}  # batches in the engine, with their tokens
        self._begun = -math.inf  # when the engine began the oldest of them
        self._done_batches = 0.0  # decaying sums over past batches; the quotient of the other two is the measured speed
        self._done_tokens = 0.0
        self._busy_seconds = 0.0
        self._filling: asyncio.Handle | None = None
        self._closed = False

    @property
    def queued_tokens(self) -> int:
        """Waiting tokens, without those of the batches in the engine."""
        return self._queue.tokens + _cost_of(self._alone)

    @property
    def outstanding_tokens(self) -> int:
        """Waiting and running tokens."""
        return self.queued_tokens + sum(self._running.values())

    @property
    def queued_requests(self) -> int:
        """Submissions with waiting documents. Scans the whole queue, so it is for metrics only."""
        return len({id(entry.siblings) for entry in (*self._alone, *self._queue)})

    @property
    def tokens_per_second(self) -> float | None:
        """Speed of the engine over the last batches; None before the first."""
        return self._done_tokens / self._busy_seconds if self._busy_seconds > 0 else None

    async def close(self) -> None:
        """Refuse new work, fail waiting documents, and wait for the batches in the engine."""
        self._closed = True
        for entry in [*self._alone, *self._queue]:
            if not entry.future.done():  # else it was cancelled in this turn of the loop
                entry.future.set_exception(Unavailable("The service is shutting down."))
            self._drop([entry])
        await asyncio.gather(*self._running)

    async def submit(
        self,
        documents: Sequence[D],
        *,
        client: str = "",
        deadline: float = math.inf,
        progress: Callable[[int, int], None] | None = None,
    ) -> Completion[R]:
        """Queue documents and wait for all of their results. Cancelling the caller drops those that have not started.

        Args:
            client: takes turns with other clients; its requests share its turns.
            deadline: on the batcher's clock. Documents that cannot be done by then, as far as is known, never start.
            progress: called with the number of finished documents and the total, first with 0.

        Raises:
            Overloaded: the queue has no room for all of them.
            EngineFailed: one of them failed, or the engine was lost with it.
            DeadlineExceeded: when one of them was to start, it could not be done before the deadline.
            Unavailable: the batcher is closed.
        """
        if self._closed:
            raise Unavailable("The service is shutting down.")
        if not documents:
            return Completion([], 0.0, 0.0)
        loop = asyncio.get_running_loop()
        entries: list[_Entry[D, R]] = []
        entries += [_Entry(one, self._cost(one), loop.create_future(), deadline, entries) for one in documents]
        tokens = _cost_of(entries)
        if self.queued_tokens + tokens > self._max_queue_tokens:
            raise Overloaded(
                f"The queue holds {self.queued_tokens} tokens and this request would add {tokens}; "
                f"{self._max_queue_tokens} may wait. Try again later.",
                self._retry_after_s(),
            )
        if progress is not None:
            _follow([entry.future for entry in entries], progress)
        submitted = self._clock()
        self._queue.add([(entry, entry.cost) for entry in entries], client)
        self._fill_soon()
        try:
            if len(entries) == 1:  # the same, one turn of the event loop earlier
                results = [await entries[0].future]
            else:
                results = await asyncio.gather(*(entry.future for entry in entries))
        finally:
            self._drop(entries)
        started = min(entry.started for entry in entries)
        ended = max(entry.ended for entry in entries)
        return Completion(results, started - submitted, ended - started)

    def _retry_after_s(self) -> int:
        """Seconds until waiting and running documents are done, from the measured speed; 1 before the first batch."""
        speed = self.tokens_per_second
        if speed is None:
            return 1
        seconds = self.outstanding_tokens / speed
        return min(max(math.ceil(seconds), 1), _MAX_RETRY_AFTER_S)

    def _drop(self, entries: Sequence[_Entry[D, R]]) -> None:
        """Remove the waiting documents; running ones finish, and their results are dropped."""
        for entry in entries:
            if not entry.future.done():
                entry.future.cancel()
            if entry in self._queue:
                self._queue.remove(entry)
            elif entry in self._alone:
                self._alone.remove(entry)

    def _fill_soon(self) -> None:
        """Fill the engine in the next turn of the event loop: requests of this turn may join the same batch."""
        if self._filling is None:
            self._filling = asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        """Give the engine batches while it has room."""
        self._filling = None
        while len(self._running) < _IN_ENGINE:
            is_whole = bool(self._alone) or self._queue.tokens >= self._max_batch_tokens
            if self._running and not is_whole:
                return
            batch = [self._alone.popleft()] if self._alone else self._take()
            if not batch:
                return
            if not self._running:
                self._begun = self._clock()
            task = asyncio.get_running_loop().create_task(self._run(batch), name="batch")
            self._running[task] = _cost_of(batch)

    def _take(self) -> list[_Entry[D, R]]:
        """The next batch, filled without documents that would end past their deadline. Empty when nothing waits."""
        batch: list[_Entry[D, R]] = []
        while taken := self._queue.take(self._max_batch_tokens - _cost_of(batch), filling=bool(batch)):
            batch += taken
            ends = self._clock()
            if len(self._queue):  # otherwise it may always try: a speed measured too low would never be measured again
                ends = self._earliest_end(_cost_of(batch))
            for entry in taken:
                if entry.deadline <= ends and not entry.future.done():
                    entry.future.set_exception(
                        DeadlineExceeded(
                            "The request could not be answered within its time limit. Try again when the service is "
                            "less busy."
                        )
                    )
                    self._drop(entry.siblings)
            alive = [entry for entry in batch if not entry.future.done()]
            if len(alive) == len(batch):
                break
            batch = alive
        return batch

    def _earliest_end(self, tokens: int) -> float:
        """When a batch of so many tokens would end, at the earliest, if it were given to the engine now."""
        now = self._clock()
        if self._running:
            now = max(now, self._begun + sum(map(self._least_seconds, self._running.values())))
        return now + self._least_seconds(tokens)

    def _least_seconds(self, tokens: int) -> float:
        """What a batch takes at least, from the means of past batches: a larger one takes no less, and a smaller one no
        less than its share. So small batches, whose speed is low, make no large one look slow."""
        if not self._done_batches:
            return 0.0
        return self._busy_seconds / self._done_batches * min(tokens / (self._done_tokens / self._done_batches), 1.0)

    async def _run(self, batch: Sequence[_Entry[D, R]]) -> None:
        tokens = _cost_of(batch)
        documents = [entry.document for entry in batch]
        failure: Exception | None = None
        results: Sequence[R] = ()
        if self._settled is not None and not self._settled.is_set():
            await self._settled.wait()
            self._begun = max(self._begun, self._clock())
        try:
            results = await self._engine(documents)
            if len(results) != len(batch):
                raise RuntimeError(f"the engine gave {len(results)} results for {len(batch)} documents")
        except Exception as error:  # any error must reach the members, and the next batch must run
            logger.error("a batch of %d documents, %d tokens failed", len(batch), tokens, exc_info=error)
            failure = error
        ended = self._clock()
        started, self._begun = self._begun, ended  # a prefetched batch starts when the one before it ends
        for entry in batch:
            entry.started, entry.ended = min(entry.started, started), ended
        if failure is None:
            self._done_batches = _RATE_MEMORY * self._done_batches + 1
            self._done_tokens = _RATE_MEMORY * self._done_tokens + tokens
            self._busy_seconds = _RATE_MEMORY * self._busy_seconds + (ended - started)
        elif len(batch) > 1 and not isinstance(failure, EngineFailed) and not self._closed:
            self._alone.extend(entry for entry in batch if not entry.future.done())
        else:
            self._fail(batch, failure)
        # First the engine gets its next batch, then the members of this one wake (those of several windows a turn of
        # the event loop later), then it is reported: the engine waits for no answer, and a lone answer for no metrics.
        running = asyncio.current_task()
        assert running is not None
        del self._running[running]
        self._fill()
        if failure is None:
            for entry, result in zip(batch, results, strict=True):
                if not entry.future.done():  # otherwise it was cancelled while it ran
                    entry.future.set_result(result)
        report = BatchReport(tokens, ended - started, failure is not None)
        asyncio.get_running_loop().call_soon(self._report, documents, report)

    def _report(self, documents: Sequence[D], report: BatchReport) -> None:
        try:
            self._observe(documents, report)
        except Exception:  # the event loop's own message would show the documents
            logger.exception("the report of a batch failed")

    def _fail(self, batch: Sequence[_Entry[D, R]], cause: Exception) -> None:
        for entry in batch:
            if not entry.future.done():
                # Each member gets a separate exception: a shared one would collect tracebacks of other requests.
                words = str(cause) if isinstance(cause, EngineFailed) else "The engine failed on this request."
                error = EngineFailed(f"{words} Other requests continue; try again.")
                error.__cause__ = cause
                entry.future.set_exception(error)
            self._drop(entry.siblings)  # now, not when the submitter wakes: the next batch is taken before that

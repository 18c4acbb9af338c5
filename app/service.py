"""One request from text to result, read from top to bottom: what the routes, the command line and the evaluation call.

Knows nothing of FastAPI. Text work runs in a few threads of its own, inference in one thread per model; the event loop
only hands things on.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, ParamSpec, TypeVar

from app.batching import Batcher
from app.errors import BrokenModel, DeadlineExceeded, Unavailable
from app.manifest import Task
from app.packing import Document
from app.readings import BatchReading, LabelReading, QaReading, Reading, Summary, SummaryReading
from app.schemas import (
    BrokenInfo,
    ClassifyRequest,
    ClassifyResponse,
    LabelResult,
    QaRequest,
    QaResponse,
    QuestionResult,
    SummarizeRequest,
    SummarizeResponse,
    Timings,
    Usage,
)
from app.session import Outputs, check_provider
from app.settings import Settings
from app.store import Model, Store, load_store, warm_tokenizers
from app.telemetry import StageClock, Telemetry

P = ParamSpec("P")
T = TypeVar("T")

State = Literal["loading", "ready", "failed", "closed"]

logger = logging.getLogger("nagayomi.service")


class TextThreads:
    """The threads that tokenise and decode."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="text")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one call in one of the threads. Cancelling drops it if it has not begun."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(function, *args, **kwargs))

    async def run_on_each(self, function: Callable[[], None]) -> None:
        """Run a call once in every thread: each waits until all have one."""
        together = threading.Barrier(self._threads)

        def call() -> None:
            together.wait()
            function()

        await asyncio.gather(*(self.run(call) for _ in range(self._threads)))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Reply(Generic[T]):
    """A request that went through all stages."""

    result: T
    usage: Usage
    model: str
    timings: Timings


class Service:
    """The models of one store behind three calls.

    `load` makes it ready and `close` ends it; `Service.open` does both. Calls raise the exceptions of app/errors.py.
    """

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self.store = Store()
        self.state: State = "loading"
        self._texts = TextThreads(settings.text_threads)
        self._batchers: dict[str, Batcher[Document, Outputs]] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, tasks: Collection[Task] | None = None) -> AsyncIterator["Service"]:
        """A loaded service, with the models of all tasks or only of some.

        Raises:
            ProviderUnavailable: the provider of the settings cannot run here.
            BrokenModel: no model could be loaded; says why for each.
        """
        check_provider(settings.provider)
        service = cls(settings)
        try:
            await service.load(tasks)
            if service.state == "failed":
                raise BrokenModel(service.why_not_ready())
            yield service
        finally:
            await service.close()

    async def load(self, tasks: Collection[Task] | None = None) -> None:
        """Load and warm the models. Afterwards `state` is "ready" when at least one can be served, else "failed"."""
        try:
            store = await asyncio.to_thread(load_store, self.settings, tasks)
            models = list(store.models.values())
            await self._texts.run_on_each(partial(warm_tokenizers, models))
        except Exception as error:
            self.store.broken.append(BrokenInfo(name=str(self.settings.model_store), reason=str(error)))
            self.state = "failed"
            raise
        for model in models:
            self._batchers[model.name] = self._start_batcher(model)
        self.store = store
        self.telemetry.models.labels("served").set(len(store.models))
        self.telemetry.models.labels("broken").set(len(store.broken))
        self.state = "ready" if models else "failed"

    def _start_batcher(self, model: Model) -> Batcher[Document, Outputs]:
        batcher = Batcher[Document, Outputs](
            model.engine,
            cost=model.cost,
            max_batch_tokens=self.settings.max_batch_tokens,
            max_queue_tokens=self.settings.max_queue_tokens,
            observe=partial(self.telemetry.batch, model.name),
        )
        self.telemetry.queue_tokens.labels(model.name).set_function(lambda: batcher.queued_tokens)
        batcher.start()
        return batcher

    async def close(self) -> None:
        """Refuse new work, fail what waits, finish what runs."""
        self.state = "closed"
        await asyncio.gather(*(batcher.close() for batcher in self._batchers.values()))
        await asyncio.to_thread(self._join_threads)

    def _join_threads(self) -> None:
        for model in self.store.models.values():
            model.engine.close()
        self._texts.close()

    def why_not_ready(self) -> str:
        """The state in a sentence, for people."""
        if self.state == "loading":
            return "The models are still being loaded."
        if self.state == "closed":
            return "The service is shutting down."
        reasons = " ".join(f"{broken.name}: {broken.reason}" for broken in self.store.broken)
        return f"No model could be loaded. {reasons}".rstrip()

    async def qa(self, request: QaRequest) -> QaResponse:
        """Answer questions about a text."""
        read = await self._read("qa", request.model, lambda model: QaReading(model, request, self.settings))
        return QaResponse(results=read.result, usage=read.usage, model=read.model, timings=read.timings)

    async def summarize(self, request: SummarizeRequest) -> SummarizeResponse:
        """Choose the most important sentences of a text."""
        read = await self._read("summarize", request.model, lambda model: SummaryReading(model, request, self.settings))
        return SummarizeResponse(
            summary=read.result.text,
            sentences=read.result.sentences,
            usage=read.usage,
            model=read.model,
            timings=read.timings,
        )

    async def classify(self, request: ClassifyRequest) -> ClassifyResponse:
        """Label a text."""
        read = await self._read("classify", request.model, lambda model: LabelReading(model, request, self.settings))
        return ClassifyResponse(labels=read.result, usage=read.usage, model=read.model, timings=read.timings)

    async def qa_batch(self, requests: Sequence[QaRequest]) -> Reply[list[list[QuestionResult]]]:
        """Requests to the model that the first one names, read as one: all are queued or none, answered in order."""
        return await self._read(
            "qa", requests[0].model, lambda model: BatchReading(QaReading, model, requests, self.settings)
        )

    async def summarize_batch(self, requests: Sequence[SummarizeRequest]) -> Reply[list[Summary]]:
        """As `qa_batch`."""
        return await self._read(
            "summarize", requests[0].model, lambda model: BatchReading(SummaryReading, model, requests, self.settings)
        )

    async def classify_batch(self, requests: Sequence[ClassifyRequest]) -> Reply[list[list[LabelResult]]]:
        """As `qa_batch`."""
        return await self._read(
            "classify", requests[0].model, lambda model: BatchReading(LabelReading, model, requests, self.settings)
        )

    async def _read(self, task: Task, name: str | None, prepare: Callable[[Model], Reading[T]]) -> Reply[T]:
        """Tokenise, queue, run and decode one request, within its time limit.

        Cancelling it, or running out of time, drops whatever of it has not started.
        """
        if self.state != "ready":
            raise Unavailable(self.why_not_ready())
        model = self.store.find(task, name)
        clock = StageClock()
        try:
            async with asyncio.timeout(self.settings.request_timeout_s):
                reading = await self._texts.run(prepare, model)
                clock.lap("tokenize")
                done = await self._batchers[model.name].submit(reading.documents)
                clock.ran(done.queue_s, done.infer_s)
                result = await self._texts.run(reading.decode, done.results)
                clock.lap("decode")
        except TimeoutError:
            raise DeadlineExceeded(
                f"The request was not answered within {self.settings.request_timeout_s:g} seconds. Send less text, or "
                "try again when there is less to do."
            ) from None
        usage = _usage(reading.documents)
        timings = clock.timings()
        self.telemetry.request(task, timings, usage.tokens, usage.windows)
        return Reply(result, usage, model.name, timings)


def _usage(documents: Sequence[Document]) -> Usage:
    return Usage(tokens=sum(len(document.input_ids) for document in documents), windows=len(documents))

"""The life of a service: it loads the models, starts a lost engine again, drains and closes.

It holds what lives as long as the service does: the store, a batcher for each model, the threads for text, and how many
requests run. This module does not know tasks or FastAPI.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Literal, Self

from app.engine.batcher import Batcher
from app.engine.process import Engine, check_provider
from app.errors import BrokenModel, ProviderUnavailable, Unavailable
from app.packing import Document
from app.schemas import BrokenInfo
from app.settings import Settings
from app.store import Model, Store, load_store
from app.telemetry.metrics import Telemetry
from app.text.pool import TextThreads
from app.types import Outputs, ServiceState, Task

_Phase = Literal["loading", "loaded", "draining", "closed"]

logger = logging.getLogger("nagayomi.service")


class Lifecycle:
    """A service from its start to its end. `load` makes it ready and `close` ends it; `open` does both."""

    def __init__(self, settings: Settings, telemetry: Telemetry | None = None) -> None:
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self.store = Store()
        self._phase: _Phase = "loading"
        self.unavailable: ProviderUnavailable | None = None  # the reason why no model could be loaded
        self._texts = TextThreads(settings.text_threads, settings.max_waiting_characters)
        self._batchers: dict[str, Batcher[Document, Outputs]] = {}
        self._in_flight = 0
        self._held = 0
        self._idle = asyncio.Event()
        self.telemetry.in_flight.set_function(lambda: self._in_flight)
        self.telemetry.waiting_characters.set_function(lambda: self._texts.waiting_characters)

    @property
    def state(self) -> ServiceState:
        """The state for readiness: "ready" only while every engine runs."""
        if self._phase != "loaded":
            return self._phase
        if not self.store.models:
            return "failed"
        return "ready" if not self._engines_not_up() else "recovering"

    @property
    def outstanding_tokens(self) -> int:
        """Waiting and running work, over all models. A character that is not yet tokenized counts as a token."""
        batchers = self._batchers.values()
        return self._texts.waiting_characters + sum(batcher.outstanding_tokens for batcher in batchers)

    def _engines_not_up(self) -> list[str]:
        return sorted(model.name for model in self.store.models.values() if model.engine.state != "up")

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, tasks: Collection[Task] | None = None) -> AsyncIterator[Self]:
        """A loaded service, with the models of all tasks or only of some.

        Raises:
            ProviderUnavailable: the provider of the settings cannot run here.
            BrokenModel: no model could be loaded; the message gives the reason for each.
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
            store = await load_store(self.settings, tasks, self._texts.run_on_each)
            self.store = store
        except Exception as error:
            self.store = Store(broken=[BrokenInfo(name=str(self.settings.model_store), reason=str(error))])
            self._phase = "loaded"
            if isinstance(error, ProviderUnavailable):
                self.unavailable = error
            raise
        for model in store.models.values():
            self._batchers[model.name] = self._batcher(model)
        self.telemetry.models.labels("served").set(len(store.models))
        self.telemetry.models.labels("broken").set(len(store.broken))
        if self._phase == "loading":
            self._phase = "loaded"

    def _batcher(self, model: Model) -> Batcher[Document, Outputs]:
        batcher = Batcher[Document, Outputs](
            model.engine,
            cost=model.cost,
            max_batch_tokens=self.settings.max_batch_tokens,
            max_queue_tokens=self.settings.max_queue_tokens,
            settled=model.engine.settled,
            observe=partial(self.telemetry.batch, model.name),
        )
        self.telemetry.queue_tokens.labels(model.name).set_function(lambda: batcher.queued_tokens)
        self.telemetry.queue_requests.labels(model.name).set_function(lambda: batcher.queued_requests)
        self.telemetry.model_load_seconds.labels(model.name).set(model.load_seconds)
        self.telemetry.engines.watch(model.name, lambda: model.engine.pid)
        restarts = self.telemetry.engine_restarts.labels(model.name)
        restarts.inc(model.engine.restarts)
        model.engine.on_restart = restarts.inc
        return batcher

    async def drain(self) -> None:
        """Refuse new requests and wait at most `drain_timeout_s` for those that are here."""
        self._phase = "draining"
        try:
            async with asyncio.timeout(self.settings.drain_timeout_s):
                while self._held:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            logger.error("%d requests are not answered after the drain timeout and get 503", self._held)
            self._phase = "closed"
            await asyncio.gather(self._close_batchers(), self.store.close(at_once=True))

    async def close(self) -> None:
        """Refuse new work, fail waiting work, finish running work."""
        self._phase = "closed"
        await self._close_batchers()
        await self.store.close()
        await asyncio.to_thread(self._texts.close)

    async def _close_batchers(self) -> None:
        await asyncio.gather(*(batcher.close() for batcher in self._batchers.values()))

    def why_not_ready(self) -> str:
        """The state in a sentence, for people."""
        if self.state == "loading":
            return "The models are still being loaded."
        if self.state in ("draining", "closed"):
            return "The service is shutting down."
        if self.state == "recovering":
            return " ".join(self._why_not_up(self.store.models[name].engine, name) for name in self._engines_not_up())
        reasons = " ".join(f"{broken.name}: {broken.reason}" for broken in self.store.broken)
        return f"No model could be loaded. {reasons}".rstrip()

    @staticmethod
    def _why_not_up(engine: Engine, name: str) -> str:
        if engine.state == "down":
            return f"The engine of {name} stopped and cannot be started again: {engine.why_down}"
        return f"The engine of {name} stopped and is being started again."

    def require_ready(self, *, held: bool = False) -> None:
        """
        Args:
            held: the request is one that draining waits for.

        Raises:
            Unavailable: requests cannot be answered; the message says why.
        """
        is_answered_yet = held and self.state == "draining" and self.store.models
        if self.state not in ("ready", "recovering") and not is_answered_yet:
            raise Unavailable(self.why_not_ready())

    def require_open(self, *, held: bool = False) -> None:
        """For requests that need no model.

        Args:
            held: see `require_ready`.

        Raises:
            Unavailable: the service is shutting down.
        """
        if self.state == "closed" or (self.state == "draining" and not held):
            raise Unavailable(self.why_not_ready())

    @contextmanager
    def holding(self) -> Iterator[bool]:
        """Make draining wait for a request. Yields False, and holds nothing, where the service drains already."""
        if self._phase in ("draining", "closed"):
            yield False
            return
        self._held += 1
        try:
            yield True
        finally:
            self._held -= 1
            if not self._held:
                self._idle.set()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a request while it is being answered, for the metrics."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

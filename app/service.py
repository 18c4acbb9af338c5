"""One request from text to result, for the endpoints, the command line and the evaluation.

Text work runs in a pool of threads and inference in one process per model; the event loop only coordinates. How all of
them are loaded and closed stands in app/lifecycle.py. This module does not know FastAPI.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

from app.errors import DeadlineExceeded, Overloaded
from app.lifecycle import Lifecycle
from app.packing import Document
from app.schemas import Timings, Usage
from app.store import Model
from app.tasks.base import (
    DocumentsResponse,
    Fields,
    Prepared,
    PreparedBatch,
    RequestT,
    ResponseT,
    T,
    TaskSpec,
    check_members,
    check_sent_characters,
)
from app.tasks.sources import Source
from app.telemetry.request_context import StageClock
from app.types import Task

Progress = Callable[[int, int], None]  # windows that are done, and all windows

# The event loop itself decodes a text of at most this many characters and tokens, in about half a millisecond, when no
# other request waits. Checked in characters and in tokens: ﷺ alone becomes 18 tokens, and invisible characters become
# none.
_SHORT = 500

# A request of up to this many tokens may take `request_timeout_s`, and that again for every further piece of this size.
_TOKENS_OF_A_TIMEOUT = 16_384

_LONGEST_PAUSE_S = 10  # between two tries of a step for which there is no room

texts_logger = logging.getLogger("nagayomi.texts")


@dataclass(frozen=True)
class Caller:
    """The client of a request: its name, its time limit, and its quota of tokens."""

    name: str = ""  # requests of one name share its turns; see app/engine/fair_queue.py
    timeout_s: float | None = None  # None: `Settings.request_timeout_s`, and more for long work
    spent_s: float = 0.0  # of its time, before the service got its texts
    hold_tokens: Callable[[int], AbstractContextManager[object]] = nullcontext  # entered while tokens wait or run
    held: bool = False  # draining waits for the request, and lets it be answered
    waits: bool = False  # where there is no room for the request, it waits in place of getting Overloaded


ANYBODY = Caller()


async def with_room(caller: Caller, step: Callable[[], Awaitable[T]]) -> T:
    """The result of one step of a request. Where there is no room for it, a caller that waits tries it again.

    Only that step is tried again: its result is kept while later steps wait.

    Raises:
        Overloaded: there is no room, and the caller does not wait.
    """
    while True:
        try:
            return await step()
        except Overloaded as error:
            if not caller.waits:
                raise
            pause_s = min(error.retry_after_s, _LONGEST_PAUSE_S)
        await asyncio.sleep(pause_s)


async def _holding_tokens(caller: Caller, tokens: int, step: Callable[[], Awaitable[T]]) -> T:
    """The result of a step, during which the tokens count against the caller's quota."""
    with caller.hold_tokens(tokens):
        return await step()


@dataclass(frozen=True)
class Reply(Generic[T]):
    """A request that went through all stages."""

    result: T
    usage: Usage
    model: str
    timings: Timings


class Service(Lifecycle):
    """The models of one store behind `answer`, `answer_documents` and `answer_batch`, which take any task.

    The tasks stand in app/tasks/registry.py.
    """

    async def answer(
        self,
        task: TaskSpec[RequestT, T, ResponseT],
        request: RequestT,
        caller: Caller = ANYBODY,
        progress: Progress | None = None,
    ) -> ResponseT:
        """Answer one request over one text.

        Args:
            progress: called on the event loop whenever more windows are done.

        Raises:
            NagayomiError: one of app/errors.py.
        """
        source = task.source(request)

        def prepare(model: Model) -> Prepared[T]:
            return task.prepare(model.tokenizers.get(), model.manifest, request, source, self.settings)

        reply = await self._run(task.name, [(request, [source])], prepare, caller, progress)
        return task.respond(reply.result, reply.usage, reply.model, reply.timings)

    async def answer_documents(
        self,
        task: TaskSpec[Any, Any, Any],
        fields: Fields,
        sources: Sequence[Source],
        caller: Caller = ANYBODY,
        progress: Progress | None = None,
    ) -> DocumentsResponse:
        """Answer one request over several documents, whose windows are all queued together.

        Args:
            fields: the request without its texts.
            progress: see `answer`.

        Raises:
            NagayomiError: one of app/errors.py.
        """

        def prepare(model: Model) -> Prepared[Any]:
            return task.prepare_documents(model.tokenizers.get(), model.manifest, fields, sources, self.settings)

        reply = await self._run(task.name, [(fields, sources)], prepare, caller, progress)
        return task.respond_documents(reply.result, sources, reply.usage, reply.model, reply.timings)

    async def answer_batch(
        self, task: TaskSpec[RequestT, T, ResponseT], requests: Sequence[RequestT], caller: Caller = ANYBODY
    ) -> Reply[list[T]]:
        """Answer several requests to the model that the first one names: all are queued or none, results in order.

        Raises:
            NagayomiError: one of app/errors.py; the message names the wrong member.
        """
        check_members(len(requests), self.settings)
        members: list[tuple[Fields, Source]] = [(request, task.source(request)) for request in requests]

        def prepare(model: Model) -> Prepared[list[T]]:
            tokenizer = model.tokenizers.get()
            return PreparedBatch(task.prepare, tokenizer, model.manifest, members, self.settings, numbered=True)

        asked = [(fields, [source]) for fields, source in members]
        return await self._run(task.name, asked, prepare, caller, None)

    def check(self, task: TaskSpec[Any, Any, Any], fields: Fields, sources: Sequence[Source]) -> None:
        """Refuse at once what cannot be answered later. The model is not checked while models are being loaded.

        Args:
            sources: the texts that are known yet.

        Raises:
            ModelNotFound, BrokenModel: see `Store.find`.
            RequestTooLarge: the texts have too many characters.
        """
        if self.store.models:
            self.store.find(task.name, fields.model)
        check_sent_characters(_characters([(fields, sources)]), self.settings)

    @contextmanager
    def held(self, caller: Caller) -> Iterator[Caller]:
        """Make draining wait for a request, unless it does already. Yields its caller.

        Raises:
            Unavailable: requests cannot be answered; the message says why.
        """
        self.require_ready(held=caller.held)
        if caller.held:
            yield caller
        else:
            with self.holding() as held:
                yield replace(caller, held=held)

    async def _run(
        self,
        task: Task,
        asked: Sequence[tuple[Fields, Sequence[Source]]],
        prepare: Callable[[Model], Prepared[T]],
        caller: Caller,
        progress: Progress | None,
    ) -> Reply[T]:
        """Tokenize, queue, run and decode one request, within its time limit.

        When it is cancelled or runs out of time, the windows that have not started are dropped.
        """
        self.require_ready(held=caller.held)
        if self.settings.log_texts:
            for fields, sources in asked:
                texts_logger.info("%s", _as_json(fields, sources))
        model = self.store.find(task, asked[0][0].model)
        characters = _characters(asked)
        check_sent_characters(characters, self.settings)  # before the texts take room among those that wait
        timeout_s = self._time_for(caller)
        begun = time.monotonic() - caller.spent_s
        clock = StageClock()
        with self.held(caller), self.counted():
            try:
                async with asyncio.timeout(timeout_s - caller.spent_s) as limit:
                    tokenize = partial(self._texts.tokenize, characters, prepare, model)
                    prepared = await with_room(caller, tokenize)
                    clock.lap("tokenize")
                    cost = sum(map(model.cost, prepared.documents))
                    timeout_s = self._time_for(caller, cost)
                    deadline = begun + timeout_s
                    limit.reschedule(asyncio.get_running_loop().time() + deadline - time.monotonic())
                    submit = partial(
                        self._batchers[model.name].submit,
                        prepared.documents,
                        client=caller.name,
                        deadline=deadline,
                        progress=progress,
                    )
                    done = await with_room(caller, partial(_holding_tokens, caller, cost, submit))
                    clock.ran(done.queue_s, done.infer_s)
                    if self._in_flight == 1 and _is_short(characters, prepared.documents):
                        result = prepared.decode(done.results)  # a thread would take as long
                    else:
                        result = await self._texts.decode(prepared.decode, done.results)
                    clock.lap("decode")
            except TimeoutError:
                raise DeadlineExceeded(
                    f"The request was not answered within {timeout_s:g} seconds. Send less text, allow more time, or "
                    "try again when the service is less busy."
                ) from None
        usage = _usage(prepared.documents)
        timings = clock.timings()
        self.telemetry.request(task, timings, usage.tokens, usage.windows)
        return Reply(result, usage, model.name, timings)

    def _time_for(self, caller: Caller, tokens: int = 0) -> float:
        """Seconds for a request that costs so many tokens, from its begin: those that its client asks for, or those
        for the tokens after the ones that are spent."""
        if caller.timeout_s is not None:
            return caller.timeout_s
        times = 1 + tokens // _TOKENS_OF_A_TIMEOUT
        own_s = round(caller.spent_s) + self.settings.request_timeout_s * times
        return min(own_s, self.settings.max_request_timeout_s)


def _characters(asked: Sequence[tuple[Fields, Sequence[Source]]]) -> int:
    return sum(
        sum(len(source.text) for source in sources) + sum(map(len, fields.other_texts)) for fields, sources in asked
    )


def _as_json(fields: Fields, sources: Sequence[Source]) -> str:
    """A request with all its texts, for the log."""
    values = fields.model_dump(exclude_none=True)
    if not values.keys() & {"context", "text"}:
        values["documents"] = [{"document": source.name, "text": source.text} for source in sources]
    return json.dumps(values, ensure_ascii=False)


def _is_short(characters: int, documents: Sequence[Document]) -> bool:
    return len(documents) == 1 and max(characters, len(documents[0].input_ids)) <= _SHORT


def _usage(documents: Sequence[Document]) -> Usage:
    return Usage(tokens=sum(len(document.input_ids) for document in documents), windows=len(documents))

"""Lines of a JSONL file as requests, and their answers as lines.

A line holds the fields of an HTTP request, or `file` with one or more paths in place of the text, and optionally an
`id`; the line of its answer holds the body of the answer with that `id`, or with the number of the line. Timings are
left out: the same input gives the same output. This module knows neither the files that hold the lines nor the machine
that answers them.
"""

import asyncio
import hashlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from app.asking import Answer, ask_in_json, ask_of_files
from app.bulk.source import content_of
from app.errors import (
    BodyTooLarge,
    EngineFailed,
    FileTooLarge,
    InvalidInput,
    NagayomiError,
    RequestTooLarge,
    Unavailable,
)
from app.files.extraction import Extracted, Extractor
from app.files.inputs import read_named
from app.service import ANYBODY, Service
from app.settings import Settings
from app.tasks.registry import TASKS
from app.text.characters import SURROGATE
from app.types import ServedTask
from app.validation import parse_object

# Bytes of the lines that wait for their answers: enough to fill an engine's batches, and few enough for any memory.
MAX_HELD_BYTES = 64_000_000
MIN_IN_FLIGHT = 64
_SMALLEST_DOCUMENT = 64  # tokens: one block
_BATCHES_AHEAD = 4

_HOW_TO_ALLOW_MORE = "NAGAYOMI_MAX_TEXT_CHARACTERS and NAGAYOMI_MAX_REQUEST_TOKENS allow more."

logger = logging.getLogger("nagayomi.batch")


@dataclass(frozen=True)
class Place:
    """A place in an input: whole lines, their bytes as UTF-8, the SHA-256 of all these bytes, and blank lines."""

    lines: int = 0
    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    blank: int = 0

    @property
    def requests(self) -> int:
        """Lines that are not blank."""
        return self.lines - self.blank


@dataclass(frozen=True)
class Line:
    """One line of the input. `end` is the place after it."""

    end: Place
    body: bytes | None  # None: the line is too long to be held

    @property
    def number(self) -> int:
        """The number of the line in an editor: counted from 1, blank lines included."""
        return self.end.lines


@dataclass(frozen=True)
class AnsweredLine:
    """The output for one line: JSON, without the line end."""

    text: str
    failed: bool


def read_lines(pieces: Iterator[bytes], start: Place, max_bytes: int) -> Iterator[Line]:
    """The lines after a place that are not blank, one at a time in memory, each with at most about `max_bytes`.

    Args:
        pieces: the pieces of the whole input; see app/bulk/source.py.

    Raises:
        InvalidInput: the input before the place has changed.
    """
    hasher = _hash_of_beginning(pieces, start)
    lines, offset, blank = start.lines, start.bytes, start.blank
    for piece in pieces:
        lines += 1
        body: bytes | None = content_of(piece)
        while True:
            hasher.update(piece)
            offset += len(piece)
            if piece.endswith(b"\n") or not (piece := next(pieces, b"")):
                break
            body = None
        if body is not None and len(body) > max_bytes:
            body = None
        if body == b"":
            blank += 1
        else:
            yield Line(Place(lines, offset, hasher.hexdigest(), blank), body)


def _hash_of_beginning(pieces: Iterator[bytes], start: Place) -> Any:
    hasher = hashlib.sha256()
    left = start.bytes
    piece = b"\n"
    while left and (piece := next(pieces, b"")):
        hasher.update(piece[:left])
        left -= len(piece)
        if left < 0:  # the input ended here, without a line end
            break
    if left > 0 or hasher.hexdigest() != start.sha256:
        raise InvalidInput(f"The input has changed since the interrupted run: its first {start.bytes} bytes differ.")
    if left < 0 or not (piece.endswith(b"\n") or (piece := next(pieces, b"")) == b""):
        raise InvalidInput(
            f"Line {start.lines} had no newline when it was processed, and text has been appended to it since."
        )
    return hasher


def batch_settings(settings: Settings) -> Settings:
    """Settings under which no line is refused for lack of room or time: a run has no other clients."""
    lines = in_flight(settings)
    patience_s = 1e9
    return settings.model_copy(
        update={
            "max_queue_tokens": lines * settings.max_request_tokens,
            "max_waiting_characters": lines * settings.max_body_bytes,
            "request_timeout_s": patience_s,
            "max_request_timeout_s": patience_s,
        }
    )


def in_flight(settings: Settings) -> int:
    """The number of lines at once that fills the engine's batches, even with short texts."""
    return max(MIN_IN_FLIGHT, _BATCHES_AHEAD * settings.max_batch_tokens // _SMALLEST_DOCUMENT)


class LineAnswerer:
    """Answers lines through a service, several at once, in their order.

    A line whose engine was lost is sent once more, alone: another line may have caused the loss.

    Args:
        folder: the folder to which paths of files are relative.
    """

    def __init__(self, service: Service, task: ServedTask, folder: Path = Path()) -> None:
        self._service = service
        self._task = TASKS[task]
        self._folder = folder.absolute()
        self._alone = asyncio.Lock()
        self._limits = service.settings.file_limits
        self._extractor = Extractor(self._limits, service.settings.file_processes)
        self._reading = asyncio.Semaphore(service.settings.file_processes)  # lines whose files are in memory

    async def answers(self, lines: Iterable[tuple[int, bytes | None]]) -> AsyncIterator[AnsweredLine]:
        """One answer per line, given as number and body, in order. Reads no more lines than it works on.

        Raises:
            Unavailable: the engine is gone, and cannot be started again.
        """
        todo = iter(lines)
        held = 0
        waiting: deque[tuple[int, bytes | None, asyncio.Task[AnsweredLine]]] = deque()
        at_once = in_flight(self._service.settings)
        try:
            while True:
                while len(waiting) < at_once and held < MAX_HELD_BYTES and (line := next(todo, None)) is not None:
                    number, body = line
                    held += len(body or b"")
                    waiting.append((number, body, asyncio.create_task(self._answer(number, body))))
                if not waiting:
                    return
                number, body, task = waiting.popleft()
                try:
                    answer = await task
                except EngineFailed:
                    if waiting:
                        await asyncio.wait([other for *_, other in waiting])
                    answer = await self._answer_alone(number, body)
                held -= len(body or b"")
                yield answer
        finally:
            for *_, task in waiting:
                task.cancel()
            await asyncio.gather(*(task for *_, task in waiting), return_exceptions=True)

    async def _answer_alone(self, number: int, body: bytes | None) -> AnsweredLine:
        async with self._alone:
            try:
                return await self._answer(number, body)
            except EngineFailed as error:
                if any(model.engine.state == "down" for model in self._service.store.models.values()):
                    raise Unavailable(self._service.why_not_ready()) from error
                fields = parse_object(body or b"{}", "line")
                return _failure(number, fields.get("id", number), error)

    async def _answer(self, number: int, body: bytes | None) -> AnsweredLine:
        """
        Raises:
            EngineFailed: the engine was lost while it had the line.
            Unavailable: there is no engine.
        """
        name: Any = number
        try:
            limit = self._service.settings.max_body_bytes
            if body is None or len(body) > limit:
                raise BodyTooLarge(f"The line is longer than {limit} bytes; NAGAYOMI_MAX_BODY_BYTES allows more.")
            fields = parse_object(body, "line")
            name = _id(fields, number)
            response = await self._asked(fields)(ANYBODY, None)
        except (EngineFailed, Unavailable):
            raise
        except RequestTooLarge as error:
            return _failure(number, name, RequestTooLarge(f"{error} {_HOW_TO_ALLOW_MORE}"))
        except NagayomiError as error:
            return _failure(number, name, error)
        except Exception:  # an error of the program in one line must not stop the other lines
            logger.exception("line %d failed", number)
            return _failure(number, name, NagayomiError("Something went wrong; the log says more."))
        text = response.model_dump_json(exclude={"timings"})
        return AnsweredLine(f'{{"id":{json.dumps(name)},{text[1:]}', failed=False)

    def _asked(self, fields: dict[str, Any]) -> Answer:
        """The function that answers a line.

        Raises:
            InvalidInput: the fields are not those of the task.
        """
        if "file" not in fields:
            return ask_in_json(self._service, self._task, fields, "this task")
        names = _paths(fields)
        return ask_of_files(
            self._service, self._task, fields, len(names), partial(self._read, names), where="this task"
        )

    async def _read(self, names: list[str]) -> list[Extracted]:
        """
        Raises:
            InvalidInput, FileError: a file cannot be read; the message begins with its name.
        """
        async with self._reading:
            files = []
            for name in names:
                try:
                    file = await asyncio.to_thread(read_named, str(self._folder / name), self._limits)
                except (InvalidInput, FileTooLarge) as error:
                    raise type(error)(f"{name}: {error}") from None
                files.append(replace(file, name=name))
            return await self._extractor.read_all(files)


def _paths(fields: dict[str, Any]) -> list[str]:
    """Take the `file` out of a line's fields: one path, or several, each once."""
    given = fields.pop("file")
    paths = given if isinstance(given, list) else [given]
    if not paths or not all(isinstance(path, str) and path and not SURROGATE.search(path) for path in paths):
        raise InvalidInput("`file` must be the path of a file, or a list of at least one path.")
    return list(dict.fromkeys(paths))


def _id(fields: dict[str, Any], number: int) -> str | int:
    """Take the `id` out of a line's fields."""
    given = fields.pop("id", None)
    if given is None:
        return number
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InvalidInput("`id` must be a string or a whole number.")
    return given


def _failure(number: int, name: Any, error: NagayomiError) -> AnsweredLine:
    # ASCII escapes: a message may quote a name from the line that UTF-8 cannot hold.
    line = {"line": number, "id": name, "error": str(error), "error_type": error.error_type}
    return AnsweredLine(json.dumps(line, separators=(",", ":")), failed=True)

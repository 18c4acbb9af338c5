"""The files of requests: read, or drawn, a few at the same time.

This module knows app/files/read.py and the limits, and does not know HTTP or the command line.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from app.errors import FileError, InvalidInput, Overloaded
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.pdf.process import draw_pdf
from app.files.read import read_kind
from app.files.sniff import Kind, kind_of

_TIME_MEMORY = 0.9  # weight of the past in the measured time of a file: about the last ten count


@dataclass(frozen=True)
class SentFile:
    """A file as it came."""

    name: str
    data: bytes
    content_type: str | None = None  # its stated media type, without parameters
    charset: str | None = None  # the stated encoding of its text


@dataclass(frozen=True)
class Extracted:
    """A file that was read."""

    name: str
    kind: Kind
    document: Document


class Extractor:
    """Reads files within limits, a few of them at the same time; the others wait.

    No more than `at_once` files of one request stand in the line, so that a request of many holds up no other.

    Args:
        at_once: files that are read at the same time.
        max_waiting: files that may wait. The files of one request are always accepted when no other ones wait.
    """

    def __init__(self, limits: FileLimits, at_once: int, max_waiting: float = math.inf) -> None:
        self._limits = limits
        self._at_once = at_once
        self._max_waiting = max_waiting
        self._turns = asyncio.Semaphore(at_once)
        self._inside = 0  # files that wait or are read
        self._seconds = 1.0  # for a file: a fading mean

    @property
    def waiting(self) -> int:
        """Files that wait."""
        return max(self._inside - self._at_once, 0)

    async def read(self, file: SentFile) -> Extracted:
        """The Document of a file. Raises FileError, in a sentence without the file's name, and Overloaded."""
        with self._accepted(1):
            return await self._read(file)

    async def _read(self, file: SentFile) -> Extracted:
        async with self._turn():
            kind = await self._kind(file)
            document = await read_kind(kind, file.data, file.charset, self._limits)
        return Extracted(file.name, kind, document)

    async def read_all(self, files: Sequence[SentFile]) -> list[Extracted]:
        """Several files, in order.

        Raises FileError for the first that fails, in a sentence that begins with its name, and Overloaded.
        """
        in_line = asyncio.Semaphore(self._at_once)

        async def read_in_line(file: SentFile) -> Extracted:
            async with in_line:
                return await self._read_named(file)

        with self._accepted(len(files)):
            reading = [asyncio.create_task(read_in_line(file)) for file in files]
            try:
                return await asyncio.gather(*reading)
            finally:
                for task in reading:
                    task.cancel()

    async def _read_named(self, file: SentFile) -> Extracted:
        try:
            return await self._read(file)
        except FileError as error:
            raise type(error)(f"{file.name}: {error}") from error

    async def draw(self, file: SentFile, page: int, width: int) -> bytes:
        """One page of a PDF as PNG, `width` pixels from left to right.

        Raises InvalidInput for a file of another kind, FileError, in a sentence without the file's name, and
        Overloaded.
        """
        with self._accepted(1):
            async with self._turn():
                if await self._kind(file) != "pdf":
                    raise InvalidInput("Only pages of PDF files can be drawn.")
                (picture,) = await draw_pdf(file.data, [page], width, self._limits)
        return picture

    @contextmanager
    def _accepted(self, files: int) -> Iterator[None]:
        """Count the files of one request while they wait and are read, or refuse them."""
        if self.waiting and self.waiting + files > self._max_waiting:
            raise Overloaded(
                f"Too many files wait to be read: {self.waiting}, and this request would add {files}; at most "
                f"{self._max_waiting} may wait. Try again later.",
                math.ceil(self._inside * self._seconds / self._at_once),
            )
        self._inside += files
        try:
            yield
        finally:
            self._inside -= files

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._turns:
            begun = time.monotonic()
            yield
            self._seconds = _TIME_MEMORY * self._seconds + (1 - _TIME_MEMORY) * (time.monotonic() - begun)

    async def _kind(self, file: SentFile) -> Kind:
        return await asyncio.to_thread(kind_of, file.data, file.name, file.content_type, self._limits)

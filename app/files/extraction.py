"""The files of requests: read, or drawn, a few at the same time.

This module knows app/files/read.py and the limits, and does not know HTTP or the command line.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import FileError, InvalidInput
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.pdf.process import draw_pdf
from app.files.read import read_kind
from app.files.sniff import Kind, kind_of


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
    """Reads files within limits, `at_once` of them at the same time; the others wait."""

    def __init__(self, limits: FileLimits, at_once: int) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(at_once)

    async def read(self, file: SentFile) -> Extracted:
        """The Document of a file. Raises FileError, in a sentence without the file's name."""
        async with self._turns:
            kind = await self._kind(file)
            document = await read_kind(kind, file.data, file.charset, self._limits)
        return Extracted(file.name, kind, document)

    async def read_all(self, files: Sequence[SentFile]) -> list[Extracted]:
        """Several files, in order. Raises FileError for the first that fails; the sentence begins with its name."""
        reading = [asyncio.create_task(self._read_named(file)) for file in files]
        try:
            return await asyncio.gather(*reading)
        finally:
            for task in reading:
                task.cancel()

    async def _read_named(self, file: SentFile) -> Extracted:
        try:
            return await self.read(file)
        except FileError as error:
            raise type(error)(f"{file.name}: {error}") from error

    async def draw(self, file: SentFile, page: int, width: int) -> bytes:
        """One page of a PDF as PNG, `width` pixels from left to right.

        Raises InvalidInput for a file of another kind, and FileError, in a sentence without the file's name.
        """
        async with self._turns:
            if await self._kind(file) != "pdf":
                raise InvalidInput("Only pages of PDF files can be drawn.")
            (picture,) = await draw_pdf(file.data, [page], width, self._limits)
        return picture

    async def _kind(self, file: SentFile) -> Kind:
        return await asyncio.to_thread(kind_of, file.data, file.name, file.content_type, self._limits)

"""Files to Documents, whatever kind they are: each in the way its kind wants, so many at the same time.

Knows the readers of the kinds, and nothing of HTTP or of the command line.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from app.document_schemas import FileKind
from app.errors import FileError, FileTooLarge, InvalidInput, UnsupportedFile
from app.files.document import Document
from app.files.docx import read_docx
from app.files.encoding import decode
from app.files.limits import FileLimits
from app.files.pdf.process import draw_pdf, read_pdf
from app.text.structure import structure_of


@dataclass(frozen=True)
class SentFile:
    """A file as it came."""

    name: str
    data: bytes
    content_type: str | None = None


@dataclass(frozen=True)
class Extracted:
    """A file that was read."""

    name: str
    kind: FileKind
    document: Document


class Extractor:
    """Reads files within limits, `at_once` of them at the same time; others wait."""

    def __init__(self, limits: FileLimits, at_once: int) -> None:
        self._limits = limits
        self._turns = asyncio.Semaphore(at_once)

    async def read(self, file: SentFile) -> Extracted:
        """
        Raises:
            FileError: says what is wrong with the file, without its name.
        """
        async with self._turns:
            kind = self._kind(file)
            if kind == "pdf":
                document = await read_pdf(file.data, self._limits)
            else:
                document = await asyncio.to_thread(_READERS[kind], file, self._limits)
        if len(document.text) > self._limits.max_characters:
            raise FileTooLarge(
                f"The file holds {len(document.text)} characters; {self._limits.max_characters} are allowed."
            )
        if not document.text.strip():
            warnings = " ".join(document.warnings)
            raise FileError(f"The file holds no text. {warnings}".rstrip())
        return Extracted(file.name, kind, document)

    async def draw(self, file: SentFile, page: int, width: int) -> bytes:
        """One page of a PDF as PNG, `width` pixels from left to right.

        Raises:
            InvalidInput: the file has no pages that can be drawn, or not this one.
            FileError: says what is wrong with the file, without its name.
        """
        async with self._turns:
            if self._kind(file) != "pdf":
                raise InvalidInput("Only pages of PDF files can be drawn.")
            (picture,) = await draw_pdf(file.data, [page], width, self._limits)
        return picture

    def _kind(self, file: SentFile) -> FileKind:
        if not file.data:
            raise FileError("The file is empty: it has no bytes.")
        if len(file.data) > self._limits.max_file_bytes:
            raise FileTooLarge(f"The file has {len(file.data)} bytes; {self._limits.max_file_bytes} are allowed.")
        if b"%PDF-" in file.data[:1024]:
            return "pdf"
        if file.data.startswith(b"PK\x03\x04"):
            if b"word/" in file.data:
                return "docx"
            raise UnsupportedFile("The file is a zip archive of a kind that is not read.")
        return "text"


def _read_text(file: SentFile, limits: FileLimits) -> Document:
    decoded = decode(file.data)
    return Document(decoded.text, structure_of(decoded.text).blocks, warnings=decoded.warnings)


_READERS: dict[FileKind, Callable[[SentFile, FileLimits], Document]] = {
    "docx": lambda file, limits: read_docx(file.data, limits),
    "text": _read_text,
}

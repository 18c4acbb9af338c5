"""Reads and draws PDF files, each in a child process (app/files/process.py).

PDFium takes files from strangers and is not thread-safe: the parent never imports pypdfium2. This module does not know
HTTP.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from app.errors import InvalidInput, UnsupportedFile
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.process import ask, ask_for_document

_CHILD = "app.files.pdf"
_MAX_PNG_BYTES_PER_PIXEL = 4


async def read_pdf(data: bytes, limits: FileLimits) -> Document:
    """The Document of a PDF.

    Raises BrokenFile for a file that is no PDF or is damaged, EncryptedFile for one that needs a password, FileTooLarge
    for one past the limits, and UnsupportedFile where the extra `files` is not installed.
    """
    _check_installed()
    return await ask_for_document(_CHILD, {"task": "read"}, data, limits)


async def draw_pdf(data: bytes, pages: Sequence[int], width: int, limits: FileLimits) -> list[bytes]:
    """The pages with these numbers, from 1, as PNG, `width` pixels from left to right.

    A page that would have more than `limits.max_pixels` is drawn smaller. Raises as read_pdf does, and InvalidInput for
    a width below 1.
    """
    if width < 1:
        raise InvalidInput(f"The width is {width} pixels; it must be at least 1.")
    most = limits.max_pixels * _MAX_PNG_BYTES_PER_PIXEL * len(pages)
    request = {"task": "draw", "pages": [page - 1 for page in pages], "width": width}
    _check_installed()
    _, pictures = await ask(_CHILD, request, data, limits, most)
    return pictures


def _check_installed() -> None:
    if find_spec("pypdfium2") is None:
        raise UnsupportedFile("PDF files cannot be read here: the extra `files` is not installed.")

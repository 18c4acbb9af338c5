"""One entry for files of every kind: bytes with their name and stated type -> a Document.

The bytes decide the kind of a file. Plain text and tables are read in a thread; every other kind in a child process
with limits on time and memory, because it needs parsers in C, or trees larger than the file. This module does not know
HTTP or tasks.
"""

import asyncio
import re
from dataclasses import replace

from app.files.document import Document
from app.files.formats import read_as
from app.files.limits import FileLimits
from app.files.pdf.process import read_pdf
from app.files.process import ask_for_document
from app.files.sniff import Kind, kind_of
from app.files.warnings import FileWarning

_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"']{1,40})", re.IGNORECASE)


async def read_file(
    data: bytes, name: str | None, content_type: str | None, charset: str | None, limits: FileLimits
) -> Document:
    """The Document of a file. Name and content type only choose between kinds of text that look alike.

    `charset` counts before the one in the content type. Raises UnsupportedFile for kinds that are not read, and
    BrokenFile, EncryptedFile, UnsafeFile, UnknownEncoding or FileTooLarge, each with a sentence for the user.
    """
    kind = await asyncio.to_thread(kind_of, data, name, content_type, limits)
    if charset is None and (match := _CHARSET.search(content_type or "")):
        charset = match.group(1)
    return await read_kind(kind, data, charset, limits)


async def read_kind(kind: Kind, data: bytes, charset: str | None, limits: FileLimits) -> Document:
    """The Document of a file whose kind app/files/sniff.py has found. Raises as read_file does."""
    if kind == "pdf":
        document = await read_pdf(data, limits)
    elif kind in ("text", "table"):
        document = await asyncio.to_thread(read_as, kind, data, charset, limits)
    else:
        document = await ask_for_document("app.files", {"kind": kind, "charset": charset}, data, limits)
    if not document.blocks and not document.warnings:
        return replace(document, warnings=(FileWarning("no_text", "The file holds no text."),))
    return document

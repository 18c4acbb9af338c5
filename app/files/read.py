"""One entry for files of every kind: bytes with their name and stated type -> a Document.

The bytes decide the kind of a file. Plain text, captions and tables are read in a thread; every other kind in a child
process with limits on time and memory, because it needs parsers in C, or trees larger than the file. This module does
not know HTTP or tasks.
"""

import asyncio
from dataclasses import replace

from app.files.document import Document
from app.files.formats import read_as
from app.files.limits import FileLimits
from app.files.pdf.process import read_pdf
from app.files.process import ask_for_document
from app.files.sniff import Kind
from app.files.warnings import FileWarning


async def read_kind(kind: Kind, data: bytes, charset: str | None, limits: FileLimits) -> Document:
    """The Document of a file whose kind app/files/sniff.py has found; `charset` is the one that its sender states.

    Raises:
        BrokenFile, EncryptedFile, UnsafeFile, UnknownEncoding, FileTooLarge: each with a sentence for the user.
    """
    if kind == "pdf":
        document = await read_pdf(data, limits)
    elif kind in ("text", "table", "captions"):
        document = await asyncio.to_thread(read_as, kind, data, charset, limits)
    else:
        document = await ask_for_document("app.files", {"kind": kind, "charset": charset}, data, limits)
    if not document.blocks and not document.warnings:
        return replace(document, warnings=(FileWarning("no_text", "The file holds no text."),))
    return document

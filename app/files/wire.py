"""Messages between the parent and the child that reads a file: one header of JSON, then bytes.

Neither trusts the other's sizes. A Document travels as JSON, UTF-8 and raw floats; nothing is ever unpickled. This
module does not know processes or kinds of files.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np

from app.files.document import Block, Document, Page
from app.files.warnings import FileWarning

MAX_HEADER_BYTES = 256 * 1024 * 1024  # of a Document's structure; bounded by its characters long before that
LENGTH_BYTES = 8


def encode(header: Mapping[str, Any], *blobs: bytes) -> bytes:
    """A message: the length of the header, the header with the lengths of the blobs, the blobs."""
    head = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}, ensure_ascii=False).encode()
    return b"".join((len(head).to_bytes(LENGTH_BYTES, "big"), head, *blobs))


def read(stream: BinaryIO) -> tuple[dict[str, Any], list[bytes]]:
    """The next message of a stream. Raises EOFError if the stream ends inside the message."""
    head, lengths = header_of(_exactly(stream, int.from_bytes(_exactly(stream, LENGTH_BYTES), "big")))
    return head, [_exactly(stream, length) for length in lengths]


def header_of(data: bytes) -> tuple[dict[str, Any], list[int]]:
    """The header of a message and the lengths of its blobs. Raises ValueError for anything else."""
    head = json.loads(data)
    lengths = head.pop("blobs", None) if isinstance(head, dict) else None
    if not isinstance(lengths, list) or not all(isinstance(length, int) and length >= 0 for length in lengths):
        raise ValueError("not the header of a message")
    return head, lengths


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError
    return data


def document_message(document: Document) -> bytes:
    """A Document as a message."""
    header = {
        "blocks": [
            [block.kind, block.start, block.end, block.level, block.cells, block.omitted] for block in document.blocks
        ],
        "pages": [asdict(page) for page in document.pages],
        "line_starts": document.line_starts,
        "warnings": [[one.warning_type, one, one.pages] for one in document.warnings],
    }
    boxes = [] if document.boxes is None else [document.boxes.astype("<f4").tobytes()]
    return encode(header, document.text.encode(), *boxes)


def document_of(header: Mapping[str, Any], blobs: list[bytes]) -> Document:
    """The Document of a message. Raises ValueError, KeyError or TypeError where the message holds none."""
    text, *boxes = blobs
    return Document(
        text.decode(),
        tuple(
            Block(kind, start, end, level, _spans(cells), _spans(omitted))
            for kind, start, end, level, cells, omitted in header["blocks"]
        ),
        tuple(Page(**page) for page in header["pages"]),
        # (characters, 4)
        np.frombuffer(boxes[0], dtype="<f4").reshape(-1, 4).astype(np.float32) if boxes else None,
        tuple(header["line_starts"]),
        tuple(FileWarning(*one) for one in header["warnings"]),
    )


def _spans(pairs: list[list[int]]) -> tuple[tuple[int, int], ...]:
    return tuple((start, end) for start, end in pairs)

"""The messages between the service and an engine process: pickles, each after its length.

The service sends one `Start`, then batches (lists of documents). The process answers `Start` with `Started` or
`Refused`, and every batch, in order, with one list of outputs or with `Failed`.

Pickle is safe here, because both ends are the same program on the same machine; no data of a client or a model
directory is ever unpickled. Arrays travel as bytes, which is three times as fast as pickling them; they arrive
read-only. This module does not know the meaning of batches.
"""

import asyncio
import pickle
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from app.errors import NagayomiError
from app.manifest import Manifest
from app.packing import Document
from app.settings import Settings
from app.types import IntArray, Outputs

_LENGTH = struct.Struct("<Q")
_PROTOCOL = 5


@dataclass(frozen=True)
class Start:
    """The model to run, and its settings."""

    directory: Path
    manifest: Manifest
    settings: Settings


@dataclass(frozen=True)
class Started:
    """The session is loaded and warm."""

    provider: str


@dataclass(frozen=True)
class Refused:
    """The model or the provider cannot be used; the process ends."""

    error: NagayomiError


@dataclass(frozen=True)
class Failed:
    """A batch failed; the process keeps running."""

    reason: str


def encode(message: object) -> bytes:
    """A message as bytes."""
    body = pickle.dumps(message, _PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(stream: asyncio.StreamReader) -> Any:
    """The next message.

    Raises:
        IncompleteReadError: the other end has closed.
    """
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return pickle.loads(await stream.readexactly(length))


def encode_batch(documents: Sequence[Document]) -> bytes:
    """The message that requests a batch."""
    return encode([(_ints(one.input_ids), _ints(one.token_type_ids), one.question_length) for one in documents])


def _ints(array: IntArray) -> bytes:
    return array.astype(np.int32, copy=False).tobytes()


def read_batch(stream: BinaryIO) -> list[Document]:
    """The next batch, blocking.

    Raises:
        EOFError: the other end has closed.
    """
    return [
        Document(np.frombuffer(input_ids, np.int32), np.frombuffer(token_type_ids, np.int32), question_length)
        for input_ids, token_type_ids, question_length in read(stream)
    ]


def encode_result(result: Sequence[Outputs] | Failed) -> bytes:
    """The message that answers a batch."""
    if isinstance(result, Failed):
        return encode(result)
    return encode(
        [
            [(name, array.shape, array.astype(np.float32, copy=False).tobytes()) for name, array in outputs.items()]
            for outputs in result
        ]
    )


async def receive_result(stream: asyncio.StreamReader) -> list[Outputs] | Failed:
    """The next answer to a batch.

    Raises:
        IncompleteReadError: the other end has closed.
    """
    result = await receive(stream)
    if isinstance(result, Failed):
        return result
    return [
        {name: np.frombuffer(data, np.float32).reshape(shape) for name, shape, data in outputs} for outputs in result
    ]


def read(stream: BinaryIO) -> Any:
    """The next message, blocking.

    Raises:
        EOFError: the other end has closed.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data

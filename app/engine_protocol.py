"""What the service and an engine process say to each other, and how: pickles with their length in front.

The service sends one `Start`, then batches (lists of documents). The process answers the first with `Started` or
`Refused`, and every batch, in order, with one list of outputs or with `Failed`.

Pickle, because both ends are the same program on the same machine and arrays go through it as plain copies of memory;
nothing that a client or a model directory sends is ever unpickled.
"""

import asyncio
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from app.errors import NagayomiError
from app.manifest import Manifest
from app.settings import Settings

_LENGTH = struct.Struct("<Q")
_PROTOCOL = 5


@dataclass(frozen=True)
class Start:
    """What to run."""

    directory: Path
    manifest: Manifest
    settings: Settings


@dataclass(frozen=True)
class Started:
    """The session is loaded and warm."""

    provider: str


@dataclass(frozen=True)
class Refused:
    """What was asked for cannot be had; the process ends."""

    error: NagayomiError


@dataclass(frozen=True)
class Failed:
    """A batch failed; the process goes on."""

    reason: str


def encode(message: object) -> bytes:
    """A message as bytes."""
    body = pickle.dumps(message, _PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(stream: asyncio.StreamReader) -> Any:
    """The next message.

    Raises:
        IncompleteReadError: the other end has gone.
    """
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    return pickle.loads(await stream.readexactly(length))


def read(stream: BinaryIO) -> Any:
    """The next message, blocking.

    Raises:
        EOFError: the other end has gone.
    """
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return pickle.loads(_exactly(stream, length))


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data

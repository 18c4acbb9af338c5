"""Reads each file in a child process, and ends the process at the deadline or when the caller is cancelled.

The parent does not trust the child: the limits bound all sizes, and a Document checks itself. The caller decides how
many files are read at the same time. This module does not know HTTP or kinds of files.
"""

import asyncio
import logging
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import errors
from app.errors import BrokenFile, FileError, FileTooLarge
from app.files import wire
from app.files.document import Document
from app.files.limits import FileLimits

_LOG = logging.getLogger(__name__)
_COMMAND = (sys.executable, "-m")
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "PATH", "SYSTEMROOT", "TZ")
_LONGEST_END_S = 5.0
_BYTES_PER_CHARACTER = 4 + 16  # UTF-8 and four floats
_ERRORS: dict[str, type[FileError]] = {
    error.error_type: error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, FileError)
}


async def ask_for_document(module: str, request: dict[str, Any], data: bytes, limits: FileLimits) -> Document:
    """The Document that a child, `python -m module`, makes of a file. Raises the FileError that the child names."""
    most = limits.max_characters * _BYTES_PER_CHARACTER
    header, blobs = await ask(module, request, data, limits, most)
    try:
        return await asyncio.to_thread(wire.document_of, header, blobs)
    except (KeyError, TypeError, ValueError) as error:  # only a child taken over by its file would send that
        raise _failed("sent an impossible answer") from error


async def ask(
    module: str, request: dict[str, Any], data: bytes, limits: FileLimits, most_bytes: int
) -> tuple[dict[str, Any], list[bytes]]:
    """Start a child, send it a request and the file, and return its answer."""
    process = await asyncio.create_subprocess_exec(
        *_COMMAND,
        module,
        env=_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # so that all processes that it may have started can be ended with it
    )
    sending = asyncio.create_task(_send(process, wire.encode({**request, "limits": asdict(limits)}, data)))
    try:
        async with asyncio.timeout(limits.max_seconds):
            header, blobs = await _receive(process, most_bytes)
    except TimeoutError:
        raise FileTooLarge(
            f"The file was not read within {limits.max_seconds:g} seconds, which is the longest allowed."
        ) from None
    except asyncio.IncompleteReadError:
        raise _failed(_end(await process.wait(), limits)) from None
    except ValueError as error:  # only a child taken over by its file would send that
        raise _failed("sent an impossible answer") from error
    finally:
        sending.cancel()
        await _end_child(process)
    if "error" in header:
        raise _ERRORS.get(header["error"], BrokenFile)(str(header["message"]))
    return header, blobs


async def _end_child(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(TimeoutError):  # a process that a hostile file has started may hold a pipe open
            async with asyncio.timeout(_LONGEST_END_S):
                await process.wait()


def _environment() -> dict[str, str]:
    """The variables that a child needs, and no others: a hostile file that takes it over must not find keys."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    here = str(Path(__file__).parents[2])
    return {**kept, "PYTHONPATH": here, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


async def _send(process: asyncio.subprocess.Process, message: bytes) -> None:
    """Write the message and keep the pipe open: the child ends when it closes."""
    assert process.stdin is not None
    try:
        process.stdin.write(message)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # the child ended early; its output, or its end, says why


async def _receive(process: asyncio.subprocess.Process, most_bytes: int) -> tuple[dict[str, Any], list[bytes]]:
    assert process.stdout is not None
    length = int.from_bytes(await process.stdout.readexactly(wire.LENGTH_BYTES), "big")
    if length > wire.MAX_HEADER_BYTES:
        raise ValueError("a header larger than any Document has")
    header, lengths = await asyncio.to_thread(wire.header_of, await process.stdout.readexactly(length))
    if sum(lengths) > most_bytes:
        raise ValueError("more bytes than the limits allow")
    return header, [await process.stdout.readexactly(length) for length in lengths]


def _end(status: int, limits: FileLimits) -> str:
    """Why the child ended without an answer."""
    if status >= 0:
        return f"ended with status {status}"
    return f"was ended by signal {-status}, as when it needs more than {limits.max_memory_bytes} bytes of memory"


def _failed(how: str) -> BrokenFile:
    _LOG.error("The process that reads a file %s.", how)
    return BrokenFile(f"The file could not be read: it is damaged, or too complex. The process that read it {how}.")

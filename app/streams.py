"""The standard streams of a command, also where one of them is closed, full, or no longer read.

The number of a closed stream is given to the next file that is opened, and what a library or a child process says there
ends in that file; and `print` to a standard error that is closed prints to standard output. So closed streams are
replaced before anything else happens. This module does not know commands.
"""

import errno
import io
import os
import sys
from typing import Any, TextIO

from app.errors import InvalidInput, NagayomiError


class OutputLost(NagayomiError):
    """What had to be shown could not be."""


def secure() -> None:
    """Make all three streams safe to use.

    Standard output raises OSError at the first write that it does not take, and then swallows the rest. Standard error
    never raises: there is no other place to say so.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = _safe(sys.stdout, 1, raises=True)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = _safe(sys.stderr, 2, raises=False)


def _safe(stream: TextIO | None, number: int, *, raises: bool) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(number, is_open=stream is not None, raises=raises)),
        encoding="utf-8" if stream is None else stream.encoding,
        errors="backslashreplace",
        line_buffering=not raises or (stream is not None and stream.isatty()),
    )


class _Descriptor(io.RawIOBase):
    """One of the two output streams, and the first error that writing to it gave."""

    def __init__(self, number: int, *, is_open: bool, raises: bool) -> None:
        self.error: OSError | None = None
        self._number = number
        self._is_open = is_open
        self._raises = raises

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_open and os.isatty(self._number)

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        if self.error is not None:
            return len(data)
        try:
            if not self._is_open:
                raise OSError(errno.EBADF, "it is closed")
            return os.write(self._number, data)
        except OSError as error:
            self.error = error
            if self._raises:
                raise
            return len(data)


def _descriptor(stream: TextIO) -> _Descriptor | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Descriptor) else None


def announce(text: str) -> None:
    """Print what is no result: where standard output does not take it, nothing has failed."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for the rest of the process


def show_secret(text: str) -> None:
    """Write to standard error, and nowhere else.

    Raises:
        OutputLost: nobody can have seen it.
    """
    print(text, file=sys.stderr, flush=True)
    if (descriptor := _descriptor(sys.stderr)) is not None and descriptor.error is not None:
        raise OutputLost("standard error cannot be written, where the secret would have been shown.")


def read_input(most: int = -1) -> bytes:
    """All of standard input, or so many bytes of it at most.

    Raises:
        InvalidInput: it is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise InvalidInput("Standard input is closed; name a file.")
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise InvalidInput(f"Standard input cannot be read: {error.strerror}.") from error


def lost_output() -> OSError | None:
    """Why standard output did not take all that was written to it; None where it did."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    descriptor = _descriptor(sys.stdout)
    return None if descriptor is None else descriptor.error

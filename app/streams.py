"""The standard streams of a command, also if one of them is closed, full, or no longer read.

The next file that is opened gets the number of a closed stream, and then holds the messages of libraries and child
processes; and `print` to a closed standard error prints to standard output. So closed streams are replaced before
anything else happens. This module does not know commands.
"""

import errno
import io
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from app.errors import InvalidInput, NagayomiError

_BREAKS = re.compile(r"\s*[\r\n]\s*")


class OutputLost(NagayomiError):
    """Text that must be shown could not be written."""


def secure() -> None:
    """Make all three streams safe to use.

    Standard output raises OSError at the first write that fails, and then drops all further text: results with a hole
    are wrong. Standard error never raises, because there is no other place to report the error, and goes on at the next
    write, because the disk may have room again.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
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


def log_to_output() -> None:
    """From now on standard output holds a log and no results, and behaves like standard error."""
    if (descriptor := _descriptor(sys.stdout)) is not None:
        descriptor.raises = False


class _Descriptor(io.RawIOBase):
    """One of the two output streams, and its first error."""

    def __init__(self, number: int, *, is_open: bool, raises: bool) -> None:
        self.error: OSError | None = None
        self._number = number
        self._is_open = is_open
        self.raises = raises

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._is_open and os.isatty(self._number)

    def fileno(self) -> int:
        return self._number

    def write(self, data: Any) -> int:
        if self.error is not None and self.raises:
            return len(data)
        try:
            if not self._is_open:
                raise OSError(errno.EBADF, "it is closed")
            return os.write(self._number, data)
        except OSError as error:
            self.error = self.error or error
            if self.raises:
                raise
            return len(data)


def _descriptor(stream: TextIO) -> _Descriptor | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Descriptor) else None


def announce(text: str) -> None:
    """Print text that is no result. If standard output cannot be written, the command has not failed."""
    try:
        print(text, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # for the rest of the process


def show_secret(text: str) -> None:
    """Write to standard error, and to no other place.

    Raises:
        OutputLost: standard error could not be written.
    """
    print(text, file=sys.stderr, flush=True)
    if (descriptor := _descriptor(sys.stderr)) is not None and descriptor.error is not None:
        raise OutputLost("standard error, which would show the secret, cannot be written.")


def read_input(most: int = -1) -> bytes:
    """All of standard input, or at most so many bytes of it.

    Raises:
        InvalidInput: standard input is closed, or cannot be read.
    """
    if sys.stdin is None:
        raise InvalidInput("Standard input is closed; name a file.")
    try:
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise InvalidInput(f"Standard input cannot be read: {error.strerror}.") from error


def report(program: str, error: NagayomiError | OSError) -> int:
    """Say in one line on standard error what was wrong.

    Returns:
        The exit code: 2 where the input or the arguments are wrong, else 1.
    """
    if isinstance(error, NagayomiError):
        said = _BREAKS.sub(" ", str(error))  # libraries explain in several lines
        code = 2 if error.status < 500 else 1
    else:
        where = f"{error.filename}: " if error.filename is not None else ""
        said = f"{where}{error.strerror or error}."
        code = 2 if error.filename is not None else 1
    print(f"{program}: {said}", file=sys.stderr)
    return code


def run_module(main: Callable[[], int | None]) -> NoReturn:
    """Run what `python -m PACKAGE.MODULE` is asked for, and end the process. Errors are told as commands tell them."""
    spec = sys.modules["__main__"].__spec__
    program = "python" if spec is None else f"python -m {spec.name.removesuffix('.__main__')}"
    try:
        code = main() or 0
    except (NagayomiError, OSError) as error:
        code = report(program, error)
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


def lost_output() -> OSError | None:
    """The reason why standard output did not take all text; None if it did."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return error
    descriptor = _descriptor(sys.stdout)
    return None if descriptor is None else descriptor.error

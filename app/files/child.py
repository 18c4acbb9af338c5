"""The frame of a child process that reads one file: it takes the message, limits itself, answers, and ends.

A message (app/files/wire.py) comes in on standard input and one leaves on standard output. The process ends when its
standard input ends, even while it works: it never outlives the service. It gets no secrets: see app/files/process.py.
"""

import math
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO

from app.errors import BrokenFile, FileError, FileTooLarge
from app.files import wire
from app.files.limits import FileLimits


def answer_one(answer_of: Callable[[dict[str, Any], bytes, FileLimits], bytes]) -> None:
    """Answer one message with the result of `answer_of` for its header and file, and end the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the whole group; the service decides
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # any other output goes to standard error
    header, (data,) = wire.read(source)
    limits = FileLimits(**header["limits"])
    _limit_process(limits)
    threading.Thread(target=_end_with, args=(source,), daemon=True).start()
    try:
        answer = answer_of(header, data, limits)
    except FileError as error:
        answer = wire.encode({"error": error.error_type, "message": str(error)})
    except MemoryError:
        message = f"Reading the file needs more than the {limits.max_memory_bytes} bytes of memory that are allowed."
        answer = wire.encode({"error": FileTooLarge.error_type, "message": message})
    except Exception as error:
        traceback.print_exc()  # into the log of the service
        message = f"The file cannot be read: its reader failed ({type(error).__name__})."
        answer = wire.encode({"error": BrokenFile.error_type, "message": message})
    sink.write(answer)
    sink.flush()
    os._exit(0)  # a reader of standard input would hold up the ordinary end


def _limit_process(limits: FileLimits) -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (limits.max_memory_bytes, limits.max_memory_bytes))
    seconds = math.ceil(limits.max_seconds) + 1  # the parent ends it before that, unless the parent is gone
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it must write no files
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with(source: BinaryIO) -> None:
    source.read(1)
    os._exit(1)

"""The engine process: owns one ONNX Runtime session and runs one batch at a time. app/engine/process.py starts it.

Messages (app/engine/protocol.py) arrive on standard input and leave on standard output. While one thread runs a batch,
another reads and packs the next. The process ends at once when its standard input closes, so it never outlives the
service. With `--probe PROVIDER` it only tests whether that provider can run here; `--model NAME` names the model in
lists of processes. After a batch that fails, it runs the smallest one: if that fails too, as on a GPU whose context is
lost, it ends, and the service starts another. This module does not know requests or text.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, BinaryIO

from app.engine import protocol
from app.engine.protocol import Failed, Refused, Start, Started
from app.errors import NagayomiError
from app.packing import Document, PackedBatch
from app.types import Outputs
from app.worker.providers import probe_provider
from app.worker.session import Session
from app.worker.warmup import warm

# One thread runs a batch, one packs the next, and one waits for another batch or for the end of standard input.
_IN_HAND = 3


def main() -> None:
    """Serve until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal sends it to the whole group, but the service decides when to end.
        signal.signal(number, signal.SIG_IGN)
    source, sink = _channel()
    if sys.argv[1:2] == ["--probe"]:
        _send(sink, protocol.encode(_probe(sys.argv[2])))
        return
    try:
        start: Start = protocol.read(source)
    except EOFError:
        return
    try:
        settings = start.settings
        session = Session(start.directory, start.manifest, settings)
        run_first = partial(warm, session, start.manifest, settings.max_batch_tokens)
        run_first(smallest_only=not settings.warm_up)
    except NagayomiError as error:
        _send(sink, protocol.encode(Refused(error)))
        return
    line = Line(source, sink, session, partial(run_first, smallest_only=True))
    for _ in range(_IN_HAND):
        threading.Thread(target=line.work, daemon=True).start()
    _send(sink, protocol.encode(Started(session.provider)))  # before the first batch
    threading.Event().wait()


class Line:
    """Threads in turn: each reads a batch, packs it, waits until the batch before it has run, and runs it.

    The same thread reads and runs a batch, so a lone batch never moves between threads.

    Args:
        check: raises if the session can run nothing more; called after a batch that failed.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO, session: Session, check: Callable[[], None]) -> None:
        self._source = source
        self._sink = sink
        self._session = session
        self._check = check
        self._reading = threading.Lock()
        self._last_ran = threading.Event()  # done when the last batch read has run
        self._last_ran.set()

    def work(self) -> None:
        """Run batches until standard input or the session ends, which ends the process."""
        try:
            while True:
                with self._reading:
                    documents = protocol.read_batch(self._source)
                    before_ran, self._last_ran = self._last_ran, (ran := threading.Event())
                batch = self._pack(documents)
                before_ran.wait()
                _send(self._sink, protocol.encode_result(self._run(batch)))
                ran.set()
        except EOFError:
            os._exit(0)
        except BaseException:  # a stopped thread would leave the service waiting for ever
            try:
                sys.excepthook(*sys.exc_info())
            finally:  # even when no memory is left for a message
                os._exit(1)

    def _pack(self, documents: Sequence[Document]) -> PackedBatch | Failed:
        try:
            return self._session.pack(documents)
        except Exception as error:  # the service gets the error; the next batch is read
            return Failed(_words(error))

    def _run(self, batch: PackedBatch | Failed) -> list[Outputs] | Failed:
        if isinstance(batch, Failed):
            return batch
        try:
            return self._session.run(batch)
        except Exception as error:  # includes failed allocations; ONNX Runtime's exceptions have no common base
            self._check()
            return Failed(_words(error))


def _probe(provider: Any) -> Started | Refused:
    try:
        probe_provider(provider)
    except NagayomiError as error:
        return Refused(error)
    return Started(provider)


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """Reserve standard input and output for messages; all other output goes to standard error."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, sink


def _send(sink: BinaryIO, message: bytes) -> None:
    sink.write(message)
    sink.flush()


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()

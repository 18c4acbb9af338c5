"""The other end of app/engine/process.py: a process that owns one ONNX Runtime session and runs one batch at a time.

Messages (app/engine/protocol.py) come in on standard input and leave on standard output. While one thread runs a batch,
another reads and packs the next. The process ends when its standard input does, whatever it is doing: it never outlives
the service. With `--probe PROVIDER` it only says whether that provider can run here;
`--model NAME` is for people who look at a list of processes.
"""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

from app.engine import protocol
from app.engine.protocol import Failed, Refused, Start, Started
from app.errors import NagayomiError
from app.packing import Document, PackedBatch
from app.types import Outputs
from app.worker.providers import probe_provider
from app.worker.session import Session
from app.worker.warmup import warm

# One batch that runs, one that is packed, and a thread that waits for the next, or for the end of standard input.
_IN_HAND = 3


def main() -> None:
    """Serve until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group by a terminal; the service decides when to end
    source, sink = _channel()
    if sys.argv[1:2] == ["--probe"]:
        _send(sink, protocol.encode(_probe(sys.argv[2])))
        return
    try:
        start: Start = protocol.read(source)
    except EOFError:
        return
    try:
        session = Session(start.directory, start.manifest, start.settings)
        warm(session, start.manifest, start.settings.max_batch_tokens)
    except NagayomiError as error:
        _send(sink, protocol.encode(Refused(error)))
        return
    line = _Line(source, sink, session)
    for _ in range(_IN_HAND):
        threading.Thread(target=line.work, daemon=True).start()
    _send(sink, protocol.encode(Started(session.provider)))  # before a batch can come
    threading.Event().wait()


class _Line:
    """Threads that take turns: each reads a batch, packs it, waits until the one before it has run, and runs it.

    The thread that has read a batch also runs it, so a lone batch is never handed from one thread to another.
    """

    def __init__(self, source: BinaryIO, sink: BinaryIO, session: Session) -> None:
        self._source = source
        self._sink = sink
        self._session = session
        self._reading = threading.Lock()
        self._last_ran = threading.Event()  # of the batch that was read last
        self._last_ran.set()

    def work(self) -> None:
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
        except BaseException:  # a line that has stopped would leave the service waiting for ever
            try:
                sys.excepthook(*sys.exc_info())
            finally:  # where there is no memory left to say it, too
                os._exit(1)

    def _pack(self, documents: Sequence[Document]) -> PackedBatch | Failed:
        try:
            return self._session.pack(documents)
        except Exception as error:  # its members hear of it; the next batch is read
            return Failed(_words(error))

    def _run(self, batch: PackedBatch | Failed) -> list[Outputs] | Failed:
        if isinstance(batch, Failed):
            return batch
        try:
            return self._session.run(batch)
        except Exception as error:  # allocation failures among them; ONNX Runtime's own exceptions have no common base
            return Failed(_words(error))


def _probe(provider: Any) -> Started | Refused:
    try:
        probe_provider(provider)
    except NagayomiError as error:
        return Refused(error)
    return Started(provider)


def _channel() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output for messages alone; whatever else is printed goes to standard error."""
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

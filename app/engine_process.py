"""The other end of app/engine.py: a process that owns one ONNX Runtime session and runs batches, one after another.

Messages (app/engine_protocol.py) come in on standard input and leave on standard output. One thread reads and packs
the next batch while the other runs the one before it. The process ends when its standard input does, whatever it is
doing: it never outlives the service. With `--probe PROVIDER` it only says whether that provider can run here;
`--model NAME` is for people who look at a list of processes.
"""

import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

from app import engine_protocol as protocol
from app.engine_protocol import Failed, Refused, Start, Started
from app.errors import NagayomiError
from app.packing import Document, Outputs, PackedBatch
from app.providers import probe_provider
from app.session import Session
from app.warming import warm


def main() -> None:
    """Serve until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # sent to the whole group by a terminal; the service decides when to end
    source, sink = _channel()
    if sys.argv[1:2] == ["--probe"]:
        _send(sink, _probe(sys.argv[2]))
        return
    try:
        start: Start = protocol.read(source)
    except EOFError:
        return
    try:
        session = Session(start.directory, start.manifest, start.settings)
        warm(session, start.manifest, start.settings.max_batch_tokens)
    except NagayomiError as error:
        _send(sink, Refused(error))
        return
    prepared: queue.Queue[PackedBatch | Failed] = queue.Queue(maxsize=1)
    threading.Thread(target=_prepare, args=(source, session, prepared), daemon=True).start()
    _send(sink, Started(session.provider))
    while True:
        _send(sink, _run(session, prepared.get()))


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


def _send(sink: BinaryIO, message: object) -> None:
    sink.write(protocol.encode(message))
    sink.flush()


def _prepare(source: BinaryIO, session: Session, prepared: "queue.Queue[PackedBatch | Failed]") -> None:
    try:
        while True:
            documents: Sequence[Document] = protocol.read(source)
            try:
                batch: PackedBatch | Failed = session.pack(documents)
            except Exception as error:  # its members hear of it; the next batch is read
                batch = Failed(_words(error))
            prepared.put(batch)
    except EOFError:
        os._exit(0)
    except BaseException:  # a reader that is gone would leave the service waiting for ever
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _run(session: Session, batch: PackedBatch | Failed) -> list[Outputs] | Failed:
    if isinstance(batch, Failed):
        return batch
    try:
        return session.run(batch)
    except Exception as error:  # allocation failures among them; ONNX Runtime's own exceptions have no common base
        return Failed(_words(error))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main()

"""The line of batches in the engine process, over a session that fails."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from app.engine import protocol
from app.packing import Document
from app.worker.__main__ import Line


class FailingSession:
    """Packs every batch and runs none."""

    def pack(self, documents: Any) -> Any:
        return documents

    def run(self, batch: Any) -> Any:
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")


@pytest.fixture(autouse=True)
def ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends with its code, which ends the test's thread alone."""

    def end(code: int) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", end)


def _work(check: Callable[[], None]) -> tuple[object, bytes]:
    """The exit code after one batch, and what was sent."""
    ids = np.array([0, 5], dtype=np.int32)
    source, sink = io.BytesIO(protocol.encode_batch([Document(ids, ids)])), io.BytesIO()
    session: Any = FailingSession()
    with pytest.raises(SystemExit) as end:
        Line(source, sink, session, check).work()
    return end.value.code, sink.getvalue()


def test_a_batch_that_fails_alone_is_answered_and_the_next_is_read() -> None:
    reason = "RuntimeError: CUDA failure 700: an illegal memory access was encountered"
    assert _work(lambda: None) == (0, protocol.encode(protocol.Failed(reason)))


def test_a_session_that_can_run_nothing_more_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise RuntimeError("not even the smallest")

    assert _work(fail) == (1, b"")
    assert "not even the smallest" in capsys.readouterr().err

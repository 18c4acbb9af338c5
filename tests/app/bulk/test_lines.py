"""Lines as requests: bounded reading, lost engines, and runs that stop."""

import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from app.bulk.lines import AnsweredLine, LineAnswerer, Place, in_flight, read_lines
from app.bulk.source import Source
from app.errors import InvalidInput, Unavailable
from app.service import Service
from app.settings import Settings
from tests.app.bulk.made import questions


@pytest.fixture(autouse=True)
def _settings_of_the_test(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")


async def test_no_more_lines_are_read_than_are_worked_on() -> None:
    async with Service.open(Settings(), ["classify"]) as service:
        read = 0

        def lines() -> Any:
            nonlocal read
            for number in range(1, 2001):
                read = number
                yield number, b'{"text": "\xe4\xb8\x8a"}'

        answered = 0
        async for _ in LineAnswerer(service, "classify").answers(lines()):
            answered += 1
            assert read - answered < in_flight(service.settings)
        assert answered == 2000


async def test_lines_in_a_lost_engine_are_answered_after_all() -> None:
    async with Service.open(Settings(), ["qa"]) as service:
        (model,) = service.store.models.values()
        lines = [(number, json.dumps(body).encode()) for number, body in enumerate(questions(400), 1)]
        answers: list[AnsweredLine] = []
        async for answer in LineAnswerer(service, "qa").answers(lines):
            answers.append(answer)
            if len(answers) in (50, 200):
                assert model.engine.pid is not None
                os.kill(model.engine.pid, signal.SIGKILL)
        assert model.engine.restarts == 2
    assert [json.loads(answer.text)["id"] for answer in answers] == [f"q{number}" for number in range(400)]
    assert not any(answer.failed for answer in answers)


async def test_a_run_stops_when_the_engine_cannot_be_started_again(handmade_store: Path) -> None:
    """Its lines must not count as answered: they are as good as any."""
    async with Service.open(Settings(model_store=handmade_store), ["qa"]) as service:
        (model,) = service.store.models.values()
        lines = [(number, json.dumps(body).encode()) for number, body in enumerate(questions(400), 1)]
        (handmade_store / "hand-qa" / "model.onnx").unlink()

        async def answer_and_kill() -> None:
            async for _ in LineAnswerer(service, "qa").answers(lines):
                if model.engine.pid is not None:
                    with suppress(ProcessLookupError):
                        os.kill(model.engine.pid, signal.SIGKILL)

        with pytest.raises(Unavailable, match=r"stopped and cannot be started again: .*model\.onnx is missing"):
            await answer_and_kill()


def test_an_input_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"a\r\n" + b"b" * 3_000_000 + b"\n\ncc")
    with path.open("rb") as file:
        source = Source(file, "utf-8", None)
        lines = list(read_lines(source.pieces(12), Place(), 10))
        assert [(line.number, line.body, line.end.bytes) for line in lines] == [
            (1, b"a", 3), (2, None, 3_000_004), (4, b"cc", 3_000_007),
        ]  # fmt: skip
        assert [line.end.requests for line in lines] == [1, 2, 3]
        for number, line in enumerate(lines, 1):
            assert list(read_lines(source.pieces(12), line.end, 10)) == lines[number:]
    for added in (b"c", b"c\n", b"\n"):
        path.write_bytes(b"a\r\n" + b"b" * 3_000_000 + b"\n\ncc" + added)
        with path.open("rb") as file, pytest.raises(InvalidInput, match="Line 4 had no newline when it was processed"):
            list(read_lines(Source(file, "utf-8", None).pieces(12), lines[-1].end, 10))

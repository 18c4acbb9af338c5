"""Requests over files, between their arrival and their answer."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from app.asking import ask_in_json, ask_of_files
from app.errors import DeadlineExceeded, InvalidInput, ModelNotFound, Overloaded, RequestTooLarge, Unavailable
from app.files.document import Document
from app.files.extraction import Extracted
from app.schemas import ClassifyRequest
from app.schemas.results import Result
from app.service import ANYBODY, Caller, Service
from app.settings import Settings
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.text.structure import structure_of

UP = Extracted("a.txt", "text", Document("上の文。", structure_of("上の文。").blocks))


def label_of(result: Result) -> str:
    label: str = result.model_dump()["results"][0]["labels"][0]["label"]
    return label


async def test_draining_waits_for_a_request_whose_files_are_being_read(handmade_models: Path) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1), ["classify"]) as service:
        go_on = asyncio.Event()

        async def read() -> list[Extracted]:
            await go_on.wait()
            return [UP]

        answering = asyncio.ensure_future(ask_of_files(service, CLASSIFY, {}, 1, read)(ANYBODY, None))
        await asyncio.sleep(0)
        draining = asyncio.create_task(service.drain())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="shutting down"):
            await ask_of_files(service, CLASSIFY, {}, 1, read)(ANYBODY, None)
        go_on.set()
        assert label_of(await answering) == "up"
        await draining


async def test_files_are_read_and_tokenized_once_though_the_request_waits_for_room(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1), ["classify"]) as service:
        done: list[str] = []

        async def read() -> list[Extracted]:
            done.append("read")
            return [UP]

        tokenize = service._texts.tokenize

        async def noted(*arguments: Any) -> Any:
            done.append("tokenized")
            return await tokenize(*arguments)

        async def sleep(seconds: float) -> None:
            done.append(f"slept {seconds}")
            if len(done) == 4:
                full.undo()

        full = pytest.MonkeyPatch()
        full.setattr(service._batchers["hand-classify"], "_max_queue_tokens", 0)
        monkeypatch.setattr(service._texts, "tokenize", noted)
        full.setattr("app.service.asyncio.sleep", sleep)
        answer = ask_of_files(service, CLASSIFY, {}, 1, read)
        assert label_of(await answer(Caller(waits=True), None)) == "up"
        assert done == ["read", "tokenized", "slept 1", "slept 1"]


async def test_where_there_is_no_room_a_caller_that_does_not_wait_is_refused(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1), ["classify"]) as service:
        monkeypatch.setattr(service._batchers["hand-classify"], "_max_queue_tokens", 0)
        with pytest.raises(Overloaded):
            await ask_in_json(service, CLASSIFY, {"text": "上"})(ANYBODY, None)


def test_a_wrong_request_is_refused_before_anything_is_read() -> None:
    service = Service(Settings(max_client_batch_size=2))

    async def read() -> list[Extracted]:
        raise AssertionError

    for files, fields, words in (
        (3, {}, "holds 3 texts"),
        (0, {}, "holds 0 texts"),
        (1, {"x": 1}, "of this line"),
        (1, {"text": "上"}, "Only one of `text` and `file` is allowed"),
    ):
        with pytest.raises(InvalidInput, match=words):
            ask_of_files(service, CLASSIFY, fields, files, read, "this line")
    with pytest.raises(InvalidInput, match="Only one of `text` and `documents`"):
        ask_in_json(service, CLASSIFY, {"text": "上", "documents": []})


async def test_what_no_model_can_answer_is_refused_before_anything_is_read(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_text_characters=10)
    async with Service.open(settings, ["classify"]) as service:

        async def read() -> list[Extracted]:
            raise AssertionError

        with pytest.raises(ModelNotFound, match="No model named 'typo' serves classify"):
            ask_of_files(service, CLASSIFY, {"model": "typo"}, 1, read)
        with pytest.raises(ModelNotFound, match="No model named 'typo' serves classify"):
            ask_in_json(service, CLASSIFY, {"model": "typo", "text": "上"})
        too_long = "The texts have 11 characters; 10 are allowed together"
        with pytest.raises(RequestTooLarge, match=too_long):
            ask_in_json(service, CLASSIFY, {"text": "上" * 11})
        with pytest.raises(RequestTooLarge, match=too_long):
            ask_in_json(service, CLASSIFY, {"documents": [{"text": "上" * 6}, {"text": "上" * 5}]})


@pytest.mark.parametrize(
    ("asked_s", "read_s", "left_s", "words"),
    [
        (30.0, 20.0, 10.0, "within 30 seconds"),
        (None, 20.6, 60.4, "within 81 seconds"),  # its own time again, after the reading
        (None, 50.0, 50.0, "within 100 seconds"),  # max_request_timeout_s
    ],
)
async def test_the_models_get_the_time_that_the_files_have_left(
    asked_s: float | None,
    read_s: float,
    left_s: float,
    words: str,
    handmade_models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_request_timeout_s=100.0)
    async with Service.open(settings, ["classify"]) as service:
        now = time.monotonic()
        seen: list[float] = []

        async def read() -> list[Extracted]:
            monkeypatch.setattr("app.asking.time.monotonic", lambda: now + read_s)
            return [UP]

        async def submit(*_: Any, deadline: float, **__: Any) -> Any:
            seen.append(deadline - time.monotonic())
            raise TimeoutError

        monkeypatch.setattr("app.asking.time.monotonic", lambda: now)
        monkeypatch.setattr(service._batchers["hand-classify"], "submit", submit)
        with pytest.raises(DeadlineExceeded, match=words):
            await ask_of_files(service, CLASSIFY, {}, 1, read)(Caller(timeout_s=asked_s), None)
        monkeypatch.undo()
        assert seen == [pytest.approx(left_s)]


async def test_a_text_that_is_too_long_is_told_so_though_there_is_no_room(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        model_store=handmade_models, intra_op_threads=1, max_text_characters=10, max_waiting_characters=10
    )
    async with Service.open(settings, ["classify"]) as service:

        async def tokenize(*_: Any) -> Any:
            raise Overloaded("Texts of 10 characters wait.", 1)

        monkeypatch.setattr(service._texts, "tokenize", tokenize)
        requests = [ClassifyRequest(text="上" * 6) for _ in range(2)]
        with pytest.raises(RequestTooLarge):
            await service.answer_batch(CLASSIFY, requests)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"documents": [{}] * 3, "question": "何"}, "The request holds 3 texts; from 1 to 2 are allowed at once."),
        ({"context": "文", "question": [1] * 4}, "`question` holds 4 questions; at most 3 are allowed at once."),
    ],
)
def test_the_length_of_a_list_is_checked_before_its_members(fields: dict[str, Any], message: str) -> None:
    service = Service(Settings(max_client_batch_size=2, max_questions=3))

    with pytest.raises(InvalidInput) as error:
        ask_in_json(service, QA, fields)
    assert str(error.value) == message

"""Requests and answers as values, put through the real application."""

import asyncio
import json
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.main import create_app
from app.ray.forwarding import HttpAnswer, HttpRequest, answer
from app.settings import Settings
from tests.app.asgi import running


def _post(path: bytes, body: object, *headers: tuple[bytes, bytes]) -> HttpRequest:
    return HttpRequest("POST", path, b"", headers, json.dumps(body).encode())


async def test_an_answer_is_what_a_client_gets(handmade_models: Path) -> None:
    application = create_app(Settings(model_store=handmade_models, intra_op_threads=1))
    async with running(application) as client:
        for body in ({"text": "上"}, {"text": ""}):
            over_http = await client.post("/classify", json=body, headers={"X-Request-Id": "here"})
            got = await answer(application, _post(b"/classify", body, (b"x-request-id", b"here")))
            assert got.status == over_http.status_code
            assert _without_times(json.loads(got.body)) == _without_times(over_http.json())
            assert dict(got.headers)[b"x-request-id"] == b"here"
        refused = await answer(application, _post(b"/predict", {"inputs": ""}))
        assert (refused.error_type, json.loads(refused.body)["error_type"]) == ("invalid_input", "Validation")
        page = await answer(application, HttpRequest("GET", b"/", b"", (), b""))
        assert page.body == (await client.get("/")).content


def _without_times(body: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if name != "timings"}


async def test_path_query_and_headers_arrive_as_they_were_sent() -> None:
    seen: list[Scope] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        message = await receive()
        await send({"type": "http.response.start", "status": 201, "headers": [(b"A", b"1"), (b"A", b"2")]})
        await send({"type": "http.response.body", "body": message["body"], "more_body": True})
        await send({"type": "http.response.body", "body": b"!"})

    request = HttpRequest("PUT", b"/%E9%95%B7/a%2Fb", b"q=%E8%AA%AD", ((b"x", b"y"),), b"body")
    assert await answer(application, request) == HttpAnswer(201, ((b"A", b"1"), (b"A", b"2")), b"body!")
    (scope,) = seen
    assert (scope["method"], scope["path"], scope["raw_path"]) == ("PUT", "/長/a/b", b"/%E9%95%B7/a%2Fb")
    assert (scope["query_string"], scope["headers"]) == (b"q=%E8%AA%AD", [(b"x", b"y")])


def test_a_header_takes_the_place_of_its_namesakes() -> None:
    request = _post(b"/", {}, (b"X-Timeout-Ms", b"5"), (b"other", b"1"), (b"x-timeout-ms", b"6"))
    assert request.with_header("X-Timeout-Ms", "7").headers == ((b"other", b"1"), (b"x-timeout-ms", b"7"))


async def test_cancelling_drops_the_work(handmade_models: Path) -> None:
    ended = asyncio.Event()
    application = FastAPI()

    @application.get("/")
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    work = asyncio.create_task(answer(application, HttpRequest("GET", b"/", b"", (), b"")))
    await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

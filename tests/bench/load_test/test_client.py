"""One request, against answers made by hand: every way in which it can end, and the values that are read from it."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from bench.load_test.client import Result, Target, Unusable, ask, describe, open_client
from bench.load_test.traffic import Request

Answer = Callable[[httpx.Request], httpx.Response]

TARGET = Target("http://service.example/base", api_key="secret", timeout_ms=500)
REQUEST = Request("/qa", 2, b"{}")
MODEL = {"name": "m", "task": "qa", "provider": "cpu", "precision": "fp32"}
LIMITS = {"request_timeout_s": 30.0, "max_request_timeout_s": 90.0}
INFO = {"version": "1.2.3", "models": [{**MODEL, "licence": "x"}], "limits": LIMITS}
HEADERS = {"x-tokenization-time": "1.5", "x-queue-time": "2.0", "x-inference-time": "30.0", "x-total-time": "34.0"}
BODY = {"usage": {"tokens": 7, "windows": 1}, "timings": {"decode_ms": 0.5}}


def asked(answer: Answer) -> Result:
    ticks = itertools.count(3.0)

    async def main() -> Result:
        async with open_client(TARGET, httpx.MockTransport(answer)) as client:
            return await ask(client, REQUEST, 1.0, lambda: next(ticks))

    return asyncio.run(main())


def test_what_is_sent() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(302, headers={"Location": "http://elsewhere.example/"})

    assert asked(answer).outcome == "302", "a redirect is not followed"
    (request,) = seen
    assert (request.method, str(request.url), request.content) == ("POST", "http://service.example/base/qa", b"{}")
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["x-timeout-ms"] == "500"


def test_an_answer() -> None:
    stages = {"tokenize": 1.5, "queue": 2.0, "infer": 30.0, "total": 34.0, "decode": 0.5}
    result = asked(lambda _: httpx.Response(200, headers=HEADERS, json=BODY))
    assert result == Result("/qa", 2, 1.0, 3.0, 4.0, "200", 7, stages, windows=1)
    assert (result.latency_ms, result.late_ms) == (3000.0, 2000.0), "counted from the time it should have been sent"


@pytest.mark.parametrize(
    ("response", "outcome", "message", "retry_after_s"),
    [
        (httpx.Response(429, json={"error": "Full."}, headers={"Retry-After": "3"}), "429", "Full.", 3.0),
        (httpx.Response(503, json={"error": "Draining."}, headers={"Retry-After": "soon"}), "503", "Draining.", None),
        (httpx.Response(502, text="<h1>Bad\n gateway</h1>"), "502", "<h1>Bad gateway</h1>", None),
        (httpx.Response(200, text="<p>Hello"), "unreadable answer", "The answer does not have the format", None),
        (httpx.Response(200, json=BODY), "unreadable answer", "The answer does not have the format", None),
        (
            httpx.Response(200, headers=HEADERS, json=[]),
            "unreadable answer",
            "The answer does not have the format",
            None,
        ),
    ],
)
def test_errors_of_the_service(
    response: httpx.Response, outcome: str, message: str, retry_after_s: float | None
) -> None:
    result = asked(lambda _: response)
    assert (result.outcome, result.retry_after_s) == (outcome, retry_after_s)
    assert result.message.startswith(message)
    assert result.reached
    assert not result.answered


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (httpx.ConnectError("refused"), "not connected"),
        (httpx.ConnectTimeout("no route"), "not connected"),
        (httpx.ReadTimeout("late"), "no answer in time"),
        (httpx.WriteTimeout("late"), "no answer in time"),
        (httpx.ReadError("reset"), "connection lost"),
        (httpx.RemoteProtocolError("closed"), "connection lost"),
    ],
)
def test_errors_of_the_connection(error: httpx.RequestError, outcome: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise error

    result = asked(answer)
    assert (result.outcome, result.message, result.ended_s) == (outcome, str(error), 4.0)
    assert not result.reached


def described(answer: Answer, target: Target = TARGET) -> tuple[dict[str, Any], httpx.Timeout]:
    async def main() -> tuple[dict[str, Any], httpx.Timeout]:
        async with open_client(target, httpx.MockTransport(answer)) as client:
            return await describe(client, target, ["qa"]), client.timeout

    return asyncio.run(main())


def test_the_service_describes_itself_and_the_client_waits_for_its_longest_timeout() -> None:
    service, timeout = described(lambda _: httpx.Response(200, json=INFO), Target("http://service.example"))
    assert service == {"version": "1.2.3", "models": [MODEL]}
    assert timeout == httpx.Timeout(100.0, connect=10.0)
    _, timeout = described(lambda _: httpx.Response(200, json=INFO))
    assert timeout == httpx.Timeout(10.5, connect=10.0)


@pytest.mark.parametrize(
    "response", [httpx.Response(404), httpx.Response(200, text="<p>"), httpx.Response(200, json=3)]
)
def test_a_service_that_does_not_describe_itself(response: httpx.Response) -> None:
    service, timeout = described(lambda _: response, Target("http://service.example"))
    assert service == {}
    assert timeout == httpx.Timeout(610.0, connect=10.0)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (httpx.Response(401, json={"error": "A key is wanted."}), "answers 401: A key is wanted."),
        (httpx.Response(200, json={**INFO, "models": []}), "no model for qa. Its models: none; is it still loading?"),
        (httpx.Response(200, json={**INFO, "models": [{**MODEL, "task": "classify"}]}), r"Its models: m \(classify\)"),
    ],
)
def test_a_service_that_cannot_be_used(response: httpx.Response, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        described(lambda _: response)


def test_nothing_answers() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unusable, match=r"Nothing answers at http://service.example/base: refused"):
        described(answer)

"""The ingress with replicas that answer, refuse and die; functions stand for them, without a cluster."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.serve.exceptions import BackPressureError
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.http.auth import new_key
from app.ray.forwarding import HttpAnswer, HttpRequest
from app.ray.serve import Ingress, app
from app.settings import Settings

DONE = HttpAnswer(200, ((b"content-type", b"application/json"), (b"x-request-id", b"other")), b'{"labels":[]}')
Replica = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class Replicas:
    """Stands for the handle of the deployment: each attempt goes to the next replica."""

    def __init__(self, *replicas: Replica | HttpAnswer | Exception) -> None:
        self._replicas = list(replicas)
        self.got: list[HttpRequest] = []
        self.cancelled = 0
        self.answer = self

    def remote(self, request: HttpRequest) -> Any:
        self.got.append(request)
        return _Attempt(self, self._replicas.pop(0), request)


class _Attempt:
    def __init__(self, replicas: Replicas, replica: Replica | HttpAnswer | Exception, request: HttpRequest) -> None:
        self._replicas, self._replica, self._request = replicas, replica, request

    def __await__(self) -> Any:
        return self._run().__await__()

    async def _run(self) -> HttpAnswer:
        if isinstance(self._replica, Exception):
            raise self._replica
        return self._replica if isinstance(self._replica, HttpAnswer) else await self._replica(self._request)

    def cancel(self) -> None:
        self._replicas.cancelled += 1


def _ingress(replicas: Replicas, **settings: Any) -> Any:
    return Ingress.func_or_class(replicas, Settings(**settings))  # type: ignore[attr-defined]


def _request(*headers: tuple[bytes, bytes], body: bytes = b'{"text": "x"}') -> Request:
    scope = {
        "type": "http", "method": "POST", "path": "/classify", "raw_path": b"/classify", "query_string": b"a=b",
        "headers": [(b"x-request-id", b"mine"), *headers],
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


def _error(status: int, error_type: str, *headers: tuple[bytes, bytes]) -> HttpAnswer:
    body = json.dumps({"error": "A sentence.", "error_type": error_type}).encode()
    return HttpAnswer(status, headers, body, error_type)


def _type_of(response: Response, status: int) -> str:
    assert response.status_code == status, response.body
    error: dict[str, str] = json.loads(bytes(response.body))
    assert error["request_id"] == "mine"
    return error["error_type"]


def test_there_are_no_jobs() -> None:
    arguments: Any = app({})._bound_deployment.init_args
    assert arguments[1].max_jobs == 0


def test_jobs_that_are_asked_for_are_refused_in_words() -> None:
    with pytest.raises(InvalidInput, match=r"max_jobs is 3, and Ray Serve has no jobs.*Set it to 0, or leave it out"):
        app({"max_jobs": "3"})


@pytest.mark.parametrize("name", ["host", "port", "allow_unauthenticated"])
def test_settings_of_a_socket_are_refused_in_words(name: str) -> None:
    value = {"host": "0.0.0.0", "port": "80", "allow_unauthenticated": "true"}[name]
    with pytest.raises(InvalidInput, match=rf"{name} has no effect here: Ray Serve listens.*Leave it out\."):
        app({name: value})


def test_paths_are_those_of_the_folder_in_which_the_command_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments: Any = app({"model_store": "a", "api_keys_file": "b", "engine_cache": "c"})._bound_deployment.init_args
    settings: Settings = arguments[1]
    paths = (settings.model_store, settings.api_keys_file, settings.engine_cache)
    assert paths == (tmp_path / "a", tmp_path / "b", tmp_path / "c")


async def test_a_request_arrives_whole_and_its_answer_comes_back() -> None:
    replicas = Replicas(DONE)
    response = await _ingress(replicas)(_request((b"x-timeout-ms", b"5000")))
    assert (response.status_code, response.body) == (200, DONE.body)
    assert response.raw_headers == [(b"content-type", b"application/json")], "the proxy adds the id of the request"
    (got,) = replicas.got
    assert (got.method, got.path, got.query, got.body) == ("POST", b"/classify", b"a=b", b'{"text": "x"}')
    assert 0 < int(dict(got.headers)[b"x-timeout-ms"]) <= 5000


@pytest.mark.parametrize(
    "loss",
    [
        RayActorError(),
        ActorUnavailableError("gone", None),
        *(_error(503, error_type) for error_type in ("engine_failed", "unavailable")),
        HttpAnswer(503, (), b'{"error":"A sentence.","error_type":"Backend"}', "engine_failed"),
    ],
)
async def test_a_request_that_was_lost_goes_to_another_replica(loss: Exception | HttpAnswer) -> None:
    replicas = Replicas(loss, loss, DONE)
    assert (await _ingress(replicas)(_request())).body == DONE.body
    first, second, third = replicas.got
    assert first.body == second.body == third.body


async def test_a_request_that_is_lost_again_and_again_is_given_up() -> None:
    replicas = Replicas(*[RayActorError() for _ in range(3)])
    assert _type_of(await _ingress(replicas)(_request()), 503) == "engine_failed"
    assert len(replicas.got) == 3


async def test_a_full_queue_is_the_clients_to_wait_for() -> None:
    full = _error(429, "overloaded", (b"retry-after", b"7"))
    replicas = Replicas(full)
    response = await _ingress(replicas)(_request())
    assert (response.status_code, response.raw_headers) == (429, [(b"retry-after", b"7")])

    replicas = Replicas(BackPressureError(num_queued_requests=9, max_queued_requests=9))
    response = await _ingress(replicas)(_request())
    assert _type_of(response, 429) == "overloaded"
    assert response.headers["retry-after"] == "1"


async def test_a_request_that_was_accepted_once_is_not_refused_later(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    replicas = Replicas(
        RayActorError(),
        _error(429, "overloaded", (b"retry-after", b"7")),
        BackPressureError(num_queued_requests=9, max_queued_requests=9),
        DONE,
    )
    assert (await _ingress(replicas)(_request())).body == DONE.body
    assert slept == [7, 1]


async def test_a_request_whose_time_is_up_is_not_tried_again() -> None:
    async def dies_late(_: HttpRequest) -> HttpAnswer:
        await asyncio.sleep(0.02)
        raise RayActorError

    replicas = Replicas(dies_late, DONE)
    assert _type_of(await _ingress(replicas)(_request((b"x-timeout-ms", b"10"))), 504) == "deadline_exceeded"
    assert len(replicas.got) == 1


async def test_a_replica_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: HttpRequest) -> HttpAnswer:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr("app.ray.serve.GRACE_S", 0.0)
    replicas = Replicas(hangs)
    assert _type_of(await _ingress(replicas)(_request((b"x-timeout-ms", b"10"))), 504) == "deadline_exceeded"
    assert replicas.cancelled == 1


async def test_a_client_that_leaves_takes_its_work_along() -> None:
    begun = asyncio.Event()

    async def hangs(_: HttpRequest) -> HttpAnswer:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    replicas = Replicas(hangs)
    work = asyncio.create_task(_ingress(replicas)(_request()))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert replicas.cancelled == 1


async def test_a_wrong_request_is_refused_before_any_replica_is_asked() -> None:
    ingress = _ingress(Replicas(), max_body_bytes=10)
    assert _type_of(await ingress(_request()), 413) == "body_too_large"
    assert _type_of(await ingress(_request((b"x-timeout-ms", b"soon"))), 422) == "invalid_input"


@pytest.mark.parametrize("headers", [(), ((b"authorization", b"Bearer nagayomi_other"),)])
async def test_without_a_known_key_no_byte_of_the_body_is_held_and_no_replica_is_asked(
    headers: tuple[tuple[bytes, bytes], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hold(*_: Any, **__: Any) -> bytes:
        raise AssertionError("the body is read")

    monkeypatch.setattr("app.ray.serve.read_body", hold)
    response = await _ingress(Replicas(), api_keys=(new_key("web")[1],))(_request(*headers))
    assert _type_of(response, 401) == "unauthorized"
    assert response.headers["www-authenticate"].startswith('Bearer realm="nagayomi"')


@pytest.mark.parametrize(("method", "path", "with_key"), [("POST", "/classify", True), ("GET", "/readyz", False)])
async def test_requests_with_a_key_and_open_paths_are_passed_on(method: str, path: str, with_key: bool) -> None:
    token, entry = new_key("web")
    request = _request(*([(b"x-api-key", token.encode())] if with_key else []))
    request.scope.update(method=method, path=path, raw_path=path.encode())
    assert (await _ingress(Replicas(DONE), api_keys=(entry,))(request)).body == DONE.body


_ORIGIN = (b"origin", b"https://example.jp")


async def test_a_preflight_is_passed_on_without_a_key_and_without_a_body() -> None:
    request = _request(_ORIGIN, (b"access-control-request-method", b"POST"))
    request.scope["method"] = "OPTIONS"
    replicas = Replicas(DONE)
    ingress = _ingress(replicas, api_keys=(new_key("web")[1],), cors_origins=("https://example.jp",))
    assert (await ingress(request)).body == DONE.body
    assert [(got.method, got.body) for got in replicas.got] == [("OPTIONS", b"")]


@pytest.mark.parametrize("headers", [(), ((b"access-control-request-method", b"POST"),)])
async def test_other_options_need_a_key(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    origins = ("https://example.jp",) if not headers else ()
    request = _request(*headers)
    request.scope["method"] = "OPTIONS"
    ingress = _ingress(Replicas(), api_keys=(new_key("web")[1],), cors_origins=origins)
    assert _type_of(await ingress(request), 401) == "unauthorized"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (("https://example.jp",), "https://example.jp", "https://example.jp"),
        (("https://example.jp",), "https://other.jp", None),
        (("*",), "https://other.jp", "*"),
        ((), "https://example.jp", None),
    ],
)
async def test_pages_of_allowed_origins_may_read_the_errors_that_no_replica_gave(
    origins: tuple[str, ...], origin: str, allowed: str | None
) -> None:
    ingress = _ingress(Replicas(), api_keys=(new_key("web")[1],), cors_origins=origins)
    response = await ingress(_request((b"origin", origin.encode())))
    assert _type_of(response, 401) == "unauthorized"
    assert response.headers.get("access-control-allow-origin") == allowed


async def test_a_client_that_leaves_while_it_sends_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    response = await _ingress(Replicas())(Request(_request().scope, leave))
    assert (response.status_code, response.body) == (499, b"")
    assert caplog.records == []


async def test_a_fault_of_ours_is_one_sentence() -> None:
    response = await _ingress(Replicas(ZeroDivisionError("secret")))(_request())
    assert _type_of(response, 500) == "internal"
    assert b"secret" not in response.body


async def test_other_503_are_answers() -> None:
    broken = b'{"error":"A sentence.","error_type":"Backend"}'
    for body, error_type in ((b"no JSON", ""), (b'{"status": "recovering"}', ""), (broken, "broken_model")):
        replicas = Replicas(HttpAnswer(503, (), body, error_type))
        assert (await _ingress(replicas)(_request())).body == body


async def test_a_form_with_files_may_be_larger_than_another_body() -> None:
    form = (b"content-type", b"multipart/form-data; boundary=b")
    replicas = Replicas(DONE)
    ingress = _ingress(replicas, max_body_bytes=10, max_upload_bytes=100)

    assert (await ingress(_request(form, body=b"x" * 50))).status_code == 200
    assert replicas.got[0].body == b"x" * 50
    assert (await ingress(_request(form, body=b"x" * 101))).status_code == 413
    assert (await ingress(_request(body=b"x" * 50))).status_code == 413

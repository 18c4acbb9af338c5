"""What every entrance checks: one table, and one walk over it. A route that the table lacks fails the first test."""

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from starlette.routing import Mount, Route

from app.http.auth import OPEN_PATHS, new_key
from app.jobs import Job, Jobs
from app.main import create_app
from app.settings import Settings
from tests.app.asgi import running

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_BODY_BYTES = 20_000
PARAMETERS = {"name": "hand-classify", "version": "1", "job_id": "none"}

# Bodies that are answered, by path.
_TEXTS = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["上"]}]}
JSON: dict[str, dict[str, Any]] = {
    "/": {"inputs": {"question": "何?", "context": "前。《答え》"}},
    "/qa": {"question": "何?", "context": "前。《答え》"},
    "/summarize": {"text": "重い話。"},
    "/classify": {"text": "上"},
    "/predict": {"inputs": "上"},
    "/v2/models/{name}/infer": _TEXTS,
    "/v2/models/{name}/versions/{version}/infer": _TEXTS,
}
FORMS = ("/extract", "/render", "/qa", "/summarize", "/classify")
READ = (
    *("/", "/docs", "/openapi.json", "/livez", "/readyz", "/health", "/info", "/metrics"),
    *("/qa/health", "/qa/info", "/summarize/health", "/summarize/info", "/classify/health", "/classify/info"),
    *("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/{name}", "/v2/models/{name}/ready"),
    *("/v2/models/{name}/versions/{version}", "/v2/models/{name}/versions/{version}/ready"),
    "/jobs/{job_id}",
)  # fmt: skip
DELETED = ("/jobs/{job_id}",)

_COMPRESSED = {"content": gzip.compress(b'{"text": "a"}')}
# What each JSON entrance refuses: how the request differs from one that is answered, the status, words of the error.
REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({**_COMPRESSED, "headers": {"Content-Encoding": "gzip"}}, 415, "send it without compression."),
    ({"content": b"x", "headers": {"Content-Encoding": "identity, BR"}}, 415, "The body is compressed as 'br'"),
    ({"headers": {"Content-Type": "application/xml"}}, 415, "The body is 'application/xml'; send application/json"),
    (_COMPRESSED, 422, "The body is compressed with gzip"),
    ({"content": b""}, 422, "The body is empty"),
    ({"content": b"\xef\xbb\xbf{}"}, 422, "starts with a byte order mark"),
    ({"content": '{"text": "文"}'.encode("utf-16")}, 422, "is not UTF-8"),
    ({"content": '{"text": "文"}'.encode("cp932")}, 422, "is not UTF-8"),
    ({"content": b'{"a": NaN}'}, 422, "holds NaN"),
    ({"content": b'{"a": 1, "a": 2}'}, 422, "twice in one object"),
    ({"content": b"[1]"}, 422, "not an object"),
    ({"content": b"[" * 9_999}, 422, "nested too deeply"),
    ({"content": b'{"a": 1}'}, 422, "`"),
    ({"content": b" " * MAX_BODY_BYTES + b"{}"}, 413, "larger than 20000 bytes"),
    ({"headers": {"X-Timeout-Ms": "soon"}}, 422, "X-Timeout-Ms must be"),
    ({"params": {"model": ["a", "b"]}}, 422, "names 2 models"),
    ({"params": {"model": "nobody"}}, 404, "No model named 'nobody'"),
]
# Where the path names the model, the query cannot name another.
REFUSED_WITH_NAME = [
    *(row for row in REFUSED if row[1] != 404),
    ({"params": {"model": "nobody"}}, 422, "The path and the query of the address name two models"),
]


def _settings(handmade_models: Path, **more: Any) -> Settings:
    return Settings(
        model_store=handmade_models, intra_op_threads=1, max_body_bytes=MAX_BODY_BYTES, max_upload_bytes=1000, **more
    )


@pytest.fixture(scope="module")
def application(handmade_models: Path) -> FastAPI:
    return create_app(_settings(handmade_models))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(application) as opened:
        yield opened


def _routes(application: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route, those that are not documented as well; HEAD goes with GET."""
    found: list[tuple[str, str]] = []
    waiting = list(application.routes)
    while waiting:
        route = waiting.pop(0)
        if isinstance(route, Route):
            found += [(method, route.path) for method in sorted(route.methods or ()) if method != "HEAD"]
        elif isinstance(route, Mount):
            assert route.path.startswith("/static")
        else:  # what include_router leaves
            waiting += route.original_router.routes  # type: ignore[attr-defined]
    return found


async def test_the_table_names_every_route(application: FastAPI) -> None:
    named = {*(("POST", path) for path in (*JSON, *FORMS)), *(("GET", path) for path in READ)}
    named |= {("DELETE", path) for path in DELETED}
    assert set(_routes(application)) == named


async def test_every_json_entrance_refuses_the_same(client: httpx.AsyncClient) -> None:
    for path, body in JSON.items():
        good: dict[str, Any] = {"content": json.dumps(body).encode()}
        assert (await client.post(path.format(**PARAMETERS), **good)).status_code == 200
        for change, status, words in REFUSED_WITH_NAME if "{name}" in path else REFUSED:
            response = await client.post(path.format(**PARAMETERS), **{**good, **change})
            assert response.status_code == status, (path, change, response.text)
            assert words in response.json()["error"], (path, change)


async def test_every_entrance_takes_the_model_of_the_query(client: httpx.AsyncClient) -> None:
    tasks = {"/": "qa", "/qa": "qa", "/summarize": "summarize"}
    for path, body in JSON.items():
        model = f"hand-{tasks.get(path, 'classify')}"
        response = await client.post(path.format(**PARAMETERS), json=body, params={"model": model})
        assert response.status_code == 200, path
        if path in ("/qa", "/summarize", "/classify"):
            assert (await client.post(f"{path}?model={model}", json={**body, "model": model})).status_code == 200
            refused = await client.post(f"{path}?model=other", json={**body, "model": model})
            assert (refused.status_code, "name two models" in refused.text) == (422, True), path
            file = {"file": ("a.txt", "前。《答え》".encode())}
            question = {"question": "何?"} if path == "/qa" else {}
            in_form = await client.post(f"{path}?model=nobody", files=file, data=question)
            assert (in_form.status_code, "No model named 'nobody'" in in_form.text) == (404, True), path


async def test_every_form_entrance_refuses_the_same(client: httpx.AsyncClient) -> None:
    file = {"file": ("a.txt", b"a")}
    refused: list[tuple[dict[str, Any], int, str]] = [
        ({"files": file, "headers": {"Content-Encoding": "gzip"}}, 415, "send it without compression."),
        ({"files": {"file": ("a.txt", b"a" * 2000)}}, 413, "larger than 1000 bytes"),
        ({"files": {"other": ("a.txt", b"a")}}, 422, "files are sent as `file`"),
        ({"files": file, "data": {"x": "1"}}, 422, "`x` is not a field of this endpoint"),
    ]
    for path in FORMS:
        for request, status, words in refused:
            response = await client.post(path, **request)
            assert response.status_code == status, (path, request, response.text)
            assert words in response.json()["error"], (path, request)


async def test_every_form_entrance_looks_at_the_bytes(client: httpx.AsyncClient) -> None:
    """Bytes that decode as ASCII or as EUC-JP, under any names and types."""
    text = "吾輩は猫である。名前はまだ無い。"
    refused = {b"{\\rtf1\\ansi Neko de aru.}": "an RTF document", b"\x89PNG\r\n\x1a\n\0\0": "a PNG picture"}
    for path in ("/extract", "/qa", "/summarize", "/classify"):
        question = {"question": "何?"} if path == "/qa" else {}
        for data, what in refused.items():
            response = await client.post(path, files={"file": ("a.txt", data, "text/plain")}, data=question)
            assert (response.status_code, what in response.text) == (415, True), (path, response.text)
        for encoding in ("iso2022_jp", "utf-7", "utf-16", "cp932", "euc_jp"):
            file = {"file": ("a.txt", text.encode(encoding), "text/plain")}
            response = await client.post(path, files=file, data=question)
            assert response.status_code == 200, (path, encoding, response.text)
            if path == "/extract":
                assert response.json()["text"] == text, encoding
    html = {"file": ("a.txt", f"<!DOCTYPE html><p>{text}</p>".encode(), "text/plain")}
    assert (await client.post("/extract", files=html)).json()["kind"] == "html"
    half_width = {"file": ("a.txt", "ﾌﾘｺﾐ ﾃｽｳﾘｮｳ".encode("cp932"))}
    assert (await client.post("/extract", files=half_width)).json()["text"] == "ﾌﾘｺﾐ ﾃｽｳﾘｮｳ"


async def test_head_answers_as_get_without_the_body(client: httpx.AsyncClient, application: FastAPI) -> None:
    paths = [path.format(**PARAMETERS) for method, path in _routes(application) if method == "GET"]
    for path in [*paths, "/static/page.css", "/static/nothing", "/nothing"]:
        got, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (got.status_code, b""), path
        changing = {"x-request-id", *(["content-length"] if path == "/metrics" else [])}
        assert _without(head.headers, changing) == _without(got.headers, changing), path


async def test_a_result_of_which_only_the_head_was_asked_for_is_not_fetched(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job(owner="", size=0, state="done", result=b"{}")
    monkeypatch.setattr(Jobs, "find", lambda *_: job)
    assert (await client.head("/jobs/any")).status_code == 200
    assert not job.fetched
    assert (await client.get("/jobs/any")).json()["result"] == {}
    assert job.fetched


def _without(headers: httpx.Headers, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


async def test_a_method_that_is_not_allowed_names_those_that_are(
    client: httpx.AsyncClient, application: FastAPI
) -> None:
    of_path: dict[str, set[str]] = {}
    for method, path in _routes(application):
        of_path.setdefault(path, set()).update({method, "HEAD"} if method == "GET" else {method})
    for path, methods in of_path.items():
        response = await client.request("PATCH", path.format(**PARAMETERS))
        assert response.status_code == 405, path
        assert response.headers["allow"] == ", ".join(sorted(methods)), path
        if "HEAD" not in methods:
            response = await client.head(path.format(**PARAMETERS))
            assert (response.status_code, response.content) == (405, b""), path


async def test_every_entrance_but_the_open_ones_asks_for_a_key(handmade_models: Path) -> None:
    _, entry = new_key("test")
    application = create_app(_settings(handmade_models, api_keys=entry))
    async with running(application) as client:
        for method, path in _routes(application):
            for sent in (method, "HEAD") if method == "GET" else (method,):
                response = await client.request(sent, path.format(**PARAMETERS))
                is_open = method == "GET" and path in OPEN_PATHS
                assert (response.status_code == 401) is not is_open, (sent, path)

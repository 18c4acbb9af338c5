"""The HTTP application in this process, on handmade models: routes, headers and errors."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from app.main import create_app
from app.settings import Settings
from tests.app.asgi import error_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

POSTED = ("/qa", "/summarize", "/classify")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(handmade_models: Path) -> AsyncIterator[httpx.AsyncClient]:
    """One application for all tests: starting its engines takes longer than the tests."""
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_body_bytes=100_000)
    async with running(create_app(settings)) as opened:
        yield opened


async def test_qa(client: httpx.AsyncClient) -> None:
    response = await client.post("/qa", json={"question": ["何?"], "context": "前。《答え》"})
    assert response.status_code == 200
    body = response.json()
    assert list(body) == ["usage", "model", "timings", "results"]
    (result,) = body["results"]
    assert list(result) == ["question", "answers", "null_score", "score_diff"]
    of_files = dict.fromkeys(("document", "page", "heading", "boxes"))
    sentence = {"text": "《答え》", "start": 2, "end": 6}
    assert result["answers"] == [
        {"text": "《答え》", "start": 2, "end": 6, "score": pytest.approx(1, abs=1e-3), "sentence": sentence} | of_files
    ]
    assert response.headers["x-compute-tokens"] == str(body["usage"]["tokens"]) == "11"
    assert float(response.headers["x-total-time"]) == pytest.approx(body["timings"]["total_ms"], abs=0.06)
    for name in ("x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert float(response.headers[name]) >= 0


async def test_summarize_and_classify(client: httpx.AsyncClient) -> None:
    response = await client.post("/summarize", json={"text": "普通。重い。", "max_sentences": 1})
    assert response.json()["summary"] == "重い。"
    assert list(response.json()["sentences"][0]) == [
        *("text", "start", "end", "index", "score", "selected", "cut"),
        *("page", "heading", "boxes"),
    ]
    response = await client.post("/classify", json={"text": "上", "top_k": 1})
    assert response.json()["labels"] == [{"label": "up", "name": None, "score": pytest.approx(0.98, abs=0.01)}]


async def test_a_sentence_without_end_is_cut_and_says_so(client: httpx.AsyncClient) -> None:
    response = await client.post("/summarize", json={"text": "重い、" * 400, "max_sentences": 1})
    sentences = response.json()["sentences"]
    assert [(one["start"], one["end"], one["cut"]) for one in sentences] == [
        *((0, 498, True), (498, 996, True)),
        (996, 1200, False),
    ]


async def test_content_type_does_not_matter(client: httpx.AsyncClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        headers = {"Content-Type": content_type}
        response = await client.post("/classify", content='{"text": "上"}'.encode(), headers=headers)
        assert response.status_code == 200


async def test_request_ids(client: httpx.AsyncClient) -> None:
    response = await client.get("/livez", headers={"X-Request-Id": "mine-1"})
    assert response.headers["x-request-id"] == "mine-1"
    made = {
        (await client.get("/livez", headers={"X-Request-Id": bad})).headers["x-request-id"]
        for bad in (
            "",
            "a b",
            "x" * 129,
            '"',
            "\x7f",
        )
    }
    assert len(made) == 5
    assert all(len(name) == 32 for name in made)


@pytest.mark.parametrize("path", POSTED)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[]", b'{"text": "\\ud800"}', b'{"a": NaN}', b"[" * 99_999, b"{}"]
)
async def test_bad_bodies(client: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await client.post(path, content=body)
    error_of(response, 422, response.json()["error_type"])
    assert response.json()["error_type"] in ("malformed_body", "invalid_input")


async def test_names_from_the_request_cannot_break_the_error(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", content=b'{"text": "\xe4\xb8\x8a", "\\ud800": 1}')
    assert "A name in the body holds a lone surrogate" in error_of(response, 422, "malformed_body")
    response = await client.post("/classify", content=b'{"text": "\xe4\xb8\x8a", "\\u0000\\n<b>": 1}')
    assert "is not a field of this endpoint" in error_of(response, 422, "invalid_input")


async def test_unknown_models_paths_and_methods(client: httpx.AsyncClient) -> None:
    response = await client.post("/qa", json={"question": "何?", "context": "文", "model": "x"})
    assert "Models for qa: hand-qa." in error_of(response, 404, "model_not_found")
    error_of(await client.get("/nothing"), 404, "not_found")
    error_of(await client.get("/qa/"), 404, "not_found")
    error_of(await client.get("/static/nothing.js"), 404, "not_found")
    response = await client.get("/qa")
    assert "GET is not allowed at this path; allowed: POST." in error_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    for path, allowed in (("/", "GET, HEAD, POST"), ("/docs", "GET, HEAD"), ("/static/page.css", "GET, HEAD")):
        response = await client.delete(path)
        words = f"DELETE is not allowed at this path; allowed: {allowed}."
        assert words in error_of(response, 405, "method_not_allowed")
        assert response.headers["allow"] == allowed


async def test_body_limit(client: httpx.AsyncClient) -> None:
    body = json.dumps({"text": "あ" * 200_000}).encode()

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    for path in POSTED:
        assert "larger than 100000 bytes" in error_of(await client.post(path, content=body), 413, "body_too_large")
        error_of(await client.post(path, content=in_pieces()), 413, "body_too_large")
    exactly = b'{"text": "\xe4\xb8\x8a"' + b" " * 99_984 + b"}"
    assert len(exactly) == 100_000 - 1
    assert (await client.post("/classify", content=exactly)).status_code == 200
    response = await client.post("/classify", content=exactly + b"  ")
    error_of(response, 413, "body_too_large")


async def test_the_unforeseen_is_a_plain_500(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("app.service.Service.answer", fails)
    with caplog.at_level(logging.ERROR, "nagayomi"):
        response = await client.post("/classify", json={"text": "上"}, headers={"X-Request-Id": "r1"})
    assert "secret" not in error_of(response, 500, "internal")
    (record,) = caplog.records
    assert "r1" in record.getMessage()
    assert record.exc_info is not None, "the trace is in the log"


async def test_documentation(client: httpx.AsyncClient) -> None:
    assert (await client.get("/docs")).status_code == 200
    document = (await client.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    for path in POSTED:
        operation = document["paths"][path]["post"]
        content = operation["requestBody"]["content"]
        own, documents, hugging_face = (
            schemas[option["$ref"].rpartition("/")[2]] for option in content["application/json"]["schema"]["anyOf"]
        )
        assert "model" in own["properties"]
        assert "documents" in documents["properties"]
        form = schemas[content["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]]
        assert form["properties"].keys() == documents["properties"].keys() - {"documents"} | {"file"}
        assert "inputs" in hugging_face["properties"]
        assert [parameter["name"] for parameter in operation["parameters"]] == ["X-Timeout-Ms", "Prefer"]
        refused = {"401", "404", "408", "413", "415", "422", "429", "503", "504"}
        assert set(operation["responses"]) == {"200", "202"} | refused
        for status, answer in operation["responses"].items():
            if status in refused:
                assert answer["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")
    assert "HTTPValidationError" not in json.dumps(document), "FastAPI's own format is never sent"

"""The HTTP application in this process, on handmade models: routes, headers, errors, and the life of the process."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

import app.service
from app.main import create_app
from app.settings import Settings
from app.store import Store, load_store
from tests.app.asgi import error_of, running, scope

POSTED = ("/qa", "/summarize", "/classify")


@pytest.fixture
def settings(handmade_models: Path) -> Settings:
    return Settings(model_store=handmade_models, intra_op_threads=1, max_body_bytes=100_000)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
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
    assert "GET is not allowed at this path; allowed is POST." in error_of(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    for path, allowed in (("/", "GET, HEAD, POST"), ("/docs", "GET, HEAD"), ("/static/page.css", "GET, HEAD")):
        response = await client.delete(path)
        words = f"DELETE is not allowed at this path; allowed is {allowed}."
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


async def test_a_client_that_waits_for_100_continue_is_refused_before_it_sends(settings: Settings) -> None:
    """Expect: 100-continue: reading the body would ask for it."""
    application = create_app(settings)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("the body must not be asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    async with running(application):
        headers = [(b"content-length", b"999999999999"), (b"expect", b"100-continue")]
        await application(scope("/qa", headers), receive, send)
    assert sent[0]["status"] == 413


async def test_a_client_that_leaves_cancels_its_work(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def forever(*_: object) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr("app.service.Service.answer", forever)
    messages = [{"type": "http.request", "body": '{"text": "上"}'.encode(), "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await started.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    application = create_app(settings)
    async with running(application) as client:
        await application(scope("/classify", []), receive, send)
        assert cancelled.is_set()
        metrics = (await client.get("/metrics")).text
        assert 'nagayomi_requests_total{endpoint="/classify",key="",status="499"} 1.0' in metrics


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


async def test_a_client_says_how_long_it_waits(settings: Settings) -> None:
    application = create_app(settings)
    async with running(application) as client:
        pid = application.state.service.store.models["hand-classify"].engine.pid
        os.kill(pid, signal.SIGSTOP)
        response = await client.post("/classify", json={"text": "上"}, headers={"X-Timeout-Ms": "50"})
        assert "not answered within 0.05 seconds" in error_of(response, 504, "deadline_exceeded")
        os.kill(pid, signal.SIGCONT)
        response = await client.post("/classify", json={"text": "上"}, headers={"X-Timeout-Ms": "60000"})
        assert response.status_code == 200
        response = await client.post("/classify", json={"text": "上"}, headers={"X-Timeout-Ms": "soon"})
        assert "X-Timeout-Ms must be a whole number" in error_of(response, 422, "invalid_input")


@pytest.mark.parametrize("path", POSTED)
async def test_a_body_that_does_not_come(settings: Settings, path: str) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    application = create_app(settings.model_copy(update={"body_timeout_s": 0.05}))
    async with running(application):
        await application(scope(path, [(b"content-length", b"10")]), receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]
    assert b"did not arrive within 0.05 seconds" in sent[1]["body"]


async def test_overload_is_429_with_retry_after(settings: Settings) -> None:
    small = settings.model_copy(update={"max_queue_tokens": 32, "max_batch_tokens": 16})
    application = create_app(small)
    async with running(application) as client:
        pid = application.state.service.store.models["hand-classify"].engine.pid
        os.kill(pid, signal.SIGSTOP)
        requests = [asyncio.create_task(client.post("/classify", json={"text": "上"})) for _ in range(8)]
        done, _ = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        response = next(iter(done)).result()
        assert "32 may wait" in error_of(response, 429, "overloaded")
        assert int(response.headers["retry-after"]) >= 1
        os.kill(pid, signal.SIGCONT)
        statuses = sorted([(await request).status_code for request in requests])
        # At least those that may wait are answered; how many came before the engine went on is a matter of chance.
        assert statuses.count(200) >= 2
        assert set(statuses) == {200, 429}


async def test_liveness_and_readiness_while_loading(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    async def slowly(*arguments: Any) -> Store:
        await release.wait()
        return await load_store(*arguments)

    monkeypatch.setattr(app.service, "load_store", slowly)
    async with running(create_app(settings), wait=False) as client:
        assert (await client.get("/livez")).status_code == 200
        for path in ("/readyz", "/health"):
            response = await client.get(path)
            assert (response.status_code, response.json()["status"]) == (503, "loading")
        assert "being loaded" in error_of(await client.post("/classify", json={"text": "上"}), 503, "unavailable")
        release.set()
        while (await client.get("/readyz")).status_code == 503:
            await asyncio.sleep(0.01)
        response = await client.get("/health")
        assert response.json() == {
            "status": "ready",
            "models": ["hand-classify", "hand-qa", "hand-summarize"],
            "broken": [],
            "reason": None,
        }
        assert (await client.post("/classify", json={"text": "上"})).status_code == 200


async def test_no_model_is_not_ready_but_alive(
    settings: Settings, handmade_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for manifest in handmade_store.glob("*/manifest.json"):
        manifest.write_text("{}", encoding="utf-8")
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        async with running(create_app(settings.model_copy(update={"model_store": handmade_store}))) as client:
            response = await client.get("/readyz")
            assert (response.status_code, response.json()["status"]) == (503, "failed")
            assert len(response.json()["broken"]) == 3
            assert "No model could be loaded" in response.json()["reason"]
            assert (await client.get("/livez")).status_code == 200
            error_of(await client.post("/classify", json={"text": "上"}), 503, "unavailable")
            assert (await client.get("/info")).json()["models"] == []


async def test_info(settings: Settings, handmade_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    (handmade_store / "hand-qa" / "tokenizer.json").unlink()
    (handmade_store / ".hidden").mkdir()
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        async with running(create_app(settings.model_copy(update={"model_store": handmade_store}))) as client:
            info = (await client.get("/info")).json()
            assert (await client.get("/readyz")).status_code == 200
    assert [model["name"] for model in info["models"]] == ["hand-classify", "hand-summarize"]
    assert info["models"][0]["labels"] == ["up", "down"]
    assert info["models"][0]["provider"] == "cpu"
    (broken,) = info["broken"]
    assert broken["name"] == "hand-qa"
    assert "tokenizer.json is missing" in broken["reason"]
    assert info["limits"]["max_body_bytes"] == 100_000
    assert info["version"]


async def test_metrics_count_what_was_sent(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        await client.post("/classify", json={"text": "上"})
    await client.post("/classify", json={})
    await client.get("/made-up")
    await client.get("/made-up-too")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }

    def requests(endpoint: str, status: str) -> float:
        return samples["nagayomi_requests_total", (("endpoint", endpoint), ("key", ""), ("status", status))]

    assert requests("/classify", "200") == 3
    assert requests("/classify", "422") == 1
    assert requests("other", "404") == 2
    assert samples["nagayomi_stage_seconds_count", (("stage", "infer"), ("task", "classify"))] == 3
    assert samples["nagayomi_models", (("state", "served"),)] == 3


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


def test_the_service_needs_neither_torch_nor_ray() -> None:
    check = (
        "import sys, app.main, app.cli, app.bulk.command\n"
        "heavy = {'torch', 'transformers', 'onnx', 'optimum', 'sklearn', 'export', 'training', 'bench',\n"
        " 'ray', 'pyarrow', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

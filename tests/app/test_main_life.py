"""The life of the HTTP application on handmade models: start, limits, clients that wait or leave, and metrics."""

import asyncio
import logging
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import app.lifecycle
from app.main import create_app
from app.settings import Settings
from app.store import Store, load_store
from tests.app.asgi import error_of, running, scope

POSTED = ("/qa", "/summarize", "/classify")


@pytest.fixture
def settings(handmade_models: Path) -> Settings:
    return Settings(model_store=handmade_models, intra_op_threads=1, max_body_bytes=100_000)


async def test_a_client_that_waits_for_100_continue_is_refused_before_it_sends(settings: Settings) -> None:
    """With `Expect: 100-continue`, reading the body would make the client send it."""
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

    monkeypatch.setattr(app.lifecycle, "load_store", slowly)
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


async def test_metrics_count_what_was_sent(settings: Settings) -> None:
    async with running(create_app(settings)) as client:
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

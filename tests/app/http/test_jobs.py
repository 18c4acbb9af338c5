"""Long work over HTTP: started, followed, fetched and cancelled, by its owner alone."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.http.auth import new_key
from app.jobs import Job, Jobs
from app.main import create_app
from app.settings import Settings
from tests.app.asgi import engines_held, error_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = {name: new_key(name) for name in ("one", "two")}
ONE, TWO = ({"Authorization": f"Bearer {KEYS[name][0]}"} for name in ("one", "two"))
ASYNC = ONE | {"Prefer": "wait=5, Respond-Async"}
LONG = {"text": "上" * 1000}  # several windows
SMALLEST = 60  # bytes


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(handmade_models: Path) -> FastAPI:
    settings = Settings(
        model_store=handmade_models,
        models=("hand-classify",),
        intra_op_threads=1,
        max_batch_tokens=256,
        max_key_jobs=8,
        min_job_bytes=SMALLEST,
        api_keys=tuple(entry for _, entry in KEYS.values()),
    )
    return create_app(settings)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with running(application) as opened:
        yield opened


async def over(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    while job["status"] == "running":
        await asyncio.sleep(0.02)
        job = (await client.get(f"/jobs/{job['id']}", headers=ONE)).json()
    return job


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        if not block.startswith(":"):
            event, data = block.split("\n")
            found.append((event.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_a_job_is_accepted_and_gives_what_the_endpoint_answers(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", json=LONG, headers=ASYNC)
    job = response.json()

    assert response.status_code == 202
    assert response.headers["location"] == f"/jobs/{job['id']}"
    assert response.headers["preference-applied"] == "respond-async"
    assert job == {
        **{"id": job["id"], "status": "running", "windows": None, "windows_done": 0},
        **{"error": None, "result": None},
    }
    done = await over(client, job)
    answered = (await client.post("/classify", json=LONG, headers=ONE)).json()
    assert done["result"].pop("timings").keys() == answered.pop("timings").keys()
    windows = answered["usage"]["windows"]
    assert windows > 4
    assert done == {
        **{"id": job["id"], "status": "done", "windows": windows, "windows_done": windows},
        **{"error": None, "result": answered},
    }


@pytest.mark.parametrize(("size", "status"), [(SMALLEST - 1, 200), (SMALLEST, 202)])
async def test_little_to_read_is_answered_at_once(client: httpx.AsyncClient, size: int, status: int) -> None:
    body = json.dumps({"text": "下"}, ensure_ascii=False).encode().ljust(size)
    file = {"file": ("a.txt", "下。".encode().ljust(size))}

    in_json = await client.post("/classify", content=body, headers=ASYNC | {"Content-Type": "application/json"})
    in_form = await client.post("/classify", files=file, headers=ASYNC)

    applied = {200: None, 202: "respond-async"}[status]
    assert [(r.status_code, r.headers.get("preference-applied")) for r in (in_json, in_form)] == [(status, applied)] * 2


async def test_files_can_be_read_by_a_job(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", files={"file": ("a.txt", "下。".encode().ljust(SMALLEST))}, headers=ASYNC)

    done = await over(client, response.json())
    assert done["result"]["results"][0]["labels"][0]["label"] == "down"


async def test_progress_comes_as_events_in_windows(client: httpx.AsyncClient, application: FastAPI) -> None:
    with engines_held(application) as let_go:
        job = (await client.post("/classify", json=LONG, headers=ASYNC)).json()
        following = asyncio.create_task(client.get(f"/jobs/{job['id']}", headers=ONE | {"Accept": "text/event-stream"}))
        await asyncio.sleep(0.1)
        let_go()
        response = await following
    events = events_of(response.text)

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-accel-buffering"] == "no"  # nginx would hold small events back
    assert {name for name, _ in events[:-1]} == {"progress"}
    assert events[-1][0] == "done"
    assert events[-1][1] == (await client.get(f"/jobs/{job['id']}", headers=ONE)).json()
    done = [data["windows_done"] for _, data in events]
    assert done == sorted(done)
    assert done[-1] == events[-1][1]["windows"] > 1


@pytest.mark.parametrize(("method", "fetched"), [("HEAD", False), ("GET", True)])
async def test_only_a_response_with_a_body_gives_the_result_as_events(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, method: str, fetched: bool
) -> None:
    job = await over(client, (await client.post("/classify", json=LONG, headers=ASYNC)).json())
    found: list[Job] = []
    find = Jobs.find

    def noted(jobs: Jobs, owner: str, job_id: str) -> Job:
        found.append(find(jobs, owner, job_id))
        return found[-1]

    monkeypatch.setattr(Jobs, "find", noted)
    await client.head(f"/jobs/{job['id']}", headers=ONE)
    (kept,) = found
    kept.fetched = False
    response = await client.request(method, f"/jobs/{job['id']}", headers=ONE | {"Accept": "text/event-stream"})

    assert response.headers["content-type"].startswith("text/event-stream")
    assert kept.fetched == fetched


async def test_a_job_is_cancelled_and_forgotten(client: httpx.AsyncClient, application: FastAPI) -> None:
    with engines_held(application):
        job = (await client.post("/classify", json=LONG, headers=ASYNC)).json()
        following = asyncio.create_task(client.get(f"/jobs/{job['id']}", headers=ONE | {"Accept": "text/event-stream"}))
        await asyncio.sleep(0.1)
        response = await client.delete(f"/jobs/{job['id']}", headers=ONE)
        assert (response.status_code, response.content) == (204, b"")
        assert events_of((await following).text)[-1][0] == "cancelled"
        error_of(await client.get(f"/jobs/{job['id']}", headers=ONE), 404, "job_not_found")
        assert application.state.service._batchers["hand-classify"].queued_tokens == 0


async def test_a_job_belongs_to_its_owner_alone(client: httpx.AsyncClient) -> None:
    job = (await client.post("/classify", json=LONG, headers=ASYNC)).json()

    for method in ("GET", "DELETE"):
        response = await client.request(method, f"/jobs/{job['id']}", headers=TWO)
        assert "There is no such job" in error_of(response, 404, "job_not_found")
        error_of(await client.request(method, f"/jobs/{job['id']}"), 401, "unauthorized")
    assert (await over(client, job))["status"] == "done"


async def test_a_job_that_fails_says_why(client: httpx.AsyncClient) -> None:
    picture = b"\x89PNG\r\n\x1a\n".ljust(SMALLEST, b"\0")
    response = await client.post("/classify", files={"file": ("a.png", picture)}, headers=ASYNC)

    failed = await over(client, response.json())
    assert (failed["status"], failed["result"]) == ("failed", None)
    assert failed["error"]["error_type"] == "unsupported_file"
    assert failed["error"]["error"].startswith("a.png: The file is a PNG picture")


async def test_a_request_that_is_not_valid_makes_no_job(client: httpx.AsyncClient) -> None:
    error_of(await client.post("/classify", json={"text": " " * SMALLEST}, headers=ASYNC), 422, "invalid_input")


async def test_a_job_has_the_time_that_the_client_says(client: httpx.AsyncClient, application: FastAPI) -> None:
    with engines_held(application):
        job = (await client.post("/classify", json=LONG, headers=ASYNC | {"X-Timeout-Ms": "50"})).json()
        assert (await over(client, job))["error"]["error_type"] == "deadline_exceeded"


async def test_what_no_job_can_do_is_refused_at_once(client: httpx.AsyncClient) -> None:
    response = await client.post("/classify", json=LONG | {"model": "typo"}, headers=ASYNC)
    assert "No model named 'typo'" in error_of(response, 404, "model_not_found")
    response = await client.post("/classify", json={"text": "上" * 400_000}, headers=ASYNC)
    assert "300000 are allowed together" in error_of(response, 413, "request_too_large")


async def test_jobs_are_counted(client: httpx.AsyncClient, application: FastAPI) -> None:
    with engines_held(application):
        before = (await client.get("/metrics", headers=ONE)).text
        job = (await client.post("/classify", json=LONG, headers=ASYNC)).json()
        after = (await client.get("/metrics", headers=ONE)).text
        await client.delete(f"/jobs/{job['id']}", headers=ONE)
    assert 'nagayomi_jobs{state="running"} 0.0' in before
    assert 'nagayomi_jobs{state="running"} 1.0' in after


@pytest.mark.parametrize(
    ("timeout_ms", "state", "error_type"), [("60000", "done", ""), ("1", "failed", "deadline_exceeded")]
)
async def test_a_job_that_is_over_is_counted_and_logged(
    timeout_ms: str,
    state: str,
    error_type: str,
    client: httpx.AsyncClient,
    application: FastAPI,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def finished() -> float:
        labels = {"state": state, "error_type": error_type}
        found = application.state.service.telemetry.registry.get_sample_value("nagayomi_jobs_finished_total", labels)
        return found or 0.0

    before = finished()
    with caplog.at_level(logging.INFO, "nagayomi"):
        job = (await client.post("/classify", json=LONG, headers=ASYNC | {"X-Timeout-Ms": timeout_ms})).json()
        ended = await over(client, job)
    assert finished() == before + 1
    (line,) = [record for record in caplog.records if record.getMessage().startswith("job ")]
    tokens = ended["result"]["usage"]["tokens"] if state == "done" else None
    names = ("job", "state", "error_type", "tokens", "key")
    expected = (job["id"], state, error_type or None, tokens, "one")
    assert tuple(getattr(line, name, None) for name in names) == expected


async def test_a_key_has_so_many_jobs_and_no_more(client: httpx.AsyncClient, application: FastAPI) -> None:
    with engines_held(application):
        responses = [await client.post("/classify", json=LONG, headers=TWO | ASYNC | TWO) for _ in range(9)]
        assert "The key two has 8 jobs" in error_of(responses.pop(), 429, "overloaded")
        for response in responses:
            await client.delete(response.headers["location"], headers=TWO)


async def test_a_server_without_jobs_answers_as_if_not_asked(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models, models=("hand-classify",), intra_op_threads=1, max_jobs=0)
    async with running(create_app(settings)) as client:
        response = await client.post("/classify", json={"text": "上"}, headers={"Prefer": "respond-async"})
        assert (response.status_code, response.json()["labels"][0]["label"]) == (200, "up")
        assert "preference-applied" not in response.headers
        error_of(await client.get("/jobs/x"), 404, "not_found")

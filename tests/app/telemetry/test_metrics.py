"""The clock of a request's stages, in virtual time, and metrics that equal the client's counts."""

import asyncio
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.http.auth import new_key
from app.main import create_app
from app.schemas import Timings
from app.settings import Settings
from app.telemetry.metrics import Telemetry
from app.telemetry.request_context import RequestContext, StageClock
from tests.app.asgi import engines_held, error_of, running

Samples = dict[str, dict[tuple[str, ...], float]]
STAGES = ("tokenize", "queue", "infer", "decode")


def test_stages_add_up() -> None:
    now = 0.0
    clock = StageClock(lambda: now)
    now = 1.0
    clock.lap("tokenize")
    now = 4.5
    clock.ran(queue_s=2.0, infer_s=1.0)  # half a second was the way there and back
    now = 5.0
    clock.lap("decode")
    timings = clock.timings()
    assert timings.model_dump() == {
        "tokenize_ms": 1000, "queue_ms": 2000, "infer_ms": 1000, "decode_ms": 500, "total_ms": 5000,
    }  # fmt: skip


def samples(exposition: str) -> Samples:
    """Values by name of the sample and values of its labels, these in the order of their names."""
    read: Samples = defaultdict(dict)
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            read[sample.name][tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return read


class Counts:
    """A client's counts of its responses."""

    ENDPOINTS = ("/qa", "/summarize", "/classify", "/readyz", "/livez", "/info")

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names  # of keys, by token
        self.requests: Counter[tuple[str, ...]] = Counter()
        self.errors: Counter[tuple[str, ...]] = Counter()
        self.reads: Counter[tuple[str, ...]] = Counter()
        self.tokens: Counter[tuple[str, ...]] = Counter()
        self.windows: Counter[tuple[str, ...]] = Counter()
        self.stage_ms: dict[tuple[str, ...], float] = defaultdict(float)

    async def see(self, response: httpx.Response) -> None:
        await response.aread()
        path = response.request.url.path
        endpoint = path if path in self.ENDPOINTS else "other"
        needs_none = endpoint in ("/readyz", "/livez")
        key = "" if needs_none else self._names.get(response.request.headers.get("x-api-key", ""), "")
        self.requests[endpoint, key, str(response.status_code)] += 1
        body = response.json() if response.headers["content-type"] == "application/json" else {}
        if "error_type" in body:
            self.errors[endpoint, body["error_type"]] += 1
        if "usage" in body:
            task = path.removeprefix("/")
            self.reads[(task,)] += 1
            self.tokens[(task,)] += body["usage"]["tokens"]
            self.windows[(task,)] += body["usage"]["windows"]
            for stage in STAGES:
                self.stage_ms[stage, task] += body["timings"][f"{stage}_ms"]


LOAD: list[tuple[str, str, bytes | dict[str, Any], str]] = [
    *[("POST", "/qa", {"question": "何?", "context": "前。《答え》"}, "web")] * 5,
    *[("POST", "/qa", {"question": ["何?", "誰?"], "context": "あ" * 700}, "batch")] * 3,  # windows
    *[("POST", "/classify", {"text": "上"}, "web")] * 7,
    *[("POST", "/summarize", {"text": "普通。重い。" * 100}, "batch")] * 2,
    ("POST", "/classify", {"text": "上"}, "nobody"),
    ("POST", "/qa", {}, ""),
    ("POST", "/qa", {}, "web"),
    ("POST", "/qa", b"{", "batch"),
    ("POST", "/summarize", b"x" * 20_000, "web"),
    ("POST", "/classify", {"text": "上", "model": "none"}, "web"),
    ("GET", "/qa", b"", "web"),
    ("GET", "/made-up", b"", "web"),
    ("GET", "/made-up-too", b"", ""),
    ("GET", "/info", b"", "batch"),
    ("GET", "/livez", b"", "web"),
]


async def test_every_metric_equals_what_the_client_counted(handmade_models: Path) -> None:
    (web, web_entry), (batch, batch_entry) = new_key("web"), new_key("batch")
    settings = Settings(
        model_store=handmade_models, intra_op_threads=1, max_body_bytes=10_000, api_keys=(web_entry, batch_entry)
    )
    counts = Counts({web: "web", batch: "batch"})
    tokens = {"web": web, "batch": batch, "nobody": "nobody"}
    async with running(create_app(settings), hooks=[counts.see]) as client:

        async def send(method: str, path: str, body: bytes | dict[str, Any], who: str) -> None:
            headers = {"X-API-Key": tokens[who]} if who else {}
            content = {"content": body} if isinstance(body, bytes) else {"json": body}
            await client.request(method, path, headers=headers, **content)

        await asyncio.gather(*(send(*request) for request in LOAD))
        seen = counts.requests.copy()  # without the request for the metrics itself
        metrics = samples((await client.get("/metrics", headers={"X-API-Key": web})).text)  # seen as "other" there

    assert metrics["nagayomi_requests_total"] == seen
    assert metrics["nagayomi_errors_total"] == counts.errors
    assert set(counts.errors.values()) != {0}
    by_endpoint: Counter[tuple[str, ...]] = Counter()
    for (endpoint, _, _), number in seen.items():
        by_endpoint[(endpoint,)] += number
    assert metrics["nagayomi_request_seconds_count"] == by_endpoint
    assert metrics["nagayomi_tokens_total"] == counts.tokens
    assert metrics["nagayomi_windows_total"] == counts.windows
    assert metrics["nagayomi_stage_seconds_count"] == {
        (stage, task): number for (task,), number in counts.reads.items() for stage in STAGES
    }
    assert metrics["nagayomi_stage_seconds_sum"] == {
        labels: pytest.approx(milliseconds / 1000) for labels, milliseconds in counts.stage_ms.items()
    }

    by_model = {(f"hand-{task}",): number for (task,), number in counts.windows.items()}
    assert metrics["nagayomi_batch_documents_sum"] == by_model, "every window ran once"
    computed, padding = metrics["nagayomi_batch_tokens_sum"], metrics["nagayomi_padding_tokens_total"]
    assert {model: computed[model] - padding[model] for model in computed} == {
        (f"hand-{task}",): number for (task,), number in counts.tokens.items()
    }
    batches = metrics["nagayomi_batches_total"]
    assert set(batches) == {(model, "ok") for (model,) in by_model}
    for name in ("tokens", "documents", "seconds"):
        count = metrics[f"nagayomi_batch_{name}_count"]
        assert count == {(model,): number for (model, _), number in batches.items()}

    for name in ("tokens", "requests"):
        assert metrics[f"nagayomi_queue_{name}"] == dict.fromkeys(by_model, 0)
    assert metrics["nagayomi_key_requests"] == {("web",): 1, ("batch",): 0}, "the request for the metrics itself"
    assert metrics["nagayomi_key_tokens"] == {("web",): 0, ("batch",): 0}
    assert metrics["nagayomi_ready"] == {(): 1}
    assert metrics["nagayomi_models"] == {("served",): 3, ("broken",): 0}
    assert set(metrics["nagayomi_model_load_seconds"]) == set(by_model)
    assert min(metrics["nagayomi_model_load_seconds"].values()) > 0
    assert metrics["process_resident_memory_bytes"][()] > 0
    for name in ("nagayomi_engine_resident_memory_bytes", "nagayomi_engine_cpu_seconds_total"):
        assert set(metrics[name]) == set(by_model)
        assert min(metrics[name].values()) > 0


async def test_what_waits_is_seen(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, max_batch_tokens=16)
    application = create_app(settings)
    async with running(application) as client:
        with engines_held(application) as release:
            requests = [asyncio.create_task(client.post("/classify", json={"text": "上" * 60})) for _ in range(4)]
            waiting = 0.0
            while waiting < 2:  # the others are with the engine
                metrics = samples((await client.get("/metrics")).text)
                waiting = metrics["nagayomi_queue_requests"]["hand-classify",]
                await asyncio.sleep(0.01)
            assert metrics["nagayomi_queue_tokens"]["hand-classify",] == waiting * 64
            release()
            assert [(await request).status_code for request in requests] == [200] * 4
        metrics = samples((await client.get("/metrics")).text)
        assert metrics["nagayomi_queue_requests"]["hand-classify",] == 0
        assert metrics["nagayomi_queue_tokens"]["hand-classify",] == 0


async def test_what_expires_is_counted(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, request_timeout_s=0.2)
    application = create_app(settings)
    async with running(application) as client:
        with engines_held(application):
            error_of(await client.post("/classify", json={"text": "上"}), 504, "deadline_exceeded")
        metrics = samples((await client.get("/metrics")).text)
        assert metrics["nagayomi_errors_total"] == {("/classify", "deadline_exceeded"): 1}
        assert metrics["nagayomi_tokens_total"] == {}


def test_the_longest_request_and_the_longest_job_have_a_bucket() -> None:
    settings = Settings()
    telemetry = Telemetry()
    telemetry.over(RequestContext("id", "POST", seconds=settings.max_request_timeout_s))
    telemetry.request(
        "qa", Timings(tokenize_ms=0, queue_ms=1000 * settings.job_timeout_s, infer_ms=0, decode_ms=0, total_ms=0), 1, 1
    )
    in_largest = telemetry.registry.get_sample_value
    labels = {"task": "qa", "stage": "queue", "le": "3600.0"}
    assert in_largest("nagayomi_request_seconds_bucket", {"endpoint": "other", "le": "600.0"}) == 1
    assert in_largest("nagayomi_stage_seconds_bucket", labels) == 1

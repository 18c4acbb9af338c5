"""Text Embeddings Inference: shapes of `/predict`, names of its errors, and the model's fields in `/info`."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.process import Engine
from app.errors import EngineFailed, NagayomiError, Overloaded, Unavailable
from app.http.compat.tei import error_type, model_info
from app.main import create_app
from app.manifest import Graph, Manifest
from app.service import Service
from app.settings import Settings
from app.store import Model, ThreadTokenizers
from tests.app.asgi import error_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

UP = [
    {"score": pytest.approx(0.98, abs=0.01), "label": "up"},
    {"score": pytest.approx(0.02, abs=0.01), "label": "down"},
]


@pytest.mark.parametrize(
    ("inputs", "answer"),
    [
        ("上", UP),
        (["上"], UP),
        (["上", "下"], UP),
        ([["上"]], [UP]),
        ([["上"], ["上", "下"]], [UP, UP]),
    ],
)
async def test_shapes(client: httpx.AsyncClient, inputs: Any, answer: Any) -> None:
    response = await client.post("/predict", json={"inputs": inputs, "truncate": True, "raw_scores": False})
    assert response.status_code == 200, response.text
    assert response.json() == answer
    for name in ("x-compute-tokens", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"):
        assert float(response.headers[name]) >= 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`inputs` is missing."),
        ({"inputs": []}, "`inputs` must be a list of one text or two texts; a batch is a list of such lists"),
        ({"inputs": ["a", "b", "c"]}, "`inputs` must be a list of one text or two texts;"),
        ({"inputs": [["a"], []]}, "`inputs`[1] must be a list of one text or two"),
        ({"inputs": [["a"], "b"]}, "`inputs`[1] must be a list of one text or two"),
        ({"inputs": ["a", ["b"]]}, "`inputs`[1] must be a valid string."),
        ({"inputs": [["a"], ["b", " "]]}, "`inputs`[1][1] must hold at least one character"),
        ({"inputs": [["a"], ["\u200b"]]}, "Member 1 of the batch, counted from 0: `text` holds only invisible"),
        ({"inputs": [["a"], *[1] * 4]}, "The request holds 5 texts; from 1 to 4 are allowed at once."),
        ({"inputs": [["a"]] * 5}, "The request holds 5 texts; from 1 to 4 are allowed at once."),
        ({"inputs": "a", "raw_scores": True}, "`raw_scores` must be false."),
        ({"inputs": "a", "raw_scores": 0}, "`raw_scores` must be a valid boolean."),
        ({"inputs": "a", "top_k": 1}, "`top_k` is not a field of this endpoint; allowed are inputs, truncate,"),
    ],
)
async def test_wrong_requests_are_refused(client: httpx.AsyncClient, body: dict[str, Any], words: str) -> None:
    assert words in error_of(await client.post("/predict", json=body), 422, "Validation")


async def test_other_errors_have_the_names_that_its_clients_know(client: httpx.AsyncClient) -> None:
    error_of(await client.post("/predict", content=b"{"), 422, "Validation")
    error_of(await client.post("/predict", content=json.dumps({"inputs": "上" * 5_001})), 413, "Validation")
    error_of(await client.post("/predict?model=other", json={"inputs": "上"}), 404, "Backend")


@pytest.mark.parametrize(
    ("error", "name"),
    [(Overloaded("Full.", 1), "Overloaded"), (Unavailable("Loading."), "Unhealthy"), (EngineFailed("No."), "Backend")],
)
async def test_names_of_faults(error: NagayomiError, name: str) -> None:
    assert error_type(error) == name


async def test_info(client: httpx.AsyncClient) -> None:
    info = (await client.get("/info")).json()
    expected = {
        "model_id": "hand-classify",
        "model_sha": None,
        "model_dtype": "fp32",
        "model_type": {"classifier": {"id2label": {"0": "up", "1": "down"}, "label2id": {"up": 0, "down": 1}}},
        "max_input_length": 256,
        "max_batch_tokens": 4096,
        "max_client_batch_size": 4,
        "max_batch_requests": None,
        "auto_truncate": False,
        "tokenization_workers": 2,
    }
    assert {name: info[name] for name in expected} == expected
    assert len(info["models"]) == 3, "our own keys are there as before"


async def test_info_without_a_classifier(handmade_store: Path, settings: Settings) -> None:
    shutil.rmtree(handmade_store / "hand-classify")
    async with running(create_app(settings.model_copy(update={"model_store": handmade_store}))) as client:
        info = (await client.get("/info")).json()
    assert (info["model_id"], info["model_type"], info["max_input_length"]) == (None, None, None)


async def test_the_precision_is_that_of_the_graph_that_runs(handmade_models: Path, settings: Settings) -> None:
    directory = handmade_models / "hand-classify"
    graph = Graph(file="model.fp16.onnx", precision="fp16")
    manifest = Manifest.read(directory).model_copy(update={"graphs": {"tensorrt": graph}})
    service = Service(settings)
    dtypes = []
    for provider in ("cpu", "cuda"):
        engine = Engine(directory, manifest, settings)
        engine.provider = provider
        no_text = ThreadTokenizers(lambda: pytest.fail("nothing is read"))
        service.store.models["hand-classify"] = Model(manifest, engine, no_text, load_seconds=0)
        dtypes.append(model_info(service, "classify")["model_dtype"])
    assert dtypes == ["fp32", "fp16"]


async def test_an_error_is_counted_by_its_own_type(client: httpx.AsyncClient) -> None:
    line = 'nagayomi_errors_total{endpoint="/predict",error_type="model_not_found"}'

    async def counted() -> float:
        found = [one for one in (await client.get("/metrics")).text.splitlines() if one.startswith(line)]
        return float(found[0].split()[-1]) if found else 0.0

    before = await counted()
    error_of(await client.post("/predict?model=other", json={"inputs": "上"}), 404, "Backend")
    assert await counted() == before + 1

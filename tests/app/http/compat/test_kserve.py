"""The KServe V2 protocol over HTTP, in JSON. tritonclient, which sends binary data, is in tests/e2e."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.main import create_app
from app.settings import Settings
from app.store import Store, load_store
from tests.app.asgi import error_of, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v2/models/hand-{}/infer"


def tensor(name: str, *texts: str) -> dict[str, Any]:
    return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}


async def infer(client: httpx.AsyncClient, task: str, *inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    response = await client.post(PATH.format(task), json={"inputs": list(inputs), **fields})
    assert response.status_code == 200, response.text
    assert int(response.headers["x-compute-tokens"]) > 0
    body: dict[str, Any] = response.json()
    return body


async def test_answers_have_a_place_for_each_that_was_asked_for(client: httpx.AsyncClient) -> None:
    body = await infer(
        client,
        "qa",
        tensor("question", "何?", "何?"),
        tensor("context", "《甲》", "前。《乙》"),
        id="7",
        parameters={"top_k": 2},
        outputs=[{"name": "start"}, {"name": "answer"}, {"name": "null_score"}],
    )
    starts, answers, null_scores = body.pop("outputs")
    assert body == {"model_name": "hand-qa", "model_version": "1", "id": "7"}
    assert starts == {"name": "start", "datatype": "INT64", "shape": [2, 2], "data": [0, 0, 2, 0]}
    assert answers == {"name": "answer", "datatype": "BYTES", "shape": [2, 2], "data": ["《甲》", "", "《乙》", "前"]}
    assert null_scores == {
        "name": "null_score", "datatype": "FP32", "shape": [2], "data": pytest.approx([0, 0], abs=1e-3),
    }  # fmt: skip


async def test_labels_and_summaries(client: httpx.AsyncClient) -> None:
    body = await infer(client, "classify", tensor("text", "上", "下"), tensor("text_pair", "中", "中"))
    labels, scores = body["outputs"]
    assert labels == {"name": "label", "datatype": "BYTES", "shape": [2, 2], "data": ["up", "down", "down", "up"]}
    assert scores["data"] == pytest.approx([0.98, 0.02, 0.98, 0.02], abs=0.01)
    sent = {"parameters": {"max_sentences": 1}}
    body = await infer(client, "summarize", tensor("text", "普通。重い。", "重。"), **sent)
    assert body["outputs"] == [{"name": "summary", "datatype": "BYTES", "shape": [2], "data": ["重い。", "重。"]}]


async def test_metadata(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v2/health/live")).json() == {"live": True}
    assert (await client.get("/v2/health/ready")).json() == {"ready": True}
    server = (await client.get("/v2")).json()
    assert (server["name"], server["extensions"]) == ("nagayomi", ["binary_tensor_data"])
    for path in ("/v2/models/hand-classify", "/v2/models/hand-classify/versions/1"):
        assert (await client.get(f"{path}/ready")).json() == {"name": "hand-classify", "ready": True}
        assert (await client.get(path)).json() == {
            "name": "hand-classify",
            "versions": ["1"],
            "platform": "onnxruntime_onnx",
            "inputs": [
                {"name": "text", "datatype": "BYTES", "shape": [-1]},
                {"name": "text_pair", "datatype": "BYTES", "shape": [-1]},
            ],
            "outputs": [
                {"name": "label", "datatype": "BYTES", "shape": [-1, -1]},
                {"name": "score", "datatype": "FP32", "shape": [-1, -1]},
            ],
            "optional": ["text_pair"],
            "parameters": ["binary_data_output", "top_k"],
        }


async def test_published_outputs_are_those_that_come(client: httpx.AsyncClient) -> None:
    inputs = {"qa": [tensor("question", "何?"), tensor("context", "《甲》")]}
    for task in ("qa", "classify", "summarize"):
        published = (await client.get(f"/v2/models/hand-{task}")).json()["outputs"]
        outputs = (await infer(client, task, *inputs.get(task, [tensor("text", "上。")])))["outputs"]
        assert [(one["name"], one["datatype"], len(one["shape"])) for one in published] == [
            (one["name"], one["datatype"], len(one["shape"])) for one in outputs
        ]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "`inputs` is missing."),
        ({"inputs": []}, "The input `text` is missing; inputs are text, text_pair."),
        ({"inputs": [tensor("texts", "上")]}, "There is no input `texts`; inputs are text, text_pair."),
        ({"inputs": [tensor("text", "上")] * 2}, "The input `text` stands twice in the request."),
        (
            {"inputs": [tensor("text", "上", " ")]},
            "Member 1 of the batch, counted from 0: `text` must hold at least one",
        ),
        (
            {"inputs": [tensor("text", "上", "\u200b")]},
            "Member 1 of the batch, counted from 0: `text` holds only invis",
        ),
        ({"inputs": [tensor("text", "上\0")]}, "`text` holds a NUL character"),
        ({"inputs": [tensor("text", "上")], "parameters": {"model": "x"}}, "There is no parameter `model`; parameters"),
        (
            {"inputs": [tensor("text", "上")], "parameters": {"priority": 1}},
            "parameters are binary_data_output, top_k.",
        ),
        ({"inputs": [tensor("text", "上")], "parameters": {"top_k": "1"}}, "`top_k` must be a valid integer."),
        ({"inputs": [tensor("text", "上")], "parameters": {"binary_data_output": 1}}, "must be true or false."),
        ({"inputs": [tensor("text", "上")], "outputs": [{"name": "x"}]}, "no output `x`; outputs are label, score."),
        ({"inputs": [tensor("text", "上")], "outputs": [{"name": "label"}] * 2}, "The output `label` stands twice"),
        (
            {"inputs": [tensor("text", "上")], "outputs": [{"name": "label", "parameters": {"classification": 1}}]},
            "`outputs`[0].parameters.classification is not a field that is known there; allowed are binary_data.",
        ),
    ],
)
async def test_wrong_requests_are_refused(client: httpx.AsyncClient, body: dict[str, Any], words: str) -> None:
    response = await client.post(PATH.format("classify"), json=body)
    assert words in error_of(response, 422, "invalid_input")


async def test_models_and_versions_that_are_not_there(client: httpx.AsyncClient) -> None:
    for path in ("/v2/models/x", "/v2/models/x/ready", "/v2/models/hand-qa/versions/2", "/v2/models/x/versions/1"):
        message = error_of(await client.get(path), 404, "model_not_found")
        assert "All are of version '1': hand-classify, hand-qa, hand-summarize." in message
    error_of(await client.post("/v2/models/x/infer", json={}), 404, "model_not_found")
    error_of(await client.get("/v2/models/hand-qa/config"), 404, "not_found")


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post(PATH.format("qa"), content=b"x", headers={"Content-Encoding": "gzip"})
    assert "send it without compression" in error_of(response, 415, "unsupported_media_type")


async def test_a_broken_model_says_why(handmade_store: Path, settings: Settings) -> None:
    (handmade_store / "hand-qa" / "tokenizer.json").unlink()
    async with running(create_app(settings.model_copy(update={"model_store": handmade_store}))) as client:
        message = error_of(await client.get("/v2/models/hand-qa/ready"), 503, "broken_model")
        assert "tokenizer.json is missing" in message
        assert (await client.get("/v2/models/hand-classify/ready")).status_code == 200


async def test_nothing_is_ready_while_models_load(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    release = asyncio.Event()

    async def slowly(*arguments: Any) -> Store:
        await release.wait()
        return await load_store(*arguments)

    monkeypatch.setattr("app.lifecycle.load_store", slowly)
    async with running(create_app(settings), wait=False) as client:
        assert (await client.get("/v2/health/live")).status_code == 200
        for path in ("/v2/health/ready", "/v2/models/hand-qa/ready", "/v2/models/hand-qa"):
            error_of(await client.get(path), 503, "unavailable")
        error_of(await client.post("/", json={"inputs": "上"}), 503, "unavailable")
        error_of(await client.post("/predict", json={"inputs": "上"}), 503, "Unhealthy")
        release.set()
        while (await client.get("/v2/health/ready")).status_code != 200:
            await asyncio.sleep(0.01)

"""What /docs shows: operations with names, bodies that are components, and examples that work as they stand."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from jsonschema_rs import Draft202012Validator
from pydantic import TypeAdapter, create_model

from app.http.auth import OPEN_PATHS, new_key
from app.http.examples import ANSWERED, JOB_EVENTS, JOB_STARTED, JOBS, REQUESTS
from app.http.openapi import describe, json_body
from app.main import create_app
from app.schemas import ErrorResponse
from app.schemas.jobs import JobInfo
from app.settings import Settings
from app.tasks.registry import TASKS
from tests.app.asgi import running

PDF = Path(__file__).parents[1] / "files" / "data" / "libreoffice-horizontal.pdf"


@pytest.fixture
async def client(handmade_models: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(create_app(Settings(model_store=handmade_models, intra_op_threads=1))) as opened:
        yield opened


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method, path, operation


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


async def test_every_example_of_a_body_is_answered(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    tried = []
    for method, path, operation in _operations(document):
        for part in operation.get("parameters", ()):
            path = path.replace(f"{{{part['name']}}}", str(part.get("example", "none")))
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            continue
        assert content["examples"], path
        for name, example in content["examples"].items():
            response = await client.request(method, path, json=example["value"])
            assert response.status_code == 200, (path, name, response.text)
            tried.append((path, name))
    assert len(tried) == len({path for path, _ in tried}) + 6, "three for each task, and one elsewhere"


async def test_the_example_of_every_form_is_answered_with_a_file(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    tried = []
    for _, path, operation in _operations(document):
        form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data")
        if form is None:
            continue
        schema = document["components"]["schemas"][form["schema"]["$ref"].rpartition("/")[2]]
        shown = {name: field["example"] for name, field in schema["properties"].items() if "example" in field}
        assert shown == form["example"]
        assert {*schema["required"]} <= {"file", *shown}
        fields = {name: json.dumps(value) if isinstance(value, bool) else str(value) for name, value in shown.items()}
        response = await client.post(path, data=fields, files={"file": ("a.pdf", PDF.read_bytes())})
        assert response.status_code == 200, (path, response.text)
        tried.append(path)
    assert sorted(tried) == ["/classify", "/extract", "/qa", "/render", "/summarize"]


async def test_jobs_are_shown_as_they_are(client: httpx.AsyncClient) -> None:
    (parameter,) = (await client.get("/openapi.json")).json()["paths"]["/jobs/{job_id}"]["get"]["parameters"]
    assert parameter["examples"]["job"]["value"] == JOB_STARTED["id"]
    for example in JOBS.values():
        assert JobInfo.model_validate(example["value"]).model_dump() == example["value"]
    event, data = JOB_EVENTS.splitlines()
    assert event == "event: progress"
    assert json.loads(data.removeprefix("data: ")) == JOBS["running"]["value"]


async def test_every_operation_that_only_reads_works_as_it_stands(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for method, path, operation in _operations(document):
        if method == "get" and not path.startswith("/jobs/"):
            for part in operation.get("parameters", ()):
                path = path.replace(f"{{{part['name']}}}", part["example"])
            assert (await client.get(path)).status_code == 200, path


async def test_every_example_of_an_answer_is_an_answer_by_its_schema(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    tried = []
    for _, path, operation in _operations(document):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json", {})
            examples = [one["value"] for one in content.get("examples", {}).values()]
            for example in [*examples, *([content["example"]] if "example" in content else [])]:
                schema = {**content["schema"], "components": document["components"]}
                assert [error.message for error in Draft202012Validator(schema).iter_errors(example)] == []
                tried.append((path, status))
    tasks = ("/qa", "/summarize", "/classify")
    expected = [*((path, status) for path in tasks for status in ("200", "202")), *[("/jobs/{job_id}", "200")] * 3]
    assert sorted(tried) == sorted(expected)


async def test_no_two_values_of_an_enumeration_differ_in_their_case_alone(client: httpx.AsyncClient) -> None:
    def enumerations(value: Any) -> Iterator[list[str]]:
        if isinstance(value, dict):
            if isinstance(values := value.get("enum"), list):
                yield values
            for inner in value.values():
                yield from enumerations(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from enumerations(inner)

    found = list(enumerations((await client.get("/openapi.json")).json()))
    assert ["Left", "Right"] in found
    for values in found:
        assert len({value.lower() for value in values}) == len(values), values


def test_the_answers_shown_are_answers_to_the_examples() -> None:
    for task, answer in ANSWERED.items():
        parsed = TypeAdapter(TASKS[task].response).validate_json(json.dumps(answer))
        text: str = REQUESTS[task].get("context") or REQUESTS[task]["text"]
        for span in [
            *getattr(parsed, "sentences", ()),
            *(a for r in getattr(parsed, "results", ()) for a in r.answers),
        ]:
            assert text[span.start : span.end] == span.text


async def test_operations_are_named_and_bodies_are_components(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    names = {(method, path): operation["operationId"] for method, path, operation in _operations(document)}
    assert [names["post", path] for path in ("/qa", "/summarize", "/classify")] == ["ask", "summarize", "classify"]
    assert len(set(names.values())) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names.values())
    schemas = document["components"]["schemas"]
    for reference in _references(document):
        assert reference.removeprefix("#/components/schemas/") in schemas, reference
    for _, path, operation in _operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            options = content["schema"].get("anyOf", [content["schema"]])
            assert all(set(option) == {"$ref"} for option in options), (path, kind)


@pytest.mark.parametrize("with_key", [False, True])
def test_the_ways_to_send_a_key_stand_there_whether_one_is_asked_for_or_not(
    handmade_models: Path, with_key: bool
) -> None:
    keys: dict[str, Any] = {"api_keys": new_key("test")[1]} if with_key else {}
    document = create_app(Settings(model_store=handmade_models, **keys)).openapi()
    schemes = document["components"]["securitySchemes"]
    assert (schemes["HTTPBearer"]["scheme"], schemes["APIKeyHeader"]["name"]) == ("bearer", "X-API-Key")
    expected: list[dict[str, list[str]]] = [*([] if with_key else [{}]), {"HTTPBearer": []}, {"APIKeyHeader": []}]
    for method, path, operation in _operations(document):
        is_open = method == "get" and path in OPEN_PATHS
        assert operation.get("security") == (None if is_open else expected), path


async def test_every_operation_that_may_ask_for_a_key_names_its_errors(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    error = {"$ref": "#/components/schemas/ErrorResponse"}
    for method, path, operation in _operations(document):
        responses = operation["responses"]
        if method == "get" and path in OPEN_PATHS:
            assert not {"401", "429"} & set(responses), path
        else:
            shown = [responses[status]["content"]["application/json"]["schema"] for status in ("401", "429")]
            assert shown == [error, error], (method, path)


async def test_every_operation_with_a_json_body_names_its_timeout_and_the_refusal_of_media_types(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    found = []
    for _, path, operation in _operations(document):
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert "415" in operation["responses"], path
            assert [part["name"] for part in operation["parameters"]].count("X-Timeout-Ms") == 1, path
            found.append(path)
    assert sorted(found) == ["/", "/classify", "/predict", "/qa", "/summarize", "/v2/models/{name}/infer"]


def _application(*kinds: Any) -> FastAPI:
    """With a route for each kind, which takes a body named TestBody that has a field of that kind."""
    app = FastAPI()
    for number, kind in enumerate(kinds):
        body = create_model("TestBody", a=(kind, ...))
        app.add_api_route(
            f"/{number}",
            lambda: None,
            methods=["POST"],
            responses={500: {"model": ErrorResponse}},
            openapi_extra=json_body(body, examples={}),
        )
    describe(app, Settings(), dict)
    return app


def test_two_bodies_cannot_have_one_name() -> None:
    document = _application(int, int).openapi()
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/TestBody"}, "examples": {}}}
    assert document["paths"]["/1"]["post"]["requestBody"] == {"required": True, "content": content}
    with pytest.raises(ValueError, match="two schemas are named TestBody"):
        _application(int, str).openapi()


def test_applications_of_one_process_share_no_bodies(handmade_models: Path) -> None:
    kinds = [_application(kind).openapi()["components"]["schemas"]["TestBody"] for kind in (int, str)]
    assert [kind["properties"]["a"]["type"] for kind in kinds] == ["integer", "string"]
    assert "TestBody" not in create_app(Settings(model_store=handmade_models)).openapi()["components"]["schemas"]

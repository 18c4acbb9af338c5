"""The parts of the OpenAPI document that FastAPI cannot derive: bodies read by hand, errors, keys, X-Timeout-Ms.

Bodies are read by hand for their errors and their limits. This module knows schemas and settings, and does not know
the endpoints.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.http.auth import OPEN_PATHS
from app.http.examples import REQUESTS, Examples, tensors_of
from app.http.request import TIMEOUT_HEADER
from app.schemas import ErrorResponse
from app.settings import Settings
from app.types import Task

FORM = "multipart/form-data"

_REFERENCE = "#/components/schemas/{model}"
# The key in `openapi_extra` for the schemas of bodies that are read by hand, by name. It holds them as JSON, because
# FastAPI leaves out the nulls of what it passes on. `describe` makes them components.
_BODIES = "x-bodies"

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI's routes take them

ERRORS: dict[int, str] = {
    401: "The request has no key, or a key that this server does not know. Only servers with keys answer so.",
    404: "No such model.",
    408: "The body was not sent in time.",
    413: "The body or the texts are too large.",
    415: "The body is compressed, or its media type is not read.",
    422: "The request is not valid for this endpoint.",
    429: "The queue is full, or the key's other requests use up what one key may have; see Retry-After.",
    503: "The service is not ready or is shutting down, or the engine failed.",
    504: "The request was not answered in time.",
}
_OF_KEYS = {401: ERRORS[401], 429: "The key's other requests use up what one key may have; see Retry-After."}
ERROR_RESPONSES: Responses = {status: {"model": ErrorResponse, "description": text} for status, text in ERRORS.items()}


def prefer_parameter(settings: Settings) -> dict[str, Any]:
    """The documentation of the header Prefer, with the size from which a request may become a job."""
    return {
        "name": "Prefer",
        "in": "header",
        "required": False,
        "description": "With `respond-async` the answer is 202 and a job, whose state and result are at "
        f"/jobs/{{job_id}}. A JSON body, or files, of fewer than {settings.min_job_bytes} bytes are answered at once "
        "(200). `Preference-Applied: respond-async` comes with a job alone.",
        "schema": {"type": "string", "enum": ["respond-async"]},
    }


def json_body(
    *models: type[BaseModel], examples: Examples, parameters: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """`openapi_extra` of a route that takes any one of these models as its JSON body, and these parameters."""
    return {**_body(_json_content(*models, examples=examples)), "parameters": list(parameters)}


def task_body(
    *models: type[BaseModel], fields: type[BaseModel], examples: Examples, form: dict[str, Any]
) -> dict[str, Any]:
    """`json_body` for a route that also takes forms with several files and these fields.

    Args:
        form: values of the fields that work with any file.
    """
    return _body({**_json_content(*models, examples=examples), FORM: _form(fields, form, several=True)})


def _body(content: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """`openapi_extra` of a route with a body. Its schemas, and those they refer to, become components.

    Args:
        content: by media type; each with its `schemas`, by name.
    """
    bodies: dict[str, dict[str, Any]] = {}
    for one in content.values():
        named: dict[str, dict[str, Any]] = one.pop("schemas")
        references = [{"$ref": _REFERENCE.format(model=name)} for name in named]
        one["schema"] = references[0] if len(references) == 1 else {"anyOf": references}
        for name, schema in named.items():
            _add_bodies(bodies, {**schema.pop("$defs", {}), name: schema})
    return {"requestBody": {"required": True, "content": content}, _BODIES: json.dumps(bodies)}


def _add_bodies(bodies: dict[str, dict[str, Any]], more: Mapping[str, dict[str, Any]]) -> None:
    for name, schema in more.items():
        if bodies.setdefault(name, schema) != schema:
            raise ValueError(f"two schemas are named {name}")


def _json_content(*models: type[BaseModel], examples: Examples) -> dict[str, dict[str, Any]]:
    schemas = {model.__name__: model.model_json_schema(ref_template=_REFERENCE) for model in models}
    return {"application/json": {"schemas": schemas, "examples": examples}}


def timeout_parameter(settings: Settings) -> dict[str, Any]:
    """The header as OpenAPI describes it."""
    return {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "required": False,
        "description": "Milliseconds that the client waits. After that the answer is 504, and the work is dropped.",
        "schema": {"type": "integer", "minimum": 1, "maximum": int(settings.max_request_timeout_s * 1000)},
    }


def form_body(model: type[BaseModel], form: dict[str, Any]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a file and the fields of `model` as multipart/form-data.

    Args:
        form: values of the fields that work with any file.
    """
    return _body({FORM: _form(model, form, several=False)})


def _form(model: type[BaseModel], values: dict[str, Any], *, several: bool) -> dict[str, Any]:
    """The fields of a form: the files, and those of `model`, with an example of each that has a value."""
    schema = model.model_json_schema(ref_template=_REFERENCE)
    file = {"type": "string", "format": "binary", "description": "A file, with its name."}
    files = {"type": "array", "items": file, "minItems": 1} if several else file
    schema["properties"] = {"file": files, **schema["properties"]}
    schema["required"] = ["file", *schema.get("required", ())]
    for name, value in values.items():
        schema["properties"][name] = {**schema["properties"][name], "example": value}
    schema["title"] = f"{model.__name__.removesuffix('Fields')}Form"
    return {"schemas": {schema["title"]: schema}, "example": values}


def describe(app: FastAPI, settings: Settings, served: Callable[[], Mapping[str, Task]]) -> None:
    """Complete the document that FastAPI derives: bodies as components, keys, and names of models in examples.

    Args:
        served: the models at the moment, by name, with their tasks.
    """
    derive = app.openapi

    def document() -> dict[str, Any]:
        is_new = app.openapi_schema is None
        schema = derive()
        if is_new:
            _add_components(schema)
            _describe_keys(schema, settings)
            _show_nulls(schema, app)
        _name_a_model(schema, served())
        return schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _add_components(schema: dict[str, Any]) -> None:
    """Move the schemas of bodies from the operations to the components."""
    bodies: dict[str, dict[str, Any]] = {}
    for operations in schema["paths"].values():
        for operation in operations.values():
            _add_bodies(bodies, json.loads(operation.pop(_BODIES, "{}")))
    for name, body in bodies.items():
        schema["components"]["schemas"].setdefault(name, body)


def _show_nulls(schema: dict[str, Any], app: FastAPI) -> None:
    """The examples of answers as they are written: FastAPI leaves out what is null, though answers have it."""
    for route in app.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method, (status, response) in itertools.product(route.methods or (), route.responses.items()):
            for kind, content in response.get("content", {}).items():
                shown = schema["paths"][route.path_format][method.lower()]["responses"][str(status)]["content"][kind]
                shown.update({name: content[name] for name in ("example", "examples") if name in content})


def _describe_keys(schema: dict[str, Any], settings: Settings) -> None:
    """The two ways to send a key and the errors about it, whether or not this server asks for one.

    ApiKeyMiddleware stands before every route, so they hold for the routes that do not name them as well.
    """
    how = "A key that was made with `nagayomi keys`. A server without keys needs none."
    schema["components"]["securitySchemes"] = {
        "HTTPBearer": {"type": "http", "scheme": "bearer", "description": how},
        "APIKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": how},
    }
    with_key: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"APIKeyHeader": []}]
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method != "get" or path not in OPEN_PATHS:
                operation["security"] = with_key if settings.needs_key else [{}, *with_key]
                for status, text in _OF_KEYS.items():
                    content = {"application/json": {"schema": {"$ref": _REFERENCE.format(model="ErrorResponse")}}}
                    operation["responses"].setdefault(str(status), {"description": text, "content": content})


def _name_a_model(schema: dict[str, Any], served: Mapping[str, Task]) -> None:
    """Where a path names a model, make the example a model that is served, with a body for its task."""
    with_request = {name: task for name, task in served.items() if task in REQUESTS}
    name, task = min(with_request.items(), default=("nagayomi-small-ja-qa", "qa"))
    for path, operations in schema["paths"].items():
        if not path.startswith("/v2/models/{name}"):
            continue
        for operation in operations.values():
            operation["parameters"][0]["example"] = name
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                content["examples"] = {task: {"summary": f"For {name}", "value": tensors_of(task)}}

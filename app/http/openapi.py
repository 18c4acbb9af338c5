"""The OpenAPI document where FastAPI cannot derive it: bodies that are read by hand, errors, keys, X-Timeout-Ms.

Bodies are read by hand for their errors and their limits. Knows schemas and settings, and nothing of the endpoints.
"""

from typing import Any

from fastapi import Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel

from app.http.request import TIMEOUT_HEADER
from app.schemas import ErrorResponse
from app.settings import Settings

FORM = "multipart/form-data"

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI's routes take them

ERRORS: dict[int, str] = {
    401: "No key, or one that this server does not know, where keys are asked for.",
    404: "No such model.",
    408: "The body was not sent in time.",
    413: "The body or the texts are too large.",
    422: "The request is not one the endpoint takes.",
    429: "The queue is full, or the key's other requests use up what one key may have; see Retry-After.",
    503: "Not ready, shutting down, or the engine failed.",
    504: "Not answered in time.",
}
ERROR_RESPONSES: Responses = {status: {"model": ErrorResponse, "description": text} for status, text in ERRORS.items()}


PREFER_PARAMETER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async` answers 202 with a job, whose state and result are at /jobs/{job_id}.",
    "schema": {"type": "string", "enum": ["respond-async"]},
}


def json_body(*models: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes any one of these models as its JSON body."""
    return {"requestBody": {"required": True, "content": _json_content(*models)}}


def task_body(*models: type[BaseModel], fields: type[BaseModel]) -> dict[str, Any]:
    """As `json_body`, of a route that takes forms with several files and these fields as well."""
    content = {**_json_content(*models), FORM: {"schema": form_schema(fields, several=True)}}
    return {"requestBody": {"required": True, "content": content}}


def _json_content(*models: type[BaseModel]) -> dict[str, Any]:
    schemas = [_inlined(model) for model in models]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}


def _inlined(model: type[BaseModel]) -> dict[str, Any]:
    """A schema without references, which would point into the document it is put in."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolve(value: Any) -> Any:
        if isinstance(value, list):
            return [resolve(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        if reference := value.get("$ref"):
            return resolve(definitions[reference.removeprefix("#/$defs/")])
        return {name: resolve(inner) for name, inner in value.items()}

    resolved: dict[str, Any] = resolve(schema)
    return resolved


def key_schemes(settings: Settings) -> list[Any]:
    """For /docs and for clients made from the schema: the two ways to send a key. ApiKeyMiddleware asks for it."""
    if not settings.needs_key:
        return []
    how = "A key of this server, as `nagayomi keys` makes them."
    return [
        Security(HTTPBearer(auto_error=False, description=how)),
        Security(APIKeyHeader(name="X-API-Key", auto_error=False, description=how)),
    ]


def timeout_parameter(settings: Settings) -> dict[str, Any]:
    """The header as OpenAPI describes it."""
    return {
        "name": TIMEOUT_HEADER,
        "in": "header",
        "required": False,
        "description": "Milliseconds that the client waits. After that the answer is 504, and the work is dropped.",
        "schema": {"type": "integer", "minimum": 1, "maximum": int(settings.max_request_timeout_s * 1000)},
    }


def form_body(model: type[BaseModel], *, several: bool = False) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a file, or several, and the fields of `model` as multipart/form-data."""
    return {"requestBody": {"required": True, "content": {FORM: {"schema": form_schema(model, several=several)}}}}


def form_schema(model: type[BaseModel], *, several: bool) -> dict[str, Any]:
    """The fields of a form: the files, and those of `model`."""
    schema = _inlined(model)
    file = {"type": "string", "format": "binary", "description": "A file, with its name."}
    files = {"type": "array", "items": file, "minItems": 1} if several else file
    schema["properties"] = {"file": files, **schema["properties"]}
    schema["required"] = ["file", *schema.get("required", ())]
    return schema

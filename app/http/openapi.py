"""What /docs shows of bodies that are read by hand, for their errors and their limits, so that FastAPI cannot see them.

Knows pydantic's schemas and nothing of the endpoints.
"""

from typing import Any

from pydantic import BaseModel

FORM = "multipart/form-data"

Responses = dict[int | str, dict[str, Any]]  # by status, as FastAPI's routes take them


def json_body(*models: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that takes any one of these models as its JSON body."""
    schemas = [_inlined(model) for model in models]
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


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


def form_body(model: type[BaseModel], *, several: bool = False) -> dict[str, Any]:
    """`openapi_extra` of a route that takes a file, or several, and the fields of `model` as multipart/form-data."""
    return {"requestBody": {"required": True, "content": {FORM: {"schema": form_schema(model, several=several)}}}}


def form_schema(model: type[BaseModel], *, several: bool) -> dict[str, Any]:
    """The fields of a form: those of `model`, less documents, and the files."""
    schema = _inlined(model)
    schema["properties"].pop("documents", None)
    file = {"type": "string", "format": "binary", "description": "A file, with its name."}
    files = {"type": "array", "items": file, "minItems": 1} if several else file
    schema["properties"] = {"file": files, **schema["properties"]}
    schema["required"] = ["file", *(name for name in schema.get("required", ()) if name != "documents")]
    return schema

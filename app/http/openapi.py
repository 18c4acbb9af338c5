"""What /docs shows of bodies that are read by hand, for their errors and their limits, so that FastAPI cannot see them.

Knows pydantic's schemas and nothing of the endpoints.
"""

from typing import Any

from pydantic import BaseModel

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

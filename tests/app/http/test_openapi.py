"""Bodies in /docs."""

from pydantic import BaseModel

from app.http.openapi import json_body


class Inner(BaseModel):
    a: int


class Outer(BaseModel):
    inner: list[Inner]


def test_schemas_hold_no_references() -> None:
    inner = {
        "title": "Inner",
        "type": "object",
        "properties": {"a": {"title": "A", "type": "integer"}},
        "required": ["a"],
    }
    outer = {
        "title": "Outer", "type": "object", "required": ["inner"],
        "properties": {"inner": {"title": "Inner", "type": "array", "items": inner}},
    }  # fmt: skip
    content = json_body(Outer)["requestBody"]["content"]
    assert content == {"application/json": {"schema": outer}}
    content = json_body(Inner, Outer)["requestBody"]["content"]
    assert content == {"application/json": {"schema": {"anyOf": [inner, outer]}}}

"""What schemathesis must not send as valid: what no schema can say, such as the limit of a model or a file's bytes."""

from collections.abc import Iterator
from typing import Any

import schemathesis

SHORTEST_ROOM = 1000  # tokens; a window of the tests' models has room for more, whatever the question


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """A stride or an overlap must fit into a window of the model, next to the question; ids of documents differ."""
    return all(value <= SHORTEST_ROOM for value in _strides(body)) and _ids_differ(body)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]) -> None:
    """Files that can be read, and no jobs: their number is limited, and they find errors in a text only later."""
    if case.path not in ("/qa", "/summarize", "/classify"):
        return
    case.headers.pop("Prefer", None)
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if is_valid and case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        case.body["file"] = ["東京は日本の首都である。"]


def _ids_differ(body: Any) -> bool:
    documents = body.get("documents") if isinstance(body, dict) else None
    if not isinstance(documents, list):
        return True
    ids = [one.get("id") or str(index) for index, one in enumerate(documents) if isinstance(one, dict)]
    return all(ids.count(one) == 1 for one in ids)


def _strides(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for inner in value:
            yield from _strides(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in ("doc_stride", "window_overlap") and isinstance(inner, int | float):
                yield inner
            else:
                yield from _strides(inner)

"""What schemathesis must not send as valid: what only the model that answers can know the limit of."""

from collections.abc import Iterator
from typing import Any

import schemathesis

SHORTEST_ROOM = 1000  # tokens; a window of the tests' models has room for more, whatever the question


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """A stride or an overlap must fit into a window of the model, beside the question."""
    return all(value <= SHORTEST_ROOM for value in _strides(body))


def _strides(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for inner in value:
            yield from _strides(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in ("doc_stride", "window_overlap") and isinstance(inner, int):
                yield inner
            else:
                yield from _strides(inner)

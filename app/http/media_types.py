"""The media type of a body, and the media types that are read as JSON.

This module does not know what a body holds.
"""

from starlette.requests import Request

# Some clients send one of the others when their user states no type.
_JSON = frozenset(
    (
        *("", "application/json", "text/json", "text/plain"),
        *("application/x-www-form-urlencoded", "application/octet-stream"),
    )
)


def media_type(request: Request) -> str:
    """The media type of a body without its parameters, in lower case; empty where none is stated."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(name: str) -> bool:
    """Whether a body of this media type is read as JSON."""
    return name in _JSON or name.endswith("+json")

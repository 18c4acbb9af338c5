"""Who sends a request, and how long they are willing to wait: the name of the key, and the header X-Timeout-Ms."""

import re
from typing import Any

from starlette.requests import Request

from app.errors import InvalidInput
from app.service import Caller
from app.settings import Settings
from app.telemetry.request_context import current_request

HEADER = "X-Timeout-Ms"

_MILLISECONDS = re.compile("[0-9]{1,10}")


def caller_of(request: Request, settings: Settings) -> Caller:
    """For the service.

    Raises:
        InvalidInput: see `timeout_of`.
    """
    context = current_request.get()
    name = context.key if context is not None else ""
    return Caller(name, timeout_of(request.headers.get(HEADER), settings))


def timeout_of(header: str | None, settings: Settings) -> float:
    """Seconds for one request: what the header says, or `request_timeout_s` without one.

    Raises:
        InvalidInput: it is not a whole number of milliseconds from 1 to `max_request_timeout_s`.
    """
    if header is None:
        return settings.request_timeout_s
    most = int(settings.max_request_timeout_s * 1000)
    if not _MILLISECONDS.fullmatch(header) or not 1 <= int(header) <= most:
        raise InvalidInput(f"{HEADER} must be a whole number of milliseconds from 1 to {most}.")
    return int(header) / 1000


def timeout_parameter(settings: Settings) -> dict[str, Any]:
    """The header as OpenAPI describes it."""
    return {
        "name": HEADER,
        "in": "header",
        "required": False,
        "description": "Milliseconds that the client waits. After that the answer is 504, and the work is dropped.",
        "schema": {"type": "integer", "minimum": 1, "maximum": int(settings.max_request_timeout_s * 1000)},
    }

"""Helpers that the foreign formats share: lists of inputs, bodies, and answers with stage headers."""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from app.errors import UnsupportedMediaType
from app.http.media_types import is_json, media_type
from app.http.request import caller_of, drain_body, read_body, unless_disconnected
from app.http.responses import stage_headers
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Reply, Service
from app.tasks.base import TaskSpec

RequestT = TypeVar("RequestT", QaRequest, SummarizeRequest, ClassifyRequest)
T = TypeVar("T")


def as_list(inputs: T | list[T]) -> list[T]:
    """The members of a batch; one input is a batch of one."""
    return inputs if isinstance(inputs, list) else [inputs]


async def body_of(request: Request, service: Service) -> bytes:
    """The body of JSON, within the limits of the settings.

    Raises:
        UnsupportedMediaType: the body has another media type, or is compressed.
        BodyTooLarge, BodyTimeout: see `read_body`.
    """
    if not is_json(sent := media_type(request)):
        await drain_body(request)
        raise UnsupportedMediaType(f"The body is {sent[:100]!r}; send application/json.")
    return await read_body(request, service.settings)


async def ask(
    request: Request, service: Service, task: TaskSpec[RequestT, T, Any], requests: Sequence[RequestT]
) -> Reply[list[T]]:
    """The service's results for a batch, unless the client leaves. Every foreign format calls the service here."""
    return await unless_disconnected(
        request, service.answer_batch(task, requests, caller_of(request, service.settings))
    )


async def exchange(
    request: Request,
    service: Service,
    task: TaskSpec[RequestT, T, Any],
    requests: Sequence[RequestT],
    write: Callable[[list[T]], Any],
) -> Response:
    """Have a batch answered, and send the output of `write` as JSON."""
    reply = await ask(request, service, task, requests)
    return Response(
        json.dumps(write(reply.result), ensure_ascii=False),
        media_type="application/json",
        headers=stage_headers(reply.usage, reply.timings),
    )

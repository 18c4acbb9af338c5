"""What HTTP needs around an endpoint: request ids, bounded bodies, clients that leave, and errors in one format.

Plain ASGI, so that nothing is buffered on the way. Knows nothing of models or of what the endpoints do.
"""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooLarge
from app.schemas import Timings, Usage
from app.telemetry import Telemetry

T = TypeVar("T")

logger = logging.getLogger("nagayomi.http")

# The client has gone, so nobody sees this status but the metrics; the number is nginx's.
CLIENT_GONE = 499

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
# A client that is still sending does not read. It is heard out, unless it takes too long, so that it sees the 413.
_HEAR_OUT_BYTES = 100_000_000
_HEAR_OUT_SECONDS = 5.0


def error_response(
    request_id: str, status: int, error_type: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the service's one format."""
    # ASCII escapes: a message may quote a name from the request that UTF-8 cannot hold.
    body = json.dumps({"error": message, "error_type": error_type, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def stage_headers(usage: Usage, timings: Timings) -> dict[str, str]:
    """Tokens and milliseconds of an answer, under the names that Text Embeddings Inference gives them."""
    return {
        "x-compute-tokens": str(usage.tokens),
        "x-total-time": f"{timings.total_ms:.1f}",
        "x-tokenization-time": f"{timings.tokenize_ms:.1f}",
        "x-queue-time": f"{timings.queue_ms:.1f}",
        "x-inference-time": f"{timings.infer_ms:.1f}",
    }


class Gate:
    """The outermost layer: gives every request an id, counts every answer, and turns the unforeseen into a plain 500.

    Args:
        paths: counted by name; every other path is counted as "other".
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry, paths: frozenset[str]) -> None:
        self._app = app
        self._telemetry = telemetry
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # the last line: whatever went wrong, the client gets a sentence and the log the trace
            logger.exception("request %s failed", request_id)
            if status is not None:
                raise
            message = "Something went wrong on the server; the log has it under this request_id."
            await error_response(request_id, 500, "internal", message)(scope, receive, send_with_id)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._telemetry.requests.labels(path, str(status or CLIENT_GONE)).inc()


def _request_id(sent: str | None) -> str:
    """The client's own id when it is one that can stand in logs and headers, else a new one."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


async def read_body(request: Request, limit: int) -> bytes:
    """The body, never holding more than `limit` bytes of it.

    Raises:
        BodyTooLarge: by its announced length, or by what has arrived.
    """
    announced = request.headers.get("content-length", "")
    too_large = announced.isdigit() and int(announced[:20]) > limit
    waits_for_leave = request.headers.get("expect", "").lower() == "100-continue"
    if too_large and waits_for_leave:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    hear_out_until = 0.0
    async for chunk in request.stream():
        size += len(chunk)
        if too_large or size > limit:
            chunks.clear()
            too_large = True
            hear_out_until = hear_out_until or time.monotonic() + _HEAR_OUT_SECONDS
            if size > _HEAR_OUT_BYTES or time.monotonic() > hear_out_until:
                break
        else:
            chunks.append(chunk)
    if too_large:
        raise _too_large(limit)
    return b"".join(chunks)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes, the most that one request may have.")


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; when the client leaves first, `work` is cancelled.

    Raises:
        ClientDisconnect: the client left.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

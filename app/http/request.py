"""What HTTP needs around an endpoint: request ids, bounded bodies, clients that leave, and errors in one format.

The gate opens the context of a request (telemetry/request_context.py) and gives it to the reporters when it
is over.

Plain ASGI, so that nothing is buffered on the way. Knows nothing of models or of what the endpoints do.
"""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTimeout, BodyTooLarge, NagayomiError, Unavailable
from app.schemas import Timings, Usage
from app.settings import Settings
from app.telemetry.request_context import RequestContext, current_request

T = TypeVar("T")

logger = logging.getLogger("nagayomi.http")

# The client has gone, so nobody sees this status but the metrics; the number is nginx's.
CLIENT_GONE = 499

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
# A client that is still sending does not read. It is heard out, unless it takes too long, so that it sees the 413.
_HEAR_OUT_BYTES = 100_000_000
_HEAR_OUT_SECONDS = 5.0

# What no answer of this service needs, and what the web page relaxes for itself (http/pages.py).
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_TRACE_HEADERS = ("traceparent", "tracestate")


def error_response(
    request_id: str, status: int, error_type: str, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """An error in the service's one format. Its type is noted in the request's context, for the metrics."""
    if (context := current_request.get()) is not None:
        context.error_type = error_type
    # ASCII escapes: a message may quote a name from the request that UTF-8 cannot hold.
    body = json.dumps({"error": message, "error_type": error_type, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def answer_error(request_id: str, error: NagayomiError) -> Response:
    """An exception of errors.py as an answer."""
    return error_response(request_id, error.status, error.error_type, str(error), error.headers)


def local_path(scope: Scope) -> str:
    """The path below the one this application is mounted at."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


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
    """The outermost layer: gives every request an id and a context, and turns the unforeseen into a plain 500.

    Args:
        paths: reported by name where no route was reached; every other path is reported as "other", so that nobody
            can fill metrics and logs with names.
        reports: called in order with the context of every request that is over.
    """

    def __init__(
        self, app: ASGIApp, paths: frozenset[str], reports: Sequence[Callable[[RequestContext], None]]
    ) -> None:
        self._app = app
        self._paths = paths
        self._reports = reports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = _request_id(headers.get("x-request-id"))
        trace_headers = {name: headers[name] for name in _TRACE_HEADERS if name in headers}
        context = RequestContext(request_id, scope["method"], trace_headers)
        scope.setdefault("state", {})["request_id"] = request_id
        outer = current_request.set(context)
        begun = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = message.get("headers", ())
                names = {name for name, _ in given}
                added = ((name, value) for name, value in _SECURITY_HEADERS if name not in names)
                message["headers"] = [*given, (b"x-request-id", request_id.encode("latin-1")), *added]
            await send(message)

        # As they are here: a mount that is entered on the way adds itself to the scope.
        root, path = scope.get("root_path", ""), local_path(scope)
        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:  # by a server that stops while, say, a body is still coming: not without a word
            if status is not None:
                raise
            error = Unavailable("The service is shutting down.")
            await answer_error(request_id, error)(scope, receive, send_with_id)
        except Exception:  # the last line: whatever went wrong, the client gets a sentence and the log the trace
            logger.exception("request %s failed", request_id)
            if status is not None:
                raise
            message = "Something went wrong on the server; the log has it under this request_id."
            await error_response(request_id, 500, "internal", message)(scope, receive, send_with_id)
        finally:
            context.seconds = time.perf_counter() - begun
            context.endpoint = self._endpoint(scope, root, path)
            context.status = status or CLIENT_GONE
            if context.status == CLIENT_GONE:
                context.error_type = "client_gone"
            for report in self._reports:
                report(context)
            current_request.reset(outer)

    def _endpoint(self, scope: Scope, root: str, path: str) -> str:
        # What the router left in the scope: where a mounted application begins, and the template of the route.
        mount = scope.get("root_path", "").removeprefix(root)
        template = f"{mount}{getattr(scope.get('route'), 'path', '')}"
        return template or (path if path in self._paths else "other")


def _request_id(sent: str | None) -> str:
    """The client's own id when it is one that can stand in logs and headers, else a new one."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex


async def read_body(request: Request, settings: Settings) -> bytes:
    """The body, never holding more than `max_body_bytes` of it.

    Raises:
        BodyTooLarge: by its announced length, or by what has arrived.
        BodyTimeout: it was not there in time.
    """
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            return await _read_body(request, settings.max_body_bytes)
    except TimeoutError:
        raise BodyTimeout(
            f"The body did not arrive within {settings.body_timeout_s:g} seconds, all that it may take."
        ) from None


async def _read_body(request: Request, limit: int) -> bytes:
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


async def hear_out(request: Request) -> None:
    """Let a client that is still sending finish, so that it reads the answer, but not for ever. Keeps nothing of it."""
    if request.headers.get("expect", "").lower() == "100-continue":
        return  # it has not begun
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_HEAR_OUT_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > _HEAR_OUT_BYTES:
                    return


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {limit} bytes, the most that one request may have.")


async def unless_disconnected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`; when the client leaves first, `work` is cancelled.

    Raises:
        ClientDisconnect: the client left.
    """
    working = asyncio.current_task()
    assert working is not None
    left = False

    def leave(_: "asyncio.Task[None]") -> None:
        nonlocal left
        left = True
        working.cancel()

    watch = asyncio.create_task(_disconnected(request))
    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if left and not working.uncancel():  # else somebody else cancels as well, such as a server that stops
            raise ClientDisconnect from None
        raise
    finally:
        watch.remove_done_callback(leave)
        watch.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

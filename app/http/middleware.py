"""The middleware stack: gate, CORS, API keys, HEAD, draining; and the reporters called after each request.

The gate opens the context of a request (app/telemetry/request_context.py) and gives it to the reporters when the
request is over. This module knows the service as a whole, and does not know the endpoints.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Unavailable
from app.http.auth import ApiKeyMiddleware, KeyRing, read_keys
from app.http.request import ERROR_TYPE, HELD, ONLY_HEAD, local_path
from app.http.responses import CLIENT_GONE, answer_error, error_response
from app.service import Service
from app.telemetry.logs import log_request
from app.telemetry.request_context import RequestContext, current_request
from app.telemetry.tracing import Traces

logger = logging.getLogger("nagayomi.http")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")

# The policy of every answer; the web page sets a wider one for itself (http/pages.py).
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
_ROUTED = ("endpoint", "path_params", "root_path", "route")  # keys that the router adds to a scope, for the gate
_TRACE_HEADERS = ("traceparent", "tracestate")

# Paths that are reported by name even when no route is reached, for example because a key is missing.
_COUNTED = frozenset(
    (
        *("/", "/qa", "/summarize", "/classify", "/extract", "/render"),
        *("/health", "/livez", "/readyz", "/info", "/metrics", "/docs"),
    )
)

# Headers that a web page of another origin may send and read, where cors_origins allows that origin.
_CORS_METHODS = ("GET", "POST", "DELETE")
_CORS_SENT = (
    *("Authorization", "Content-Type", "Prefer", "X-Api-Key", "X-Request-Id", "X-Timeout-Ms"),
    *_TRACE_HEADERS,
)
_CORS_SHOWN = (
    *("Location", "Preference-Applied"),
    *("Retry-After", "WWW-Authenticate", "X-Request-Id"),
    *("X-Compute-Tokens", "X-Total-Time", "X-Tokenization-Time", "X-Queue-Time", "X-Inference-Time"),
)


def add_middleware(app: FastAPI, service: Service, traces: Traces | None) -> None:
    """Put the stack around an application.

    Raises:
        InvalidInput: the keys of the settings cannot be used.
    """
    settings, telemetry = service.settings, service.telemetry
    reports: list[Callable[[RequestContext], None]] = [telemetry.over, log_request]
    if traces is not None:
        reports.append(traces.report)
    # They are added from the inside out: the last one is the first to see a request.
    app.add_middleware(Held, service=service)
    app.add_middleware(HeadAsGet)
    if settings.needs_key:
        keys = KeyRing(read_keys(settings), settings)
        telemetry.watch(keys.holders)
        app.add_middleware(ApiKeyMiddleware, keys=keys)
    if settings.cors_origins:
        app.add_middleware(Cors, origins=settings.cors_origins)
    app.add_middleware(Gate, paths=_COUNTED, reports=reports)


class Cors(CORSMiddleware):
    """Answers the preflights of browsers; a refusal has the form of every other error.

    Args:
        origins: those of the pages that may send requests and read the answers.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_SENT,
            expose_headers=_CORS_SHOWN,
        )

    def show(self, answer: Response, request_headers: Headers) -> None:
        """Let a page of an allowed origin read an answer that did not come through this stack."""
        if (origin := request_headers.get("origin")) is None:
            return
        answer.headers.update(self.simple_headers)
        if not self.allow_all_origins and self.is_allowed_origin(origin=origin):
            self.allow_explicit_origin(answer.headers, origin)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight."""
        answer = super().preflight_response(request_headers)
        if answer.status_code == 200:
            return answer
        context = current_request.get()
        assert context is not None, "the gate stands before this"
        reasons = bytes(answer.body).decode().removeprefix("Disallowed CORS ")
        message = (
            f"A page of this origin may not send this request; not allowed is: {reasons}. Allowed are the origins in "
            f"cors_origins, the methods {', '.join(_CORS_METHODS)} and the headers {', '.join(_CORS_SENT)}."
        )
        headers = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return error_response(context.request_id, answer.status_code, "preflight_refused", message, headers)


class Held:
    """Makes draining wait for every POST from its head on, so that a body that still arrives is answered."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        with self._service.holding() as held:
            scope["state"][HELD] = held
            await self._app(scope, receive, send)


class HeadAsGet:
    """Answers HEAD where there is GET: the same status and headers, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        has_ended = False

        async def receive_until_answered() -> Message:
            return {"type": "http.disconnect"} if has_ended else await receive()  # ends a stream without an end

        async def send_head(message: Message) -> None:
            nonlocal has_ended
            if message["type"] == "http.response.start":
                await send(message)
            elif not has_ended:
                has_ended = True
                await send({"type": "http.response.body", "body": b""})

        scope.setdefault("state", {})[ONLY_HEAD] = True
        inner = {**scope, "method": "GET"}  # the server reads its own scope
        try:
            await self._app(inner, receive_until_answered, send_head)
        finally:
            scope.update({name: inner[name] for name in _ROUTED if name in inner})


class Gate:
    """The outermost middleware: gives every request an id and a context, and turns unforeseen errors into a 500.

    Args:
        paths: reported by name where no route was reached; every other path is reported as "other", so that no client
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

        # Read before the call: a mounted application adds its own path to the scope.
        root, path = scope.get("root_path", ""), local_path(scope)
        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:  # the server stops, for example while a body is arriving
            if status is not None:
                raise
            error = Unavailable("The service is shutting down.")
            await answer_error(request_id, error)(scope, receive, send_with_id)
        except Exception:  # the last resort: the client gets a sentence, and the log gets the traceback
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
            scope["state"][ERROR_TYPE] = context.error_type
            for report in self._reports:
                report(context)
            current_request.reset(outer)

    def _endpoint(self, scope: Scope, root: str, path: str) -> str:
        # The router has left two values in the scope: the path of a mounted application, and the template of the route.
        mount = scope.get("root_path", "").removeprefix(root)
        template = f"{mount}{getattr(scope.get('route'), 'path', '')}"
        return template or (path if path in self._paths else "other")


def _request_id(sent: str | None) -> str:
    """The client's own id when logs and headers can hold it, else a new one."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex

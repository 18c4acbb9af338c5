"""Lets in who has a key; stands between the gate and the routes when keys are configured.

What stays open is what a browser or an orchestrator asks before it can know a key. Everything else, paths that do not
exist included, wants one: what is added later is closed until it is named here. Knows nothing of what is asked for.
"""

from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import NagayomiError
from app.http.auth import KeyRing
from app.telemetry.request_context import current_request
from app.transport import answer_error, hear_out, local_path

# For reading only: a POST to `/` is a task.
OPEN_PATHS = frozenset(
    ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready")
)
OPEN_FOLDER = "/static/"


class Guard:
    """Answers 401 without a known key, 429 when the key has too many requests running, and lets the rest through."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or _is_open(scope):
            await self._app(scope, receive, send)
            return
        with ExitStack() as running:
            try:
                holder = self._keys.find(_token(Headers(scope=scope)))
                if (context := current_request.get()) is not None:
                    context.key = holder.name
                running.enter_context(holder.request())
            except NagayomiError as error:
                await hear_out(Request(scope, receive))
                await answer_error(scope["state"]["request_id"], error)(scope, receive, send)
                return
            await self._app(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    path = local_path(scope)
    return scope.get("method") in ("GET", "HEAD") and (path in OPEN_PATHS or path.startswith(OPEN_FOLDER))


def _token(headers: Headers) -> bytes | None:
    """The token, from the header that is ours alone if it is there: `Authorization` may be meant for a proxy."""
    if (token := headers.get("x-api-key")) is not None:
        return token.strip().encode("latin-1")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else None

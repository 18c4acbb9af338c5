"""What every request passes on its way to a route: the gate, then CORS, then the guard.

Also who hears of a request that is over: metrics, log, traces. Knows the settings, and nothing of the routes.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from app.guard import Guard
from app.http.auth import KeyRing, read_keys
from app.settings import Settings
from app.telemetry.logs import log_request
from app.telemetry.metrics import Telemetry
from app.telemetry.request_context import RequestContext
from app.telemetry.tracing import Traces
from app.transport import Gate

# Reported by name where no route is reached, as when a key is missing.
_COUNTED = frozenset(
    ("/", "/qa", "/summarize", "/classify", "/health", "/livez", "/readyz", "/info", "/metrics", "/docs")
)

# What a web page of another origin may send and see, where cors_origins lets it.
_CORS_SENT = ("Authorization", "Content-Type", "X-Api-Key", "X-Request-Id", "X-Timeout-Ms")
_CORS_SHOWN = (
    *("Retry-After", "WWW-Authenticate", "X-Request-Id"),
    *("X-Compute-Tokens", "X-Total-Time", "X-Tokenization-Time", "X-Queue-Time", "X-Inference-Time"),
)


def add_layers(app: FastAPI, settings: Settings, telemetry: Telemetry, traces: Traces | None) -> None:
    """Put the layers around an application.

    Raises:
        InvalidInput: the keys of the settings cannot be used.
    """
    reports: list[Callable[[RequestContext], None]] = [telemetry.over, log_request]
    if traces is not None:
        reports.append(traces.report)
    # From the inside out: the last one added is the first to see a request.
    if settings.needs_key:
        keys = KeyRing(read_keys(settings), settings)
        telemetry.watch(keys.holders)
        app.add_middleware(Guard, keys=keys)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=_CORS_SENT,
            expose_headers=_CORS_SHOWN,
        )
    app.add_middleware(Gate, paths=_COUNTED, reports=reports)


def key_schemes(settings: Settings) -> list[Any]:
    """For /docs and for clients made from the schema: the two ways to send a key. The guard is what asks for it."""
    if not settings.needs_key:
        return []
    how = "A key of this server, as `nagayomi keys` makes them."
    return [
        Security(HTTPBearer(auto_error=False, description=how)),
        Security(APIKeyHeader(name="X-API-Key", auto_error=False, description=how)),
    ]

"""The HTTP application: its layers, the routes of the tasks, life of the process, and the table of errors.

`create_app(settings)` builds it. Knows HTTP and the service, and nothing of how a text is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app import __version__
from app.bodies import parse_request
from app.context import RequestContext
from app.errors import NagayomiError
from app.guard import Guard
from app.keys import KeyRing, read_keys
from app.logs import log_request
from app.operations import describe, operations
from app.page import add_page
from app.schemas import (
    ClassifyRequest,
    ClassifyResponse,
    ErrorResponse,
    QaRequest,
    QaResponse,
    SummarizeRequest,
    SummarizeResponse,
)
from app.service import Service
from app.session import check_provider
from app.settings import Settings
from app.tracing import traces_from_environment
from app.transport import CLIENT_GONE, Gate, answer_error, error_response, read_body, unless_disconnected

RequestT = TypeVar("RequestT", bound=BaseModel)
ResponseT = TypeVar("ResponseT", QaResponse, SummarizeResponse, ClassifyResponse)

logger = logging.getLogger("nagayomi")

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

_ERRORS: dict[int, str] = {
    401: "No key, or one that this server does not know, where keys are asked for.",
    404: "No such model.",
    413: "The body or the texts are too large.",
    422: "The request is not one the endpoint takes.",
    429: "The queue is full, or the key's other requests use up what one key may have; see Retry-After.",
    503: "Not ready, shutting down, or the engine failed.",
    504: "Not answered in time.",
}


def create_app(settings: Settings) -> FastAPI:
    """The application. Models load in the background of its start, so that liveness answers from the first moment.

    Raises:
        InvalidInput: the keys of the settings cannot be used.
        Unavailable: the OTEL_* variables ask for traces that cannot be sent.
    """
    service = Service(settings)
    telemetry = service.telemetry
    telemetry.ready.set_function(lambda: service.state == "ready")
    keys = KeyRing(read_keys(settings), settings)
    telemetry.watch(keys.callers)
    traces = traces_from_environment()
    reports: list[Callable[[RequestContext], None]] = [telemetry.over, log_request]
    if traces is not None:
        reports.append(traces.report)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        check_provider(settings.provider)
        loading = asyncio.create_task(service.load())
        loading.add_done_callback(_report_loading)
        try:
            yield
        finally:
            await asyncio.gather(loading, return_exceptions=True)
            await service.close()
            if traces is not None:
                await asyncio.to_thread(traces.close)

    app = FastAPI(
        title="Nagayomi",
        summary="Reads long Japanese documents: question answering, summaries, classification.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=_key_schemes() if settings.needs_key else None,
    )
    app.include_router(_tasks(service))
    app.include_router(operations(service))
    add_page(app)
    # From the inside out: the last one added is the first to see a request.
    if settings.needs_key:
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
    app.add_exception_handler(NagayomiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    app.state.info = lambda: describe(service)  # for the process around it, which has no key
    return app


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`: settings from NAGAYOMI_* variables."""
    return create_app(Settings())


def _key_schemes() -> list[Any]:
    """For /docs and clients made from the schema: the two ways to send a key. The guard is what asks for it."""
    how = "A key of this server, as `nagayomi keys` makes them."
    return [
        Security(HTTPBearer(auto_error=False, description=how)),
        Security(APIKeyHeader(name="X-API-Key", auto_error=False, description=how)),
    ]


def _report_loading(loading: asyncio.Task[None]) -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        logger.error("the models could not be loaded", exc_info=error)


def _tasks(service: Service) -> APIRouter:
    router = APIRouter(tags=["tasks"])

    async def answer(
        request: Request, model: type[RequestT], call: Callable[[RequestT], Awaitable[ResponseT]]
    ) -> Response:
        body = await read_body(request, service.settings.max_body_bytes)
        parsed = parse_request(body, model)

        async def work() -> ResponseT:
            return await call(parsed)

        result = await unless_disconnected(request, work())
        # Written by pydantic in one pass, past FastAPI's own validation of what was valid when it was made.
        return Response(
            result.model_dump_json(),
            media_type="application/json",
            headers={
                "x-compute-tokens": str(result.usage.tokens),
                "x-total-time": f"{result.timings.total_ms:.1f}",
                "x-tokenization-time": f"{result.timings.tokenize_ms:.1f}",
                "x-queue-time": f"{result.timings.queue_ms:.1f}",
                "x-inference-time": f"{result.timings.infer_ms:.1f}",
            },
        )

    @router.post("/qa", summary="Answer questions about a text", **_documented(QaRequest, QaResponse))
    async def qa(request: Request) -> Response:
        return await answer(request, QaRequest, service.qa)

    @router.post("/summarize", summary="Summarise a text", **_documented(SummarizeRequest, SummarizeResponse))
    async def summarize(request: Request) -> Response:
        return await answer(request, SummarizeRequest, service.summarize)

    @router.post("/classify", summary="Classify a text", **_documented(ClassifyRequest, ClassifyResponse))
    async def classify(request: Request) -> Response:
        return await answer(request, ClassifyRequest, service.classify)

    return router


def _documented(request: type[BaseModel], response: type[BaseModel]) -> dict[str, Any]:
    """What /docs shows. The body is read by hand, for its errors and its limit, so FastAPI cannot see its schema."""
    content = {"application/json": {"schema": request.model_json_schema()}}
    return {
        "response_model": response,
        "responses": {status: {"model": ErrorResponse, "description": text} for status, text in _ERRORS.items()},
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NagayomiError)
    return answer_error(request.state.request_id, error)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Errors of the router: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    request_id = request.state.request_id
    if error.status_code == 404:
        return error_response(request_id, 404, "not_found", "There is nothing at this path; /docs lists what there is.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        message = f"{request.method} is not allowed here, but {allowed} is."
        return error_response(request_id, 405, "method_not_allowed", message, error.headers)
    return error_response(request_id, error.status_code, "http", f"{error.detail}.", error.headers)


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)

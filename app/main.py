"""The HTTP application: routes, life of the process, and the table of errors.

`create_app(settings)` builds it. Knows HTTP and the service, and nothing of how a text is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Mount

from app import __version__
from app.callers import caller_of, timeout_parameter
from app.engine.process import check_provider
from app.errors import NagayomiError
from app.files.extraction import Extractor
from app.http.compat import hugging_face, kserve, tei
from app.http.compat.hugging_face_schemas import ANSWERS, PAYLOADS
from app.http.files import add_files
from app.http.openapi import Responses, json_body
from app.http.pages import add_page
from app.layers import add_layers, key_schemes
from app.manifest import Task
from app.schemas import (
    ClassifyRequest,
    ClassifyResponse,
    ErrorResponse,
    Health,
    Info,
    Limits,
    ModelInfo,
    QaRequest,
    QaResponse,
    SummarizeRequest,
    SummarizeResponse,
)
from app.service import Caller, Service
from app.settings import Settings
from app.telemetry.tracing import traces_from_environment
from app.transport import (
    CLIENT_GONE,
    answer_error,
    error_response,
    read_body,
    stage_headers,
    unless_disconnected,
)
from app.validation import parse_object, validate

RequestT = TypeVar("RequestT", bound=BaseModel)
ResponseT = TypeVar("ResponseT", QaResponse, SummarizeResponse, ClassifyResponse)

logger = logging.getLogger("nagayomi")

_ERRORS: dict[int, str] = {
    401: "No key, or one that this server does not know, where keys are asked for.",
    404: "No such model.",
    408: "The body was not sent in time.",
    413: "The body or the texts are too large.",
    422: "The request is not one the endpoint takes.",
    429: "The queue is full, or the key's other requests use up what one key may have; see Retry-After.",
    503: "Not ready, shutting down, or the engine failed.",
    504: "Not answered in time.",
}
_RESPONSES: Responses = {status: {"model": ErrorResponse, "description": text} for status, text in _ERRORS.items()}

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")

_TASK_OF: dict[type[BaseModel], Task] = {QaRequest: "qa", SummarizeRequest: "summarize", ClassifyRequest: "classify"}


def create_app(settings: Settings) -> FastAPI:
    """The application. Models load in the background of its start, so that liveness answers from the first moment.

    Raises:
        InvalidInput: the keys of the settings cannot be used.
        Unavailable: the OTEL_* variables ask for traces that cannot be sent.
    """
    service = Service(settings)
    service.telemetry.ready.set_function(lambda: service.state == "ready")
    traces = traces_from_environment()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        check_provider(settings.provider)
        loading = asyncio.create_task(service.load())
        loading.add_done_callback(_report_loading)
        app.state.loading = loading
        try:
            yield
        finally:
            loading.cancel()
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
        # FastAPI's own spans carry path and query as sent; ours (telemetry/tracing.py) do not.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
        dependencies=key_schemes(settings),
    )
    app.state.service = service  # for app/serve.py and app/ray/serve.py, which watch it and end it
    _add_tasks(app, service)
    add_files(app, settings, Extractor(settings.file_limits, settings.file_processes), _RESPONSES)
    app.include_router(_operations(service))
    for format_ in (hugging_face, tei, kserve):
        app.include_router(format_.routes(service, _RESPONSES))
    add_page(app)
    add_layers(app, settings, service.telemetry, traces)
    app.add_exception_handler(NagayomiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    return app


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`: settings from NAGAYOMI_* variables."""
    return create_app(Settings())


def _report_loading(loading: asyncio.Task[None]) -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        logger.error("the models could not be loaded", exc_info=error)


class _BareRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response; what is declared beside it is for /docs.

    FastAPI's own handler would look for parameters and dependencies and find none.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def _add_tasks(app: FastAPI, service: Service) -> None:
    """Add the three endpoints that matter, to the application itself: a router between would cost every request."""

    async def answer(
        request: Request, model: type[RequestT], call: Callable[[RequestT, Caller], Awaitable[ResponseT]]
    ) -> Response:
        caller = caller_of(request, service.settings)
        fields = parse_object(await read_body(request, service.settings))
        if hugging_face.is_payload(fields):
            return await hugging_face.answer(request, service, _TASK_OF[model], fields)
        parsed = validate(fields, model)
        result = await unless_disconnected(request, call(parsed, caller))
        # Written by pydantic in one pass, past FastAPI's own validation of what was valid when it was made.
        return Response(
            result.model_dump_json(),
            media_type="application/json",
            headers=stage_headers(result.usage, result.timings),
        )

    async def qa(request: Request) -> Response:
        return await answer(request, QaRequest, service.qa)

    async def summarize(request: Request) -> Response:
        return await answer(request, SummarizeRequest, service.summarize)

    async def classify(request: Request) -> Response:
        return await answer(request, ClassifyRequest, service.classify)

    post = partial(app.router.add_api_route, methods=["POST"], tags=["tasks"], route_class_override=_BareRoute)
    documented = partial(_documented, service.settings)
    post("/qa", qa, summary="Answer questions about a text", **documented(QaRequest, QaResponse))
    post("/summarize", summarize, summary="Summarise a text", **documented(SummarizeRequest, SummarizeResponse))
    post("/classify", classify, summary="Classify a text", **documented(ClassifyRequest, ClassifyResponse))


def _documented(settings: Settings, request: type[BaseModel], response: type[BaseModel]) -> dict[str, Any]:
    """What /docs shows: our own format, and Hugging Face's beside it."""
    task = _TASK_OF[request]
    return {
        "response_model": response | ANSWERS[task],
        "responses": _RESPONSES,
        "openapi_extra": {**json_body(request, PAYLOADS[task]), "parameters": [timeout_parameter(settings)]},
    }


def _operations(service: Service) -> APIRouter:
    router = APIRouter(tags=["operations"])

    def readiness() -> Response:
        ready = service.state == "ready"
        health = Health(
            status=service.state,
            models=sorted(service.store.models),
            broken=service.store.broken,
            reason=None if ready else service.why_not_ready(),
        )
        return Response(health.model_dump_json(), 200 if ready else 503, media_type="application/json")

    not_ready: dict[int | str, dict[str, Any]] = {503: {"model": Health, "description": "Not ready; says why."}}

    @router.get("/livez", summary="Whether the process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", summary="Whether requests can be answered", response_model=Health, responses=not_ready)
    async def readyz() -> Response:
        return readiness()

    @router.get("/health", summary="The same as /readyz", response_model=Health, responses=not_ready)
    async def health() -> Response:
        return readiness()

    @router.get("/info", summary="Models and limits")
    async def info() -> Info:
        return _info(service, "classify")

    # A Hugging Face client whose model is the address of a task asks below that address.
    for task in _TASK_OF.values():
        router.add_api_route(f"/{task}/health", health, include_in_schema=False)
        router.add_api_route(f"/{task}/info", partial(_info, service, task), include_in_schema=False)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(service.telemetry.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _info(service: Service, task: Task) -> Info:
    settings = service.settings
    models = [
        ModelInfo(
            name=model.name,
            task=model.manifest.task,
            max_tokens=model.manifest.max_tokens,
            doc_stride=model.manifest.doc_stride,
            labels=list(model.manifest.labels),
            label_names=model.manifest.label_names,
            precision=model.manifest.precision_on(model.provider),
            attention_pattern=model.manifest.attention_pattern,
            block_size=model.manifest.block_size,
            provider=model.provider,
            licence=model.manifest.licence,
            source=model.manifest.source,
        )
        for _, model in sorted(service.store.models.items())
    ]
    limits = Limits(
        max_body_bytes=settings.max_body_bytes,
        max_text_characters=settings.max_text_characters,
        max_request_tokens=settings.max_request_tokens,
        max_questions=settings.max_questions,
        max_client_batch_size=settings.max_client_batch_size,
        request_timeout_s=settings.request_timeout_s,
        max_request_timeout_s=settings.max_request_timeout_s,
    )
    return Info(
        version=__version__,
        models=models,
        broken=service.store.broken,
        limits=limits,
        max_batch_tokens=settings.max_batch_tokens,
        max_queue_tokens=settings.max_queue_tokens,
        log_texts=settings.log_texts,
        max_client_batch_size=settings.max_client_batch_size,
        tokenization_workers=settings.text_threads,
        **tei.model_info(service, task),
    )


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
        allowed = ", ".join(_allowed_methods(request))
        message = f"{request.method} is not allowed here; allowed is {allowed}."
        return error_response(request_id, 405, "method_not_allowed", message, {"Allow": allowed})
    return error_response(request_id, error.status_code, "http", f"{error.detail}.", error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """Of all routes of this path: the router itself names only those of the first one it finds."""
    app: FastAPI = request.app

    def is_allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in app.routes if not isinstance(route, Mount))

    return [method for method in _METHODS if is_allowed(method)] or ["GET", "HEAD"]  # of a mount, which has only files


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)

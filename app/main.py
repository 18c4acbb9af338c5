"""The HTTP application: `create_app(settings)` puts endpoints, middleware and error handlers together.

It also loads the models in the background when the process starts, and closes them when it ends. The endpoints are in
app/http/endpoints.py. This module knows HTTP and the service, and does not know how a text is read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, Mount

from app import __version__
from app.engine.process import check_provider
from app.errors import NagayomiError
from app.files.extraction import Extractor
from app.http import operations
from app.http.compat import hugging_face, kserve, tei
from app.http.endpoints import add_tasks
from app.http.files import add_files
from app.http.jobs import add_jobs, jobs_of
from app.http.middleware import add_middleware
from app.http.openapi import ERROR_RESPONSES, describe
from app.http.pages import add_page
from app.http.responses import CLIENT_GONE, answer_error, error_response
from app.service import Service
from app.settings import Settings
from app.telemetry.tracing import traces_from_environment

logger = logging.getLogger("nagayomi")

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")


def create_app(settings: Settings) -> FastAPI:
    """The application. Models load in the background, so that liveness answers from the first moment.

    Raises:
        InvalidInput: the keys of the settings cannot be used.
        Unavailable: the OTEL_* variables ask for traces that cannot be sent.
    """
    service = Service(settings)
    service.telemetry.ready.set_function(lambda: service.state == "ready")
    traces = traces_from_environment()
    jobs = jobs_of(settings, service.telemetry)

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
            if jobs is not None:
                await jobs.close()
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
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.service = service  # for app/serve.py and app/ray/serve.py, which watch it and end it
    extractor = Extractor(settings.file_limits, settings.file_processes, settings.max_waiting_files)
    service.telemetry.waiting_files.set_function(lambda: extractor.waiting)
    add_tasks(app, service, extractor, jobs)
    add_files(app, service, extractor, ERROR_RESPONSES)
    if jobs is not None:
        add_jobs(app, jobs, settings, ERROR_RESPONSES)
    app.include_router(operations.routes(service))
    for format_ in (hugging_face, tei, kserve):
        app.include_router(format_.routes(service, ERROR_RESPONSES))
    add_page(app)
    describe(app, settings, lambda: {name: model.manifest.task for name, model in service.store.models.items()})
    add_middleware(app, service, traces)
    app.add_exception_handler(NagayomiError, _answer_error)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(ClientDisconnect, _answer_nobody)
    return app


def from_environment() -> FastAPI:
    """For `uvicorn --factory app.main:from_environment`: settings from NAGAYOMI_* variables.

    `nagayomi serve` does more: it bounds the heads of requests, refuses a public address without keys, and drains.
    """
    return create_app(Settings())


def _report_loading(loading: asyncio.Task[None]) -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        logger.error("the models could not be loaded", exc_info=error)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, NagayomiError)
    return answer_error(request.state.request_id, error)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Errors of the router: no such path, method not allowed."""
    assert isinstance(error, HTTPException)
    request_id = request.state.request_id
    if error.status_code == 404:
        return error_response(request_id, 404, "not_found", "There is nothing at this path; /docs lists all paths.")
    if error.status_code == 405:
        allowed = ", ".join(_allowed_methods(request))
        message = f"{request.method} is not allowed at this path; allowed: {allowed}."
        return error_response(request_id, 405, "method_not_allowed", message, {"Allow": allowed})
    return error_response(request_id, error.status_code, "http", f"{error.detail}.", error.headers)


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes of this path: the router itself names only those of the first route that matches."""
    app: FastAPI = request.app

    def is_allowed(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in app.routes if not isinstance(route, Mount))

    allowed = {method for method in _METHODS if is_allowed(method)} or {"GET"}  # of a mount, which has only files
    return sorted(allowed | ({"HEAD"} if "GET" in allowed else set()))  # see HeadAsGet


async def _answer_nobody(request: Request, error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)

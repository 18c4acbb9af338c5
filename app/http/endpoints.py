"""The endpoints of the tasks, in the service's own format: POST /qa, /summarize and /classify.

A body with `inputs` is in the format of Hugging Face and is handed on. Knows requests and responses; nothing of how a
text is read.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.http.compat import hugging_face
from app.http.compat.hugging_face_schemas import ANSWERS, PAYLOADS
from app.http.openapi import ERROR_RESPONSES, json_body, timeout_parameter
from app.http.request import add_model_of_query, caller_of, read_body, unless_disconnected
from app.http.responses import stage_headers
from app.service import Service
from app.settings import Settings
from app.tasks.base import TaskSpec
from app.tasks.registry import TASKS
from app.types import Task
from app.validation import parse_object, validate

_SUMMARIES: dict[Task, str] = {
    "qa": "Answer questions about a text",
    "summarize": "Summarise a text",
    "classify": "Classify a text",
}


class _BareRoute(APIRoute):
    """A route whose endpoint takes the request and gives the response; what is declared next to it is for /docs.

    FastAPI's own handler would look for parameters and dependencies and find none.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


def add_tasks(app: FastAPI, service: Service) -> None:
    """Add the endpoints to the application itself: a router between would cost every request."""
    for task in TASKS.values():
        app.router.add_api_route(
            f"/{task.name}",
            _endpoint(service, task),
            name=task.name,
            methods=["POST"],
            tags=["tasks"],
            route_class_override=_BareRoute,
            summary=_SUMMARIES[task.name],
            **_documented(service.settings, task),
        )


def _endpoint(service: Service, task: TaskSpec[Any, Any, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        caller = caller_of(request, service.settings)
        fields = parse_object(await read_body(request, service.settings))
        if hugging_face.is_payload(fields):
            return await hugging_face.answer(request, service, task.name, fields)
        add_model_of_query(request, fields)
        parsed = validate(fields, task.request)
        result = await unless_disconnected(request, service.answer(task, parsed, caller))
        # Written by pydantic in one pass, past FastAPI's own validation of what was valid when it was made.
        return Response(
            result.model_dump_json(),
            media_type="application/json",
            headers=stage_headers(result.usage, result.timings),
        )

    return endpoint


def _documented(settings: Settings, task: TaskSpec[Any, Any, Any]) -> dict[str, Any]:
    """What /docs shows: our own format, and Hugging Face's next to it."""
    return {
        "response_model": task.response | ANSWERS[task.name],
        "responses": ERROR_RESPONSES,
        "openapi_extra": {
            **json_body(task.request, PAYLOADS[task.name]),
            "parameters": [timeout_parameter(settings)],
        },
    }

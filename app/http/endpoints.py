"""The endpoints of the tasks, in the service's own format: POST /qa, /summarize and /classify.

A body is JSON with a text or documents, or a form with files. A body with `inputs` is in the format of Hugging Face and
is passed to http/compat/. This module knows requests and responses, and does not know how a text is read.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from app.asking import Answer, ask_in_json, ask_of_files
from app.errors import UnsupportedMediaType
from app.files.extraction import Extractor
from app.http.compat import hugging_face
from app.http.compat.hugging_face_schemas import ANSWERS, PAYLOADS
from app.http.examples import ANSWERED, JOB_STARTED, form_of, of_task
from app.http.forms import FILE_FIELD, read_form, values_of
from app.http.jobs import becomes_job, start_job
from app.http.media_types import is_json, media_type
from app.http.openapi import ERROR_RESPONSES, FORM, prefer_parameter, task_body, timeout_parameter
from app.http.request import add_model_of_query, caller_of, drain_body, parsed, read_body, unless_disconnected
from app.http.responses import stage_headers
from app.jobs import Jobs
from app.schemas import ErrorResponse
from app.schemas.jobs import JobInfo
from app.service import Service
from app.settings import Settings
from app.tasks.base import TaskSpec
from app.tasks.registry import TASKS
from app.types import Task
from app.validation import parse_object

# The names of the operations in clients that are generated from the schema.
_OPERATIONS: dict[Task, str] = {"qa": "ask", "summarize": "summarize", "classify": "classify"}
_SUMMARIES: dict[Task, str] = {
    "qa": "Answer questions about texts or files",
    "summarize": "Summarise texts or files",
    "classify": "Classify texts or files",
}


class _BareRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response; its other arguments only document it in /docs.

    FastAPI's own handler would look for parameters and dependencies and find none.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return self.endpoint


@dataclass(frozen=True)
class _Asked:
    """A valid request, and its size in bytes."""

    answer: Answer
    size: int


def add_tasks(app: FastAPI, service: Service, extractor: Extractor, jobs: Jobs | None) -> None:
    """Add the endpoints to the application itself: a router in between would slow down every request.

    Args:
        jobs: None where the settings allow no jobs.
    """
    for task in TASKS.values():
        app.router.add_api_route(
            f"/{task.name}",
            _endpoint(service, task, extractor, jobs),
            name=_OPERATIONS[task.name],
            methods=["POST"],
            tags=["tasks"],
            route_class_override=_BareRoute,
            summary=_SUMMARIES[task.name],
            **_documented(service.settings, task, with_jobs=jobs is not None),
        )


def _endpoint(
    service: Service, task: TaskSpec[Any, Any, Any], extractor: Extractor, jobs: Jobs | None
) -> Callable[[Request], Awaitable[Response]]:
    settings = service.settings

    async def endpoint(request: Request) -> Response:
        caller = caller_of(request, settings)
        if (sent := media_type(request)) == FORM:
            asked = await _asked_in_form(request)
        elif is_json(sent):
            body = await read_body(request, settings)
            fields = await parsed(body, parse_object)
            if hugging_face.is_payload(fields):
                return await hugging_face.answer(request, service, task.name, fields)
            add_model_of_query(request, fields)
            asked = _Asked(ask_in_json(service, task, fields), len(body))
        else:
            await drain_body(request)
            raise UnsupportedMediaType(
                f"The body is {sent[:100]!r}; send application/json, or files as parts named `{FILE_FIELD}` of {FORM}."
            )
        if jobs is not None and becomes_job(request, asked.size, settings):
            service.require_ready()
            return start_job(request, jobs, settings, asked.answer, asked.size)
        result = await unless_disconnected(request, asked.answer(caller, None))
        # Pydantic writes the valid result in one pass; FastAPI would validate it a second time.
        return Response(
            result.model_dump_json(),
            media_type="application/json",
            headers=stage_headers(result.usage, result.timings),
        )

    async def _asked_in_form(request: Request) -> _Asked:
        form = await read_form(request, settings, max_files=settings.max_client_batch_size)
        fields = values_of(form, task.fields)
        add_model_of_query(request, fields)
        answer = ask_of_files(service, task, fields, len(form.files), partial(extractor.read_all, form.files))
        return _Asked(answer, sum(len(file.data) for file in form.files))

    return endpoint


def _documented(settings: Settings, task: TaskSpec[Any, Any, Any], *, with_jobs: bool) -> dict[str, Any]:
    """The documentation of an endpoint in /docs: our own formats, and Hugging Face's next to them."""
    responses = {
        **ERROR_RESPONSES,
        200: {"content": {"application/json": {"example": ANSWERED[task.name]}}},
        415: {
            "model": ErrorResponse,
            "description": "The media type of the body, or a file's format, is not read.",
        },
    }
    parameters = [timeout_parameter(settings)]
    if with_jobs:
        responses[202] = {
            "model": JobInfo,
            "description": "A job was started; the header Location holds its path.",
            "content": {"application/json": {"example": JOB_STARTED}},
        }
        parameters.append(prefer_parameter(settings))
    return {
        "response_model": task.response | task.documents_response | ANSWERS[task.name],
        "responses": responses,
        "openapi_extra": {
            **task_body(
                task.request,
                task.documents_request,
                PAYLOADS[task.name],
                fields=task.fields,
                examples=of_task(task.name),
                form=form_of(task.name),
            ),
            "parameters": parameters,
        },
    }

"""Jobs over HTTP: 202 for `Prefer: respond-async`, GET and DELETE /jobs/{job_id}, and progress as server-sent events.

A job belongs to the key that started it. When the queue is full, a job waits where a request would be refused. This
module does not know the texts that a job reads.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated

from fastapi import FastAPI, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.asking import Answer
from app.http.examples import JOB_EVENTS, JOB_STARTED, JOBS
from app.http.openapi import Responses
from app.http.request import ONLY_HEAD, TIMEOUT_HEADER, caller_of
from app.jobs import Job, JobLimits, Jobs, Work
from app.schemas.jobs import JobError, JobInfo
from app.schemas.results import ErrorResponse
from app.service import Caller
from app.settings import Settings
from app.telemetry.logs import log_job
from app.telemetry.metrics import Telemetry

PREFERENCE = "respond-async"
EVENTS = "text/event-stream"

JobId = Annotated[
    str,
    Path(
        description="`id` of the answer 202.",
        openapi_examples={"job": {"summary": "The job of an example", "value": JOB_STARTED["id"]}},
    ),
]

_KEEP_ALIVE_S = 15.0  # proxies close silent connections


def jobs_of(settings: Settings, telemetry: Telemetry) -> Jobs | None:
    """The jobs of one application, counted and logged at their ends; None where the settings allow none."""
    if not settings.max_jobs:
        return None
    limits = JobLimits(settings.max_jobs, settings.max_key_jobs, settings.max_job_bytes, settings.job_keep_s)

    def observe(job: Job) -> None:
        error_type = "" if job.error is None else job.error.error_type
        telemetry.jobs_finished.labels(job.state, error_type).inc()
        log_job(job.id, job.owner, job.state, error_type, job.tokens, time.monotonic() - job.begun)

    jobs = Jobs(limits, observe)
    telemetry.jobs.labels("running").set_function(lambda: jobs.running)
    telemetry.jobs.labels("kept").set_function(lambda: jobs.kept)
    return jobs


def becomes_job(request: Request, size: int, settings: Settings) -> bool:
    """Whether the client prefers a job to an immediate answer, and the request is large enough for one.

    RFC 7240 lets a server ignore a preference; `Preference-Applied` in the response tells whether it did.
    """
    if size < settings.min_job_bytes:
        return False
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return any(preference.partition(";")[0].strip() == PREFERENCE for preference in preferences)


def start_job(request: Request, jobs: Jobs, settings: Settings, answer: Answer, size: int) -> Response:
    """Begin a job, and answer with its path.

    Args:
        size: bytes that the request holds in memory.

    Raises:
        Overloaded: as many jobs run or are kept as the settings allow.
        BodyTooLarge: the request is larger than all jobs may be.
    """
    caller = replace(caller_of(request, settings), waits=True, held=False)  # the job goes on when the request is over
    if TIMEOUT_HEADER not in request.headers:
        caller = replace(caller, timeout_s=settings.job_timeout_s)
    job = jobs.start(caller.name, size, _work(answer, caller))
    headers = {
        "Location": f"{request.scope.get('root_path', '')}/jobs/{job.id}",
        "Preference-Applied": PREFERENCE,
    }
    return Response(_as_json(job), 202, headers=headers, media_type="application/json")


def _work(answer: Answer, caller: Caller) -> Work:
    async def work(job: Job) -> bytes:
        result = await answer(caller, job.report)
        job.tokens = result.usage.tokens
        return result.model_dump_json().encode()

    return work


def add_jobs(app: FastAPI, jobs: Jobs, settings: Settings, errors: Responses) -> None:
    """Add the two endpoints."""

    async def job(request: Request, job_id: JobId) -> Response:
        found = jobs.find(caller_of(request, settings).name, job_id)
        with_body = not getattr(request.state, ONLY_HEAD, False)
        if EVENTS in request.headers.get("accept", "").lower():
            events = _events(found, fetches=with_body)
            # nginx would hold small events back until its buffer is full.
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(events, media_type=EVENTS, headers=headers)
        if with_body:
            found.fetched = found.fetched or found.state != "running"
        return Response(_as_json(found), media_type="application/json", headers={"Cache-Control": "no-store"})

    async def delete(request: Request, job_id: JobId) -> Response:
        jobs.remove(caller_of(request, settings).name, job_id)
        return Response(status_code=204)

    responses: Responses = {
        401: errors[401],
        404: {"model": ErrorResponse, "description": "No such job, or another key's."},
        422: errors[422],
    }
    app.router.add_api_route(
        "/jobs/{job_id}",
        job,
        name="get_job",
        methods=["GET"],
        tags=["jobs"],
        summary="How far a job is, and its result",
        response_model=JobInfo,
        responses={
            **responses,
            200: {
                "model": JobInfo,
                "content": {
                    "application/json": {"examples": JOBS},
                    EVENTS: {"schema": {"type": "string"}, "example": JOB_EVENTS},
                },
            },
        },
    )
    app.router.add_api_route(
        "/jobs/{job_id}",
        delete,
        name="delete_job",
        methods=["DELETE"],
        tags=["jobs"],
        summary="Cancel a job, or forget one that is over",
        status_code=204,
        response_class=Response,
        responses=responses,
    )


async def _events(job: Job, *, fetches: bool) -> AsyncIterator[bytes]:
    """Progress until the job is over, then its end.

    Args:
        fetches: whether the events reach the client, so that it has the result then.
    """
    yield _event("progress", job)
    async for changed in job.changes(_KEEP_ALIVE_S):
        if not changed:
            yield b": the job runs\n\n"
        elif job.state == "running":
            yield _event("progress", job)
    yield _event(job.state, job)
    job.fetched = job.fetched or fetches


def _event(name: str, job: Job) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _as_json(job) + b"\n\n"


def _as_json(job: Job) -> bytes:
    error = None if job.error is None else JobError(error=str(job.error), error_type=job.error.error_type)
    info = JobInfo(id=job.id, status=job.state, windows=job.windows, windows_done=job.windows_done, error=error)
    # The result is JSON already, and may be long.
    head = info.model_dump_json(exclude={"result"}).encode()
    return head[:-1] + b',"result":' + (job.result or b"null") + b"}"

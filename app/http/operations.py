"""The endpoints about the service itself: liveness, readiness, models and limits, metrics.

This module knows the state of the service, and of its tasks only the names.
"""

from functools import partial
from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app import __version__
from app.http.compat import tei
from app.schemas import Health, Info, Limits, ModelInfo
from app.service import Service
from app.tasks.registry import TASKS
from app.types import Task


def routes(service: Service) -> APIRouter:
    """The routes."""
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

    not_ready: dict[int | str, dict[str, Any]] = {
        503: {"model": Health, "description": "Not ready; `reason` says why."}
    }

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

    # A Hugging Face client that takes the address of a task as its model sends these requests below that address.
    for task in TASKS:
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
            null_score_diff_threshold=model.manifest.null_score_diff_threshold,
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
        max_upload_bytes=settings.max_upload_bytes,
        max_file_bytes=settings.max_file_bytes,
        max_file_characters=settings.max_file_characters,
        max_file_pages=settings.max_file_pages,
        max_text_characters=settings.max_text_characters,
        max_request_tokens=settings.max_request_tokens,
        max_questions=settings.max_questions,
        max_client_batch_size=settings.max_client_batch_size,
        request_timeout_s=settings.request_timeout_s,
        max_request_timeout_s=settings.max_request_timeout_s,
        max_jobs=settings.max_jobs,
        min_job_bytes=settings.min_job_bytes,
        job_timeout_s=settings.job_timeout_s,
        job_keep_s=settings.job_keep_s,
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

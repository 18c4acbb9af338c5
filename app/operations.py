"""Routes for those who run the service: liveness, readiness, what is served, and metrics.

Knows the service's state and limits, and nothing of tasks.
"""

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app import __version__
from app.schemas import Health, Info, Limits, ModelInfo
from app.service import Service


def operations(service: Service) -> APIRouter:
    """The routes that answer about the service itself."""
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
        return describe(service)

    @router.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(service.telemetry.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def describe(service: Service) -> Info:
    """What /info answers."""
    settings = service.settings
    models = [
        ModelInfo(
            name=model.name,
            task=model.manifest.task,
            max_tokens=model.manifest.max_tokens,
            doc_stride=model.manifest.doc_stride,
            labels=list(model.manifest.labels),
            label_names=model.manifest.label_names,
            precision=model.manifest.precision,
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
        request_timeout_s=settings.request_timeout_s,
    )
    return Info(
        version=__version__,
        models=models,
        broken=service.store.broken,
        limits=limits,
        max_batch_tokens=settings.max_batch_tokens,
        max_queue_tokens=settings.max_queue_tokens,
        log_texts=settings.log_texts,
    )

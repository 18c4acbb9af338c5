"""The endpoints that take a file and no model: POST /extract returns its text and structure, POST /render a page.

This module knows forms and the extractor, and does not know tasks.
"""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.files.extraction import Extracted, Extractor
from app.http.examples import EXTRACT_FORM, RENDER_FORM
from app.http.forms import read_form, values_of
from app.http.openapi import Responses, form_body
from app.http.request import unless_disconnected
from app.schemas import (
    BlockResult,
    ErrorResponse,
    ExtractFields,
    ExtractResponse,
    PageResult,
    RenderFields,
    WarningResult,
)
from app.service import Service
from app.tasks.base import offsets_of
from app.tasks.sources import boxes_of
from app.validation import validate

UNSUPPORTED = {"model": ErrorResponse, "description": "The body is no form, or the file's format is not read."}


def add_files(app: FastAPI, service: Service, extractor: Extractor, errors: Responses) -> None:
    """Add the two endpoints. They need no model, but the service waits for their answers before it ends."""
    settings = service.settings

    async def extract(request: Request) -> Response:
        form = await read_form(request, settings, max_files=1)
        fields = validate(values_of(form, ExtractFields), ExtractFields)
        with service.counted():
            extracted = await unless_disconnected(request, extractor.read(form.files[0]))
        offsets = offsets_of(extracted.document.text, fields.offset_unit)
        result = _result(extracted, offsets, with_boxes=fields.boxes)
        return Response(result.model_dump_json(), media_type="application/json")

    async def render(request: Request) -> Response:
        form = await read_form(request, settings, max_files=1)
        fields = validate(values_of(form, RenderFields), RenderFields)
        with service.counted():
            picture = await unless_disconnected(request, extractor.draw(form.files[0], fields.page, fields.width))
        return Response(picture, media_type="image/png")

    app.router.add_api_route(
        "/extract",
        extract,
        methods=["POST"],
        tags=["files"],
        summary="The text of a file, with its structure",
        response_model=ExtractResponse,
        responses={**errors, 415: UNSUPPORTED},
        openapi_extra=form_body(ExtractFields, EXTRACT_FORM),
    )
    app.router.add_api_route(
        "/render",
        render,
        methods=["POST"],
        tags=["files"],
        summary="A page of a PDF as a picture",
        response_class=Response,
        responses={
            **errors,
            200: {"content": {"image/png": {}}, "description": "The page as PNG."},
            415: UNSUPPORTED,
        },
        openapi_extra=form_body(RenderFields, RENDER_FORM),
    )


def _result(extracted: Extracted, offsets: Sequence[int], *, with_boxes: bool) -> ExtractResponse:
    document = extracted.document
    return ExtractResponse(
        document=extracted.name,
        kind=extracted.kind,
        text=document.text,
        blocks=[
            BlockResult(
                kind=block.kind,
                start=offsets[block.start],
                end=offsets[block.end],
                level=block.level,
                cells=[(offsets[start], offsets[end]) for start, end in block.cells],
                boxes=boxes_of(document, block.start, block.end) if with_boxes else None,
            )
            for block in document.blocks
        ],
        pages=[
            PageResult(
                number=page.number,
                start=offsets[page.start],
                end=offsets[page.end],
                width=page.width,
                height=page.height,
                scanned=page.scanned,
            )
            for page in document.pages
        ],
        warnings=WarningResult.of(document.warnings),
    )

"""The endpoints that take a file and no model: POST /extract returns its text and structure, POST /render a page.

This module knows forms and the extractor, and does not know tasks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from app.errors import DeadlineExceeded
from app.files.extraction import Extracted, Extractor
from app.http.examples import EXTRACT_FORM, RENDER_FORM
from app.http.forms import read_form, values_of
from app.http.openapi import Responses, form_body, timeout_parameter
from app.http.request import caller_of, unless_disconnected
from app.schemas import (
    BlockResult,
    ErrorResponse,
    ExtractFields,
    ExtractResponse,
    PageResult,
    RenderFields,
    WarningResult,
)
from app.service import Caller, Service
from app.tasks.base import offsets_of
from app.tasks.sources import boxes_of
from app.validation import validate

T = TypeVar("T")

UNSUPPORTED = {"model": ErrorResponse, "description": "The body is no form, or the file's format is not read."}


def add_files(app: FastAPI, service: Service, extractor: Extractor, errors: Responses) -> None:
    """Add the two endpoints. They need no model."""
    settings = service.settings
    timeout = {"parameters": [timeout_parameter(settings)]}

    async def extract(request: Request) -> Response:
        caller = caller_of(request, settings)
        form = await read_form(request, settings, max_files=1)
        fields = validate(values_of(form, ExtractFields), ExtractFields)
        extracted = await answered(request, caller, partial(extractor.read, form.files[0]))
        # In a thread: for a file with many blocks it takes a large part of a second.
        body = await asyncio.to_thread(_as_json, extracted, fields)
        return Response(body, media_type="application/json")

    async def render(request: Request) -> Response:
        caller = caller_of(request, settings)
        form = await read_form(request, settings, max_files=1)
        fields = validate(values_of(form, RenderFields), RenderFields)
        draw = partial(extractor.draw, form.files[0], fields.page, fields.width)
        picture = await answered(request, caller, draw)
        return Response(picture, media_type="image/png")

    async def answered(request: Request, caller: Caller, read: Callable[[], Awaitable[T]]) -> T:
        """The result of `read`, within the time of the caller."""
        timeout_s = settings.request_timeout_s if caller.timeout_s is None else caller.timeout_s
        service.require_open(held=caller.held)
        try:
            async with asyncio.timeout(timeout_s):
                return await unless_disconnected(request, read())
        except TimeoutError:
            raise DeadlineExceeded(
                f"The file was not read within {timeout_s:g} seconds. Allow more time, or try again when the "
                "service is less busy."
            ) from None

    app.router.add_api_route(
        "/extract",
        extract,
        methods=["POST"],
        tags=["files"],
        summary="The text of a file, with its structure",
        response_model=ExtractResponse,
        responses={**errors, 415: UNSUPPORTED},
        openapi_extra=form_body(ExtractFields, EXTRACT_FORM) | timeout,
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
        openapi_extra=form_body(RenderFields, RENDER_FORM) | timeout,
    )


def _as_json(extracted: Extracted, fields: ExtractFields) -> str:
    document = extracted.document
    offsets = offsets_of(document.text, fields.offset_unit)
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
                boxes=boxes_of(document, block.start, block.end) if fields.boxes else None,
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
    ).model_dump_json()

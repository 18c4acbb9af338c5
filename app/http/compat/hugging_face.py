"""Hugging Face's inference clients, given the address of this server as their model.

They send `{"inputs": ..., "parameters": {...}}` to that address: `/`, or the path of a task, where this payload is
accepted next to our own. `inputs` may be a list, which is answered in order, as one request. The module is written
against huggingface_hub 0.36 to 2.4, whose requests and parsers are the same.
"""

import functools
import operator
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.errors import InvalidInput
from app.http.compat.common import as_list, body_of, exchange
from app.http.compat.hugging_face_schemas import (
    ANSWERS,
    PAYLOADS,
    ClassifyParameters,
    ClassifyPayload,
    Lengths,
    QaParameters,
    QaPayload,
    SummarizeParameters,
    SummarizePayload,
    TextInputs,
)
from app.http.examples import ROOT
from app.http.openapi import Responses, json_body, timeout_parameter
from app.http.request import model_in_query, parsed
from app.schemas import ClassifyRequest, LabelResult, QaRequest, QuestionResult, SummarizeRequest
from app.service import Service
from app.tasks.base import check_members
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE, Summary
from app.types import Task
from app.validation import parse_object, validate


def is_payload(fields: dict[str, Any]) -> bool:
    """Whether a body is Hugging Face's and not our own, which has no `inputs`."""
    return "inputs" in fields


def routes(service: Service, responses: Responses) -> APIRouter:
    """`POST /`, for clients that are given the bare address of the server."""
    router = APIRouter(tags=["compatible"])

    @router.post(
        "/",
        summary="Hugging Face's payload, for the task that its inputs show",
        response_model=functools.reduce(operator.or_, ANSWERS.values()),
        responses=responses,
        openapi_extra=json_body(*PAYLOADS.values(), examples=ROOT, parameters=[timeout_parameter(service.settings)]),
        name="infer_hugging_face",
    )
    async def root(request: Request) -> Response:
        fields = await parsed(await body_of(request, service), parse_object)
        if not is_payload(fields):
            raise InvalidInput(
                "`inputs` is missing. The path / takes the payload of Hugging Face, an object with `inputs` and "
                "`parameters`. Send this server's own format to /qa, /summarize or /classify."
            )
        return await answer(request, service, _task_of(fields["inputs"], service, model_in_query(request)), fields)

    return router


def _task_of(inputs: Any, service: Service, model: str | None) -> Task:
    """The task of a payload at `/`: a question, or the one task for texts that is served."""
    first = inputs[0] if isinstance(inputs, list) and inputs else inputs
    if isinstance(first, dict) and "text" not in first:
        return "qa"
    tasks = {served.manifest.task for served in service.store.models.values() if model in (None, served.name)}
    if {"classify", "summarize"} <= tasks:
        raise InvalidInput(
            "`inputs` is a text, and this server both classifies and summarises texts. Send it to /classify or "
            "/summarize, or name a model in the address: /?model=NAME."
        )
    return "summarize" if "summarize" in tasks else "classify"


async def answer(request: Request, service: Service, task: Task, fields: dict[str, Any]) -> Response:
    """Answer one payload of a known task.

    Raises:
        InvalidInput: the payload does not fit the task, its list is too long, or `?model=` names no model.
    """
    if isinstance(fields["inputs"], list):
        check_members(len(fields["inputs"]), service.settings)  # before each of them is validated
    payload = validate(fields, PAYLOADS[task])
    model = model_in_query(request)
    if isinstance(payload, QaPayload):
        options = payload.parameters or QaParameters()
        questions = _questions(payload, options, model)
        is_batch = isinstance(payload.inputs, list)

        def write(results: list[list[QuestionResult]]) -> Any:
            written = [write_answers(result, options) for (result,) in results]
            return written if is_batch else written[0]

        return await exchange(request, service, QA, questions, write)
    if isinstance(payload, ClassifyPayload):
        texts = _texts_to_label(payload, model)
        return await exchange(request, service, CLASSIFY, texts, _write_labels)
    assert isinstance(payload, SummarizePayload)
    texts_to_summarize = _texts_to_summarize(payload, model)
    return await exchange(request, service, SUMMARIZE, texts_to_summarize, _write_summaries)


def _questions(payload: QaPayload, options: QaParameters, model: str | None) -> list[QaRequest]:
    fields: dict[str, Any] = {"model": model, "window_overlap": options.doc_stride}
    if options.top_k is not None:
        fields["top_k"] = options.top_k
    if options.max_answer_len is not None:
        fields["max_answer_length"] = options.max_answer_len
    inputs = as_list(payload.inputs)
    return [validate({**fields, "question": one.question, "context": one.context}, QaRequest) for one in inputs]


def write_answers(result: QuestionResult, options: QaParameters) -> Any:
    """One answer as an object, several as a list. "No answer" is ranked among them by its own probability."""
    top_k = options.top_k or 1
    answers: list[dict[str, Any]] = [
        {"answer": answer.text, "score": answer.score, "start": answer.start, "end": answer.end}
        for answer in result.answers
    ]
    if options.handle_impossible_answer or not answers:
        answers.append({"answer": "", "score": result.null_score, "start": 0, "end": 0})
        answers.sort(key=lambda answer: answer["score"], reverse=True)
    return answers[0] if top_k == 1 else answers[:top_k]


def _texts_to_label(payload: ClassifyPayload, model: str | None) -> list[ClassifyRequest]:
    options = payload.parameters or ClassifyParameters()
    inputs: list[str | TextInputs] = as_list(payload.inputs)
    pairs = [{"text": one} if isinstance(one, str) else one.model_dump() for one in inputs]
    return [validate({"model": model, "top_k": options.top_k, **pair}, ClassifyRequest) for pair in pairs]


def _write_labels(results: list[list[LabelResult]]) -> Any:
    """A nested list even for one text: the client takes the first element."""
    return [[{"label": label.label, "score": label.score} for label in labels] for labels in results]


def _texts_to_summarize(payload: SummarizePayload, model: str | None) -> list[SummarizeRequest]:
    options = payload.parameters or SummarizeParameters()
    lengths = (options.generate_parameters or Lengths()).model_dump()
    return [validate({**lengths, "model": model, "text": text}, SummarizeRequest) for text in as_list(payload.inputs)]


def _write_summaries(results: list[Summary]) -> Any:
    return [{"summary_text": summary.text} for summary in results]

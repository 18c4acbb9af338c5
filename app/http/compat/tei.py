"""Text Embeddings Inference: its `/predict`, and the fields that its clients read in `/info`.

In its format a list of texts is a pair, and a batch is a list of lists. Labels are flat for one text, nested for a
batch.
"""

from typing import Annotated, Any, Literal, TypedDict

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import Response

from app.errors import NagayomiError, Overloaded, Unavailable
from app.http.compat.common import body_of, exchange
from app.http.examples import PREDICT
from app.http.openapi import Responses, json_body, timeout_parameter
from app.http.request import model_in_query, parsed
from app.http.responses import error_response
from app.manifest import Manifest
from app.schemas import ClassifyRequest, LabelResult, Labels, ModelType, Text
from app.service import Service
from app.tasks.base import check_members
from app.tasks.classify import CLASSIFY
from app.types import Task
from app.validation import parse_object, validate


def _one_or_two(value: Any) -> Any:
    if not isinstance(value, list) or not 1 <= len(value) <= 2:
        raise PydanticCustomError(
            "pair",
            'must be a list of one text or two texts; a batch is a list of such lists: [["a"], ["b", "c"]]',
        )
    return value


def _only_false(value: bool) -> bool:
    if value:
        raise PydanticCustomError("false", "must be false")
    return value


def _branch(value: Any) -> str:
    if not isinstance(value, list):
        return "<one>"
    return "<batch>" if value and isinstance(value[0], list) else "<pair>"


# Both spellings are sent. The schema names one of each: generators of clients make names of them and ignore the case.
_Direction = Annotated[
    Literal["left", "right", "Left", "Right"], WithJsonSchema({"type": "string", "enum": ["Left", "Right"]})
]
_Sequence = Annotated[list[Text], Field(min_length=1, max_length=2), BeforeValidator(_one_or_two)]


class PredictRequest(BaseModel):
    """The body of `/predict`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    inputs: Annotated[
        Annotated[Text, Tag("<one>")]
        | Annotated[_Sequence, Tag("<pair>")]
        | Annotated[list[_Sequence], Field(json_schema_extra={"minItems": 1}), Tag("<batch>")],
        Discriminator(_branch),
    ] = Field(description='A text, a pair ["a", "b"], or a batch of both [["a"], ["b", "c"]].')
    truncate: bool | None = Field(default=None, description="No effect: no text is ever cut off.")
    truncation_direction: _Direction | None = Field(default=None, description="No effect: no text is ever cut off.")
    raw_scores: Annotated[bool, AfterValidator(_only_false), Field(json_schema_extra={"const": False})] | None = Field(
        default=None, description="Scores are always a softmax."
    )


class Prediction(BaseModel):
    """One label."""

    score: float
    label: str


def routes(service: Service, responses: Responses) -> APIRouter:
    """`POST /predict`."""
    router = APIRouter(tags=["compatible"])

    @router.post(
        "/predict",
        summary="Classify texts, in the format of Text Embeddings Inference",
        response_model=list[Prediction] | list[list[Prediction]],
        responses=responses,
        openapi_extra=json_body(PredictRequest, examples=PREDICT, parameters=[timeout_parameter(service.settings)]),
    )
    async def predict(request: Request) -> Response:
        try:
            return await _predict(request, service)
        except NagayomiError as error:
            request_id, theirs = request.state.request_id, error_type(error)
            return error_response(
                request_id, error.status, theirs, str(error), error.headers, counted_as=error.error_type
            )

    return router


async def _predict(request: Request, service: Service) -> Response:
    fields = await parsed(await body_of(request, service), parse_object)
    is_batch = _branch(fields.get("inputs")) == "<batch>"
    if is_batch:
        check_members(len(fields["inputs"]), service.settings)  # before each of them is validated
    payload = validate(fields, PredictRequest)
    sequences: Any = payload.inputs if is_batch else [payload.inputs]
    model = model_in_query(request)
    requests = [validate({"model": model, **_texts(sequence)}, ClassifyRequest) for sequence in sequences]

    def write(results: list[list[LabelResult]]) -> Any:
        written = [[{"score": label.score, "label": label.label} for label in labels] for labels in results]
        return written if is_batch else written[0]

    return await exchange(request, service, CLASSIFY, requests, write)


def _texts(sequence: str | list[str]) -> dict[str, str]:
    texts = [sequence] if isinstance(sequence, str) else sequence
    return dict(zip(("text", "text_pair"), texts, strict=False))


def error_type(error: NagayomiError) -> str:
    """The type of an error in Text Embeddings Inference, whose generated clients have the types as an enumeration.

    The status stays ours: theirs for a failure of the engine is 424, but a new try may succeed, and 503 says so.
    """
    if isinstance(error, Overloaded):
        return "Overloaded"
    if isinstance(error, Unavailable):
        return "Unhealthy"
    return "Validation" if error.status < 500 and error.status != 404 else "Backend"


class ModelInfo(TypedDict):
    """The fields of `/info` about one model, for clients that know servers of one model."""

    model_id: str | None
    model_dtype: str | None
    model_type: ModelType | None
    max_input_length: int | None


def model_info(service: Service, task: Task) -> ModelInfo:
    """The first model of a task by name, which answers requests that name no model; nulls if the task has no model."""
    models = [model for _, model in sorted(service.store.models.items()) if model.manifest.task == task]
    if not models:
        return ModelInfo(model_id=None, model_dtype=None, model_type=None, max_input_length=None)
    manifest = models[0].manifest
    return ModelInfo(
        model_id=manifest.name,
        model_dtype=manifest.precision_on(models[0].provider),
        model_type=ModelType(classifier=_labels(manifest)) if manifest.labels else None,
        max_input_length=manifest.max_tokens,
    )


def _labels(manifest: Manifest) -> Labels:
    return Labels(
        id2label={str(index): label for index, label in enumerate(manifest.labels)},
        label2id={label: index for index, label in enumerate(manifest.labels)},
    )

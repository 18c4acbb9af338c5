"""The KServe V2 protocol (Open Inference Protocol) over HTTP, with the extension for binary data.

The module is written against the specification (kserve.github.io, "Open Inference Protocol") and tritonclient 2.73. A
model has one version, "1". `GET /v2/models/NAME` publishes the names of the tensors.
"""

from functools import partial
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from app import __version__
from app.errors import BrokenModel, InvalidInput, ModelNotFound, Unavailable
from app.http.compat.common import ask, body_of
from app.http.compat.kserve_tasks import TASKS
from app.http.compat.kserve_tensors import InferRequest, OutputTensor, read_request, read_texts, write_response
from app.http.examples import TENSORS
from app.http.openapi import Responses, json_body, timeout_parameter
from app.http.request import model_in_query, parsed
from app.http.responses import stage_headers
from app.service import Reply, Service
from app.store import Model

VERSION = "1"
JSON_LENGTH = "Inference-Header-Content-Length"

# The path parameters are documented by hand: FastAPI would add an error in its own format for a name it cannot read.
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}


class ServerMetadata(BaseModel):
    """Name, version and extensions of the server."""

    name: str = "nagayomi"
    version: str = __version__
    extensions: list[str] = ["binary_tensor_data"]


class TensorMetadata(BaseModel):
    """One tensor; -1 in its shape stands for a number that differs from request to request."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The inputs and outputs of a model. `optional` and `parameters` are additions to the protocol."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    optional: list[str]
    parameters: list[str]


class ModelReady(BaseModel):
    """A model that is served."""

    name: str
    ready: bool


class InferResponse(BaseModel):
    """The JSON of an answer."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[dict[str, Any]]


def routes(service: Service, responses: Responses) -> APIRouter:
    """Everything below `/v2`."""
    router = APIRouter(prefix="/v2", tags=["compatible"])

    @router.get("", summary="Name and version of the server")
    async def kserve_server() -> ServerMetadata:
        return ServerMetadata()

    @router.get("/health/live", summary="The same as /livez")
    async def kserve_live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", summary="The same as /readyz", responses=_pick(responses, 503))
    async def kserve_ready() -> dict[str, bool]:
        _check_ready(service)
        return {"ready": True}

    # The version in a path is optional; only the paths without it are documented.
    @router.get("/models/{name}/versions/{version}/ready", include_in_schema=False)
    @router.get(
        "/models/{name}/ready",
        summary="Whether a model is served",
        responses=_pick(responses, 404, 503),
        openapi_extra={"parameters": [_NAME]},
    )
    async def kserve_model_ready(request: Request) -> ModelReady:
        _check_ready(service)
        return ModelReady(name=_find(service, request).name, ready=True)

    @router.get("/models/{name}/versions/{version}", include_in_schema=False)
    @router.get(
        "/models/{name}",
        summary="Inputs and outputs of a model",
        responses=_pick(responses, 404, 503),
        openapi_extra={"parameters": [_NAME]},
    )
    async def kserve_model(request: Request) -> ModelMetadata:
        return _metadata(_find(service, request))

    @router.post("/models/{name}/versions/{version}/infer", include_in_schema=False)
    @router.post(
        "/models/{name}/infer",
        summary="Run a model",
        description=f"With the header `{JSON_LENGTH}` the body is that many bytes of JSON and then binary data.",
        response_model=InferResponse,
        responses=responses,
        openapi_extra=json_body(
            InferRequest, examples=TENSORS, parameters=[_NAME, timeout_parameter(service.settings)]
        ),
    )
    async def kserve_infer(request: Request) -> Response:
        body = await body_of(request, service)
        return await _infer(request, service, _find(service, request), body)

    return router


def _pick(responses: Responses, *statuses: int) -> Responses:
    return {status: responses[status] for status in statuses}


def _check_ready(service: Service) -> None:
    if service.state != "ready":
        raise Unavailable(service.why_not_ready())


def _find(service: Service, request: Request) -> Model:
    """The model that the path names, whatever its task.

    Raises:
        Unavailable: models are still being loaded, or none could be loaded.
        BrokenModel: the model is in the store but could not be loaded.
        ModelNotFound: no model has that name and version; the message says which there are.
    """
    name, version = request.path_params["name"], request.path_params.get("version", VERSION)
    models = {model.name: model for model in service.store.models.values() if model.manifest.task in TASKS}
    if version == VERSION and name in models:
        return models[name]
    for broken in service.store.broken:
        if broken.name == name:
            raise BrokenModel(f"The model {name} is in the store but cannot be served: {broken.reason}")
    _check_ready(service)
    raise ModelNotFound(
        f"There is no model {name[:100]!r} of version {version[:100]!r}. All are of version {VERSION!r}: "
        f"{', '.join(sorted(models))}."
    )


def _metadata(model: Model) -> ModelMetadata:
    tensors = TASKS[model.manifest.task]
    return ModelMetadata(
        name=model.name,
        versions=[VERSION],
        platform="onnxruntime_onnx",
        inputs=[
            TensorMetadata(name=name, datatype="BYTES", shape=[-1])
            for name in (*tensors.inputs, *tensors.optional_inputs)
        ],
        outputs=[
            TensorMetadata(name=name, datatype=datatype, shape=shape)
            for name, (datatype, shape) in tensors.outputs.items()
        ],
        optional=list(tensors.optional_inputs),
        parameters=["binary_data_output", *tensors.options],
    )


async def _infer(request: Request, service: Service, model: Model, body: bytes) -> Response:
    if model_in_query(request) not in (None, model.name):
        raise InvalidInput("The path and the query of the address name two models; a request takes one.")
    infer, binary = await parsed(body, partial(read_request, json_length=request.headers.get(JSON_LENGTH)))
    options = dict(infer.parameters or {})
    tensors = TASKS[model.manifest.task]
    tensors.check([one.name for one in infer.inputs], list(options), [one.name for one in infer.outputs or ()])
    all_binary = options.pop("binary_data_output", False)
    if not isinstance(all_binary, bool):
        raise InvalidInput("The parameter `binary_data_output` must be true or false.")
    texts = read_texts(infer.inputs, binary, service.settings.max_client_batch_size)
    requests = tensors.requests(model.name, texts, options)
    reply = await ask(request, service, tensors.task, requests)
    return _answer(infer, model, reply, _wanted(infer, tensors.write(requests, reply.result), all_binary))


def _wanted(infer: InferRequest, results: list[OutputTensor], all_binary: bool) -> list[tuple[OutputTensor, bool]]:
    """The outputs that are asked for, in that order, and whether each is wanted as binary data."""
    if not infer.outputs:
        return [(tensor, all_binary) for tensor in results]
    by_name = {tensor.name: tensor for tensor in results}
    wanted = []
    for one in infer.outputs:
        as_binary = one.parameters.binary_data if one.parameters else None
        wanted.append((by_name[one.name], all_binary if as_binary is None else as_binary))
    return wanted


def _answer(infer: InferRequest, model: Model, reply: Reply[Any], outputs: list[tuple[OutputTensor, bool]]) -> Response:
    head = {"model_name": model.name, "model_version": VERSION} | ({} if infer.id is None else {"id": infer.id})
    body, json_length = write_response(head, outputs)
    headers = stage_headers(reply.usage, reply.timings)
    if json_length is None:
        return Response(body, media_type="application/json", headers=headers)
    headers[JSON_LENGTH] = str(json_length)
    return Response(body, media_type="application/octet-stream", headers=headers)

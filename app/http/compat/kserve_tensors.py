"""Tensors of the KServe V2 protocol: texts out of a request's JSON or binary data, results into either.

Every size in a request is a claim: it is compared with the bytes that are there before anything is allocated.
Extension for binary data: github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md. This
module knows neither models nor the service.
"""

import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from app.errors import InvalidInput, MalformedBody
from app.validation import parse_object, validate

Datatype = Literal["BYTES", "FP32", "INT64"]

_NUMPY: dict[Datatype, str] = {"FP32": "<f4", "INT64": "<i8"}
_LENGTH = struct.Struct("<I")
_MAX_HEADER_DIGITS = 12
_MAX_INT64 = 2**63 - 1
_MAX_TENSORS = 16  # more than any task has
_MAX_DIMENSIONS = 8


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class InputParameters(_Part):
    """Parameters of one input tensor."""

    binary_data_size: int | None = Field(default=None, ge=0, le=_MAX_INT64, description="Size in bytes after the JSON.")


class InputTensor(_Part):
    """One input of a request: texts, in the JSON or after the JSON."""

    name: str
    # `fail_fast`: a long list of wrong members gets one error, not one for each.
    shape: list[Annotated[int, Field(ge=1, le=_MAX_INT64)]] = Field(
        fail_fast=True, max_length=_MAX_DIMENSIONS, description="[n], or [n, 1]."
    )
    datatype: Literal["BYTES"]
    parameters: InputParameters | None = None
    data: list[Any] | None = Field(default=None, description="Texts, unless they are sent as binary data.")


class OutputParameters(_Part):
    """Parameters of one requested output."""

    binary_data: bool | None = Field(default=None, description="Whether the output follows the JSON as binary data.")


class RequestedOutput(_Part):
    """One requested output."""

    name: str
    parameters: OutputParameters | None = None


class InferRequest(_Part):
    """The JSON of an inference request."""

    id: str | None = None
    inputs: list[InputTensor] = Field(fail_fast=True, max_length=_MAX_TENSORS)
    outputs: list[RequestedOutput] | None = Field(
        default=None, fail_fast=True, max_length=_MAX_TENSORS, description="Without this field, all outputs."
    )
    parameters: dict[str, Any] | None = Field(
        default=None,
        description="`binary_data_output`, and the options of the task as /qa, /summarize, /classify name them.",
    )


@dataclass(frozen=True)
class OutputTensor:
    """One result. `values` are flat, in row-major order."""

    name: str
    datatype: Datatype
    shape: list[int]
    values: Sequence[Any]


def read_request(body: bytes, json_length: str | None) -> tuple[InferRequest, bytes]:
    """The JSON of a body and the binary data after it; `json_length` is the header Inference-Header-Content-Length.

    Raises:
        MalformedBody: the header is not the length of a part of the body, or that part is not JSON.
        InvalidInput: the JSON is no inference request.
    """
    length = len(body)
    if json_length is not None:
        # isascii: isdigit alone takes digits of other scripts, and int() of a long one takes forever.
        if not (json_length.isascii() and json_length.isdigit() and len(json_length) <= _MAX_HEADER_DIGITS):
            raise MalformedBody("The header Inference-Header-Content-Length must be a number of bytes.")
        length = int(json_length)
        if length > len(body):
            raise MalformedBody(
                f"Inference-Header-Content-Length says {length} bytes of JSON; the body has {len(body)} bytes."
            )
    return validate(parse_object(body[:length]), InferRequest), body[length:]


def read_texts(inputs: Sequence[InputTensor], binary: bytes, most: int) -> dict[str, list[str]]:
    """The texts of every input, by name. All have the same number of them, at most `most`.

    Raises:
        InvalidInput: the shape or the data of an input is wrong; the message names the input.
    """
    texts: dict[str, list[str]] = {}
    for tensor in inputs:
        count = _count(tensor, most)
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if (size is None) == (tensor.data is None):
            raise InvalidInput(
                f"The input {_shown(tensor.name)} must have either `data` or the parameter `binary_data_size`."
            )
        if size is None:
            texts[tensor.name] = _texts_of_json(tensor, count)
        elif size > len(binary):
            raise InvalidInput(
                f"The input {_shown(tensor.name)} claims {size} bytes of binary data; the body has {len(binary)} more."
            )
        else:
            texts[tensor.name] = _texts_of_bytes(tensor, binary[:size], count)
            binary = binary[size:]
    if binary:
        raise InvalidInput(f"{len(binary)} bytes of binary data belong to no input.")
    if len({len(column) for column in texts.values()}) > 1:
        counts = ", ".join(f"{_shown(name)} {len(column)}" for name, column in texts.items())
        raise InvalidInput(f"All inputs must hold the same number of texts, not {counts}.")
    return texts


def _count(tensor: InputTensor, most: int) -> int:
    if len(tensor.shape) not in (1, 2) or tensor.shape[1:] not in ([], [1]):
        raise InvalidInput(f"The input {_shown(tensor.name)} must have the shape [n] or [n, 1].")
    count = tensor.shape[0]
    if count > most:
        raise InvalidInput(f"The input {_shown(tensor.name)} has a shape of {count} texts; at most {most} are allowed.")
    return count


def _texts_of_json(tensor: InputTensor, count: int) -> list[str]:
    data = tensor.data or []
    if len(data) != count:
        raise InvalidInput(f"The input {_shown(tensor.name)} has the shape {tensor.shape} but {len(data)} elements.")
    if len(tensor.shape) == 2 and all(isinstance(row, list) and len(row) == 1 for row in data):
        data = [row[0] for row in data]
    for index, value in enumerate(data):
        if not isinstance(value, str):
            raise InvalidInput(f"Element {index} of the input {_shown(tensor.name)} must be a text.")
    return data


def _texts_of_bytes(tensor: InputTensor, data: bytes, count: int) -> list[str]:
    """The texts of binary data. An element is its length, four bytes little-endian, and as many bytes of UTF-8."""
    name = _shown(tensor.name)
    texts: list[str] = []
    position = 0
    while position < len(data):
        index = len(texts)
        if index == count:
            raise InvalidInput(f"The input {name} has the shape {tensor.shape} but binary data for more elements.")
        start = position + _LENGTH.size
        if start > len(data):
            raise InvalidInput(f"The binary data of {name} ends inside the length of element {index}.")
        position = start + _LENGTH.unpack_from(data, position)[0]
        if position > len(data):
            raise InvalidInput(
                f"Element {index} of {name} claims {position - start} bytes; {len(data) - start} bytes are left for it."
            )
        try:
            texts.append(data[start:position].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"Element {index} of {name} is not UTF-8: its byte {error.start} cannot be decoded."
            ) from None
    if len(texts) != count:
        raise InvalidInput(f"The input {name} has the shape {tensor.shape} but binary data for {len(texts)} elements.")
    return texts


def _shown(name: str) -> str:
    return f"`{name[:60]}`"


def write_response(head: dict[str, Any], outputs: Sequence[tuple[OutputTensor, bool]]) -> tuple[bytes, int | None]:
    """The body of a response, and the length of its JSON where binary data follows: outputs whose flag is true."""
    described: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for tensor, as_binary in outputs:
        assert len(tensor.values) == math.prod(tensor.shape)
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if as_binary:
            binary.append(_to_bytes(tensor))
            entry["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            entry["data"] = list(tensor.values)
        described.append(entry)
    text = json.dumps({**head, "outputs": described}).encode("ascii")
    return b"".join([text, *binary]), len(text) if binary else None


def _to_bytes(tensor: OutputTensor) -> bytes:
    if tensor.datatype != "BYTES":
        return np.asarray(tensor.values, dtype=_NUMPY[tensor.datatype]).tobytes()
    elements = [value.encode("utf-8") for value in tensor.values]
    return b"".join(_LENGTH.pack(len(element)) + element for element in elements)

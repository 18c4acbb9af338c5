"""From the bytes of a body to a request, or to a sentence that says what is wrong with them.

Stricter than JSON readers usually are: what two readers could understand differently (a repeated name, NaN, a byte
order mark) is refused rather than guessed. Knows nothing of HTTP beyond the bytes.
"""

import json
import re
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.errors import InvalidInput, MalformedBody

T = TypeVar("T", bound=BaseModel)

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_SUBJECT = re.compile(r"^(?:Input|String|List|Value) should ")
_UNION_TAGS = ("one", "many")
_MAX_SHOWN = 3
_MAX_NAME = 60


def parse_request(body: bytes, model: type[T]) -> T:
    """Read a body as `model`.

    Raises:
        MalformedBody: the body is not a JSON object in UTF-8.
        InvalidInput: it is, but its fields are not those of `model`.
    """
    fields = parse_object(body)
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(explain(error, model)) from None


def parse_object(body: bytes) -> dict[str, Any]:
    """Read a body as one JSON object.

    Raises:
        MalformedBody: says why it is not one.
    """
    if not body:
        raise MalformedBody("The body is empty; a JSON object is expected.")
    if body.startswith(_BOM):
        raise MalformedBody("The body starts with a byte order mark; JSON is sent as UTF-8 without one.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: byte {error.start} cannot be decoded.") from None
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constants)
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        raise MalformedBody(f"The body is not JSON: {reason} at line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise MalformedBody("The body holds a number too long to read.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply; a JSON object with plain fields is expected.") from None
    if not isinstance(value, dict):
        raise MalformedBody("The body is JSON but not an object; a JSON object with the endpoint's fields is expected.")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if any(_SURROGATE.search(name) for name in value):
        raise MalformedBody("A name in the body holds a lone surrogate; only Unicode characters are allowed.")
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(f"The body names {_quoted(repeated)} twice in one object; every name may stand once.")
    return value


def _no_constants(name: str) -> NoReturn:
    raise MalformedBody(f"The body holds {name}, which is not JSON; only finite numbers are allowed.")


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first few things wrong with a request, each as a sentence."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    sentences = [_sentence(detail, model) for detail in details[:_MAX_SHOWN]]
    if len(details) > _MAX_SHOWN:
        sentences.append(f"There are {len(details) - _MAX_SHOWN} more errors like these.")
    return " ".join(sentences)


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    location, message = detail["loc"], detail["msg"]
    if len(location) > 1 and location[1] in _UNION_TAGS:
        location = (location[0], *location[2:])
    field = _path(location)
    if detail["type"] == "missing":
        return f"{field} is missing."
    if detail["type"] == "extra_forbidden":
        return f"{field} is not a field of this endpoint; allowed are {', '.join(model.model_fields)}."
    message = _SUBJECT.sub("must ", message)
    return f"{field} {message}." if field else f"{message[:1].upper()}{message[1:]}."


def _path(location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    indices = "".join(f"[{part}]" for part in location[1:])
    return f"{_quoted(str(location[0]))}{indices}"


def _quoted(name: str) -> str:
    shown = name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "…"
    return f"`{shown}`"

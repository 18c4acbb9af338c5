"""From the bytes of a body to a request, or to a sentence about the error in them.

It is stricter than most JSON readers: it refuses a repeated name, NaN or a byte order mark, because two readers could
understand it differently. It also turns any ValidationError of pydantic into a sentence. This module does
not know HTTP beyond the bytes.
"""

import json
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any, NoReturn, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.errors import InvalidInput, MalformedBody
from app.text.characters import SURROGATE

T = TypeVar("T", bound=BaseModel)

_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_SUBJECT = re.compile(r"^(?:Input|String|List|Tuple|Dictionary|Value) should ")
# Names of a union's branches, which pydantic puts into locations and which must not appear in a sentence.
_UNION_TAG = re.compile("<[a-z]+>")
_MAX_SHOWN = 3
_EXACT = 2**53  # above it, numbers with a point skip some whole numbers
_MAX_NAME = 60
# No request has an object with so many names, and pydantic builds an error for each name that it does not know.
_MAX_NAMES = 100


def validate(fields: dict[str, Any], model: type[T], place: str = "this endpoint") -> T:
    """Read an object as `model`.

    Args:
        place: the words in errors for the place that takes the fields.

    Raises:
        InvalidInput: the fields are not those of `model`.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidInput(_explain_request(error, model, place)) from None


def parse_object(body: bytes, what: str = "body") -> dict[str, Any]:
    """Read a body as one JSON object.

    Args:
        what: the word for it in errors, such as "line".

    Raises:
        MalformedBody: the body is no JSON object; the message says why.
    """
    if not body:
        raise MalformedBody(f"The {what} is empty; a JSON object is expected.")
    if body.startswith(_GZIP):
        raise MalformedBody(f"The {what} is compressed with gzip; JSON is sent as it is.")
    if body.startswith(_BOM):
        raise MalformedBody(f"The {what} starts with a byte order mark; JSON is sent as UTF-8 without one.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The {what} is not UTF-8: byte {error.start} cannot be decoded.") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=partial(_without_repeats, what),
            parse_constant=partial(_no_constants, what),
            parse_float=_number,
        )
    except json.JSONDecodeError as error:
        reason = error.msg[:1].lower() + error.msg[1:]
        place = f"column {error.colno}" if what == "line" else f"line {error.lineno}, column {error.colno}"
        raise MalformedBody(f"The {what} is not JSON: {reason} at {place}.") from None
    except ValueError:
        raise MalformedBody(f"The {what} holds a number too long to read.") from None
    except RecursionError:
        raise MalformedBody(f"The {what} is nested too deeply; a JSON object with plain fields is expected.") from None
    if not isinstance(value, dict):
        raise MalformedBody(f"The {what} is JSON but not an object; a JSON object with plain fields is expected.")
    return value


def _without_repeats(what: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MAX_NAMES:
        raise MalformedBody(
            f"An object in the {what} holds {len(pairs)} names; at most {_MAX_NAMES} are allowed in one object."
        )
    value = dict(pairs)
    if any(SURROGATE.search(name) for name in value):
        raise MalformedBody(f"A name in the {what} holds a lone surrogate; only Unicode characters are allowed.")
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise MalformedBody(f"The {what} names {_quoted(repeated)} twice in one object; every name may stand once.")
    return value


def _number(written: str) -> float | int:
    """A number with a point or an exponent. 3.0 is 3: JSON has one kind of number, and some languages write it so."""
    value = float(written)
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def _no_constants(what: str, name: str) -> NoReturn:
    raise MalformedBody(f"The {what} holds {name}, which is not JSON; only finite numbers are allowed.")


def explain(
    error: ValidationError,
    name_of: Callable[[str], str] | None = None,
    *,
    most: int | None = None,
    of: type[BaseModel] | None = None,
) -> str:
    """The errors in the values of settings or a file, without repeating the values.

    Args:
        name_of: the name to show for a field; without it, the dotted path to the value.
        most: the most errors to show; without it, all.
        of: the model that the values are not; with it, an unknown name is said with the known ones that are like it.
    """
    parts = []
    for item in _own_errors(error.errors(include_url=False, include_input=False))[:most]:
        message = _words(item)
        if of is not None and item["type"] == "extra_forbidden":
            known = _fields_at(item["loc"], of)
            like = get_close_matches(str(item["loc"][-1]), known, n=1)
            message = f"is no key; perhaps {like[0]} is meant" if like else f"is no key; allowed are {', '.join(known)}"
        where = ".".join(map(str, item["loc"])) if name_of is None else name_of(str(next(iter(item["loc"]), "")))
        joined = f"{where} {message}" if message.startswith(("must ", "is ")) else f"{where}: {message}"
        parts.append(joined if item["loc"] else message)
    return "; ".join(parts) + "."


def _own_errors(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without lists that are too short only because pydantic does not count a wrong item, which has an error itself."""
    places = [item["loc"] for item in details]

    def holds_another(place: tuple[int | str, ...]) -> bool:
        return any(len(other) > len(place) and other[: len(place)] == place for other in places)

    return [item for item in details if item["type"] != "too_short" or not holds_another(item["loc"])]


def _explain_request(error: ValidationError, model: type[BaseModel], place: str) -> str:
    """The first few errors in a request, each as a sentence."""
    details = _own_errors(error.errors(include_url=False, include_context=False, include_input=False))
    sentences = [_sentence(detail, model, place) for detail in details[:_MAX_SHOWN]]
    if len(details) > _MAX_SHOWN:
        sentences.append(f"There are {len(details) - _MAX_SHOWN} more errors like these.")
    return " ".join(sentences)


def _sentence(detail: ErrorDetails, model: type[BaseModel], place: str) -> str:
    location = tuple(part for part in detail["loc"] if isinstance(part, int) or not _UNION_TAG.fullmatch(part))
    field = _path(location)
    if detail["type"] == "missing":
        return f"{field} is missing."
    if detail["type"] == "extra_forbidden":
        where = f"of {place}" if len(location) == 1 else "that is known there"
        return f"{field} is not a field {where}; allowed are {', '.join(_fields_at(location, model))}."
    message = _words(detail)
    return f"{field} {message}." if field else f"{message[:1].upper()}{message[1:]}."


def _words(detail: ErrorDetails) -> str:
    """What is wrong with a value, without the names of our classes and pydantic's own words."""
    if detail["type"] in ("model_type", "dict_type"):
        return "must be an object of names and values"
    if detail["type"] == "missing":
        return "is missing"
    message = detail["msg"].removeprefix("Value error, ").replace(" after validation", "")
    return _SUBJECT.sub("must ", message)


def _fields_at(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    """The fields next to the last part of a location."""
    for part in location[:-1]:
        if isinstance(part, str):
            model = next(_models_in(model.model_fields[part].annotation))
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _path(location: tuple[int | str, ...]) -> str:
    if not location:
        return ""
    inside = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in location[1:])
    return f"{_quoted(str(location[0]))}{inside}"


def _quoted(name: str) -> str:
    return f"`{_shown(name)}`"


def _shown(name: str) -> str:
    return name if len(name) <= _MAX_NAME else name[:_MAX_NAME] + "…"

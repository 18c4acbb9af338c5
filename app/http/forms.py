"""Reads multipart/form-data: files and fields, bounded while they arrive.

Files are held in memory and never written to disk. Plain fields become the values that the same field has in JSON.
This module does not know the contents of files.
"""

import asyncio
import json
import re
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args, get_origin
from urllib.parse import unquote

import multipart
from pydantic import BaseModel
from starlette.requests import Request

from app.errors import BodyTimeout, BodyTooLarge, InvalidInput, MalformedBody, NagayomiError, UnsupportedMediaType
from app.files.extraction import SentFile
from app.http.media_types import media_type
from app.http.openapi import FORM
from app.http.request import announced_length, drain_body, refuse_compressed, too_large, waits_for_continue
from app.settings import Settings

FILE_FIELD = "file"

_MAX_FIELDS = 100  # parts that are no files
_MAX_NAME = 255
_EXTENDED_NAME = re.compile(r"filename\*\s*=\s*([\w.:-]*)'[^']*'([^;\s]+)", re.IGNORECASE)
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass
class Form:
    """The files and fields of a form, in the order sent. A field that is sent more than once has all its values."""

    files: list[SentFile] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)


async def read_form(request: Request, settings: Settings, max_files: int) -> Form:
    """The form, never holding more than `max_upload_bytes` of it.

    Raises:
        UnsupportedMediaType: the body has another media type.
        MalformedBody: the body is no form, or ends too early.
        BodyTooLarge: the announced length, or the part that has arrived, is over the limit.
        BodyTimeout: the body did not arrive in time.
        InvalidInput: the form holds too many files or fields, or no file where it must hold one.
    """
    if (sent := media_type(request)) != FORM:
        await drain_body(request)
        shown = f"{sent[:_MAX_NAME]!r}" if sent else "sent without a media type"
        raise UnsupportedMediaType(f"The body is {shown}; send the file as a part named `{FILE_FIELD}` of {FORM}.")
    await refuse_compressed(request)
    reading = _Reading(request, max_files)
    limit = settings.max_upload_bytes
    failure: NagayomiError | None = too_large(limit) if announced_length(request) > limit else None
    if failure is not None and waits_for_continue(request):
        raise failure
    size = 0
    try:
        async with asyncio.timeout(settings.upload_timeout_s):
            async for chunk in request.stream():
                size += len(chunk)
                if failure is None:
                    try:
                        if size > limit:
                            raise too_large(limit)
                        reading.feed(chunk)
                    except (BodyTooLarge, InvalidInput, MalformedBody) as error:
                        # Clients read the response only after sending the body, so drain it, within limits.
                        failure = error
                        reading.form.files.clear()
                elif size > 2 * limit:
                    break
    except TimeoutError:
        raise failure or BodyTimeout(
            f"The body did not arrive within {settings.upload_timeout_s:g} seconds, the limit for an upload."
        ) from None
    if failure is not None:
        raise failure
    return reading.end()


class _Reading:
    """A form that is arriving."""

    def __init__(self, request: Request, max_files: int) -> None:
        self.form = Form()
        self._max_files = max_files
        self._part: multipart.MultipartSegment | None = None
        self._content: list[bytes] = []
        _, options = multipart.parse_options_header(request.headers["content-type"])
        try:
            self._parser = multipart.PushMultipartParser(options.get("boundary", ""), strict=True)
        except multipart.MultipartError as error:
            raise _malformed(error) from None

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the body."""
        try:
            for event in self._parser.parse(chunk) if chunk else ():
                if isinstance(event, multipart.MultipartSegment):
                    self._part = event
                    _check_part(event, self.form, self._max_files)
                elif event is not None:
                    self._content.append(event)
                elif self._part is not None:
                    _add(self.form, self._part, b"".join(self._content))
                    self._content.clear()
        except multipart.MultipartError as error:
            raise _malformed(error) from None

    def end(self) -> Form:
        """The form, once all of the body has arrived."""
        try:
            self._parser.close()
        except multipart.MultipartError as error:
            raise _malformed(error) from None
        if not self.form.files:
            raise InvalidInput(
                f"The form holds no file; send each document as a part named `{FILE_FIELD}` with a file name."
            )
        return self.form


def _malformed(error: multipart.MultipartError) -> MalformedBody:
    reason = str(error.args[0])
    return MalformedBody(f"The body is not {FORM} as its header says: {reason[:1].lower()}{reason[1:]}.")


def _check_part(part: multipart.MultipartSegment, form: Form, max_files: int) -> None:
    """Refuse a part before its content is read."""
    if _sent_name(part) is None:
        if part.name == FILE_FIELD:
            raise InvalidInput(f"A part named `{FILE_FIELD}` has no file name; every file must have one.")
        if sum(map(len, form.fields.values())) == _MAX_FIELDS:
            raise InvalidInput(f"The form holds more than {_MAX_FIELDS} fields, the most that a form may hold.")
    elif part.name != FILE_FIELD:
        raise InvalidInput(f"A file is in a part named {part.name[:60]!r}; files are sent as `{FILE_FIELD}`.")
    elif len(form.files) == max_files:
        files = "one file is" if max_files == 1 else f"{max_files} files are"
        raise InvalidInput(f"The form holds more files than are allowed; {files} allowed in one request.")


def _add(form: Form, part: multipart.MultipartSegment, content: bytes) -> None:
    if (sent := _sent_name(part)) is not None:
        name = _distinct(_file_name(sent), form.files)
        form.files.append(SentFile(name, content, part.content_type, part.charset))
        return
    try:
        form.fields.setdefault(part.name, []).append(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBody(
            f"The field {part.name[:60]!r} is not UTF-8: byte {error.start} cannot be decoded."
        ) from None


def _sent_name(part: multipart.MultipartSegment) -> str | None:
    """The name of a file, also as clients send one that is not ASCII in ASCII: in percent signs, or in `filename*`."""
    name: str | None = part.filename
    if name is not None:
        return _without_percents(name)
    match = _EXTENDED_NAME.search(part.header("Content-Disposition", ""))
    if match is None:
        return None
    try:
        return unquote(match.group(2), encoding=match.group(1) or "utf-8")
    except LookupError:
        return unquote(match.group(2))


def _without_percents(name: str) -> str:
    """A name that a client encoded as RFC 7578 allows. A name that would be ASCII as well had no reason for it."""
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        return name
    return decoded if name.isascii() and not decoded.isascii() else name


def _file_name(sent: str) -> str:
    """The last part of a path, without characters that no file name holds."""
    name = _CONTROLS.sub("", re.split(r"[/\\]", sent)[-1]).strip()
    return name[-_MAX_NAME:] or "file"


def _distinct(name: str, files: Sequence[SentFile]) -> str:
    """The name, with a number where another file has it."""
    taken = {file.name for file in files}
    number = 2
    distinct = name
    while distinct in taken:
        distinct = f"{name} ({number})"
        number += 1
    return distinct


def values_of(form: Form, model: type[BaseModel]) -> dict[str, Any]:
    """The fields of a form as `model` has them in JSON: text where `model` has text, else numbers and truth values.

    Raises:
        InvalidInput: a field that is no list stands more than once.
    """
    values: dict[str, Any] = {}
    for name, texts in form.fields.items():
        types_ = _types_of(model.model_fields[name].annotation) if name in model.model_fields else {str}
        if len(texts) > 1 and list not in types_:
            raise InvalidInput(f"`{name[:60]}` stands {len(texts)} times in the form; it may stand once.")
        read = [text if str in types_ else _scalar(text) for text in texts]
        values[name] = read if len(read) > 1 else read[0]
    return values


def _types_of(annotation: Any) -> set[Any]:
    """The plain types that a field takes."""
    origin = get_origin(annotation)
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin is Union or origin is types.UnionType:
        return set().union(*map(_types_of, get_args(annotation)))
    if hasattr(annotation, "__metadata__"):
        return _types_of(get_args(annotation)[0])
    return {origin or annotation}


def _scalar(text: str) -> Any:
    """A number, a truth value or null. Any other text stays as it is, and the schema says which type it must have."""
    if text in ("True", "False"):  # clients in Python write them so
        return text == "True"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, str | list | dict) else value

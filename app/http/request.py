"""The first steps of every endpoint: read a bounded body, find the caller and its timeout, watch for a disconnect.

All of it is plain ASGI, so that nothing is buffered on the way. This module knows neither models nor endpoints.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Scope

from app.errors import BodyTimeout, BodyTooLarge, InvalidInput, UnsupportedMediaType
from app.service import Caller
from app.settings import Settings

T = TypeVar("T")

TIMEOUT_HEADER = "X-Timeout-Ms"
ERROR_TYPE = "error_type"  # of the answer, as the service counts it; set when the request is over
ONLY_HEAD = "only_head"  # in the state of a request: the response is sent without its body
HELD = "held"  # in the state of a request: draining waits for it
KEY_HOLDER = "key_holder"  # in the state of a request: the KeyHolder whose key it has

_LONG_BODY = 100_000  # bytes; JSON of so many is parsed in about a millisecond, or in some ten if it is all numbers
# One thread: parsed JSON takes up to fifty times the memory of its bytes, and two threads would not parse faster.
_parsing = ThreadPoolExecutor(1, thread_name_prefix="parse")
_MILLISECONDS = re.compile("[0-9]{1,10}")
# Clients read the response only after sending the body, so drain it (within limits) before answering 413.
_DRAIN_BYTES = 100_000_000
_DRAIN_SECONDS = 5.0


def caller_of(request: Request, settings: Settings) -> Caller:
    """The caller as the service knows it: its key, its timeout, its quota, and whether draining waits for it.

    Raises:
        InvalidInput: see `timeout_of`.
    """
    timeout_s = timeout_of(request.headers.get(TIMEOUT_HEADER), settings)
    caller = Caller(timeout_s=timeout_s, held=getattr(request.state, HELD, False))
    holder = getattr(request.state, KEY_HOLDER, None)
    return caller if holder is None else replace(caller, name=holder.name, hold_tokens=holder.hold_tokens)


def timeout_of(header: str | None, settings: Settings) -> float | None:
    """Seconds for one request: the value of the header; None without a header.

    Raises:
        InvalidInput: the header is not a whole number of milliseconds from 1 to `max_request_timeout_s`.
    """
    if header is None:
        return None
    most = int(settings.max_request_timeout_s * 1000)
    if not _MILLISECONDS.fullmatch(header) or not 1 <= int(header) <= most:
        raise InvalidInput(f"{TIMEOUT_HEADER} must be a whole number of milliseconds from 1 to {most}.")
    return int(header) / 1000


def local_path(scope: Scope) -> str:
    """The path below the path at which this application is mounted."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def model_in_query(request: Request) -> str | None:
    """The model that `?model=` names: clients keep the query of an address that they are given.

    Raises:
        InvalidInput: the query names more than one model.
    """
    named = request.query_params.getlist("model")
    if len(named) > 1:
        raise InvalidInput(f"The address names {len(named)} models; a request takes one.")
    return named[0] if named else None


def add_model_of_query(request: Request, fields: dict[str, Any]) -> None:
    """Make `?model=` the field `model` of a request.

    Raises:
        InvalidInput: the field names another model.
    """
    if (named := model_in_query(request)) is not None and fields.setdefault("model", named) != named:
        raise InvalidInput("The address and the field `model` name two models; a request takes one.")


async def refuse_compressed(request: Request) -> None:
    """Refuse a compressed body: it could unpack to any size.

    Raises:
        UnsupportedMediaType: the body is compressed.
    """
    encodings = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    if sent := [encoding for name in encodings if (encoding := name.strip()) not in ("", "identity")]:
        await drain_body(request)
        raise UnsupportedMediaType(f"The body is compressed as {sent[0][:60]!r}; send it without compression.")


async def read_body(request: Request, settings: Settings, *, is_form: bool = False) -> bytes:
    """The body, never holding more than `max_body_bytes` of it, or `max_upload_bytes` of a form.

    Raises:
        UnsupportedMediaType: the body is compressed.
        BodyTooLarge: the announced length, or the part that has arrived, is over the limit.
        BodyTimeout: the body did not arrive in time.
    """
    await refuse_compressed(request)
    limit = settings.max_upload_bytes if is_form else settings.max_body_bytes
    timeout_s = settings.upload_timeout_s if is_form else settings.body_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            return await _read_body(request, limit)
    except TimeoutError:
        raise BodyTimeout(f"The body did not arrive within {timeout_s:g} seconds, the limit for a body.") from None


async def _read_body(request: Request, limit: int) -> bytes:
    is_too_large = announced_length(request) > limit
    if is_too_large and waits_for_continue(request):
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    drain_until = 0.0
    async for chunk in request.stream():
        size += len(chunk)
        if is_too_large or size > limit:
            chunks.clear()
            is_too_large = True
            drain_until = drain_until or time.monotonic() + _DRAIN_SECONDS
            if size > _DRAIN_BYTES or time.monotonic() > drain_until:
                break
        else:
            chunks.append(chunk)
    if is_too_large:
        raise too_large(limit)
    return b"".join(chunks)


async def parsed(body: bytes, parse: Callable[[bytes], T]) -> T:
    """The result of `parse`. A long body is parsed in a thread, so that other requests go on meanwhile."""
    if len(body) <= _LONG_BODY:
        return parse(body)
    return await asyncio.get_running_loop().run_in_executor(_parsing, parse, body)


async def drain_body(request: Request) -> None:
    """Let a client that is still sending finish, so that it reads the response, within limits. Keeps nothing of it."""
    if waits_for_continue(request):
        return  # the client has not begun to send
    size = 0
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > _DRAIN_BYTES:
                    return


def announced_length(request: Request) -> int:
    """Content-Length in bytes; 0 where none is stated, or where it is no number."""
    length = request.headers.get("content-length", "")
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def waits_for_continue(request: Request) -> bool:
    """Whether the client sends its body only after a response with the status 100."""
    return request.headers.get("expect", "").lower() == "100-continue"


def too_large(limit: int) -> BodyTooLarge:
    """The refusal of a body of more than `limit` bytes."""
    return BodyTooLarge(f"The body is larger than {limit} bytes, the limit for one request.")


async def unless_disconnected(request: Request, work: Awaitable[T]) -> T:
    """The result of `work`; when the client leaves first, `work` is cancelled.

    Raises:
        ClientDisconnect: the client left.
    """
    working = asyncio.current_task()
    assert working is not None
    left = False

    def leave(_: "asyncio.Task[None]") -> None:
        nonlocal left
        left = True
        working.cancel()

    watch = asyncio.create_task(_disconnected(request))
    watch.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if left and not working.uncancel():  # else another caller cancels as well, such as a server that stops
            raise ClientDisconnect from None
        raise
    finally:
        watch.remove_done_callback(leave)
        watch.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

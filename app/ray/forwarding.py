"""HTTP requests and answers as plain values, so that they can travel to another machine and be sent again.

`answer` runs one through an ASGI application of this process. This module does not know senders or replicas.
"""

import asyncio
from dataclasses import dataclass, replace
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Scope

from app.http.request import ERROR_TYPE

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True)
class HttpRequest:
    """One request, whole. `path` is as in the URL, percent signs included."""

    method: str
    path: bytes
    query: bytes
    headers: Headers
    body: bytes

    def with_header(self, name: str, value: str) -> "HttpRequest":
        """The same request with this header, replacing all of that name."""
        key = name.lower().encode()
        others = tuple(header for header in self.headers if header[0].lower() != key)
        return replace(self, headers=(*others, (key, value.encode())))


@dataclass(frozen=True)
class HttpAnswer:
    """One answer, whole. `error_type` is that of app/errors.py, also where the body is in a foreign format."""

    status: int
    headers: Headers
    body: bytes
    error_type: str = ""


async def answer(app: ASGIApp, request: HttpRequest) -> HttpAnswer:
    """The answer of the application. Cancelling this looks to the application like a client disconnect."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": unquote(request.path.decode("latin-1")),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": list(request.headers),
        "client": None,
        "server": None,
        "state": {},
    }
    told = False
    started: Message | None = None
    body = bytearray()

    async def receive() -> Message:
        nonlocal told
        if told:
            await asyncio.Event().wait()  # never report a disconnect
        told = True
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start":
            started = message
        else:
            body.extend(message.get("body", b""))

    await app(scope, receive, send)
    assert started is not None, "an ASGI application starts a response before it returns"
    headers = tuple((bytes(name), bytes(value)) for name, value in started["headers"])
    return HttpAnswer(started["status"], headers, bytes(body), scope["state"].get(ERROR_TYPE, ""))

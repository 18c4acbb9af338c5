"""An HTTP client that can misbehave: it can send and read slowly, and leave at any moment.

A request ends either with one whole answer or with a sentence that says what came instead. Written on sockets and h11,
because ordinary clients hide these details. This module does not know the service's endpoints.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import h11

_READ_BYTES = 65_536
_IDLE_S = 2.0  # after this long idle, the server may close the connection at any moment, so it is not used again


class NoAnswer(Exception):
    """The connection ended, or could not be made, without a whole answer; the message says how."""


@dataclass(frozen=True)
class Answer:
    """One whole answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Pace:
    """The speed of a slow reader: a number of bytes, then a pause."""

    bytes: int = _READ_BYTES
    pause_s: float = 0.0


class Connection:
    """One connection, for one request after another. Leaving the `with` block closes it at once.

    Args:
        url: of the server; its path is ignored.
        receive_buffer: bytes that the kernel may keep unread; None means the kernel's default.
    """

    def __init__(self, url: str, receive_buffer: int | None = None) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        assert address.port is not None
        self._address = (address.hostname, address.port)
        self._receive_buffer = receive_buffer
        self._http = h11.Connection(h11.CLIENT)
        self._socket: socket.socket | None = None
        self._idle_since = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Leave at once, even in the middle of a request."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._http = h11.Connection(h11.CLIENT)

    async def open(self) -> None:
        """Connect.

        Raises:
            NoAnswer: no server listens.
        """
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._receive_buffer is not None:  # before connecting, because TCP agrees on the window then
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        except OSError as error:
            self.close()
            raise NoAnswer(f"no connection: {error.strerror}") from error

    async def head(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Send the head of a request.

        Raises:
            NoAnswer: the connection has ended.
        """
        lines = [("Host", ":".join(map(str, self._address))), *headers.items()]
        await self._send(h11.Request(method=method, target=path, headers=lines))

    async def body(self, data: bytes) -> None:
        """Send a part of the body.

        Raises:
            NoAnswer: the connection has ended.
        """
        await self._send(h11.Data(data))

    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        pieces: AsyncIterable[bytes],
        pace: Pace | None = None,
    ) -> Answer:
        """Send a whole request and read at the same time: the answer may come before everything is sent.

        Args:
            headers: must contain the length of the body, or say that it is chunked.
            pieces: of the body.

        Raises:
            NoAnswer: the connection ended without a whole answer.
        """
        if self._socket is None or time.monotonic() - self._idle_since > _IDLE_S:
            self.close()
            await self.open()
        await self.head(method, path, headers)
        sending = asyncio.create_task(self._send_pieces(pieces))
        try:
            return await self.answer(pace or Pace())
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            self._next_or_close()

    async def answer(self, pace: Pace) -> Answer:
        """Read one answer.

        Raises:
            NoAnswer: the connection ended before it was whole.
        """
        response: h11.Response | None = None
        body = bytearray()
        while True:
            event = await self._event(pace, bool(response))
            if isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and response is not None:
                names = {name.decode(): value.decode("latin-1") for name, value in response.headers}
                return Answer(response.status_code, names, bytes(body))

    async def _event(self, pace: Pace, begun: bool) -> h11.Event | type[h11.PAUSED]:
        assert self._socket is not None
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                where = "an answer that was cut off" if begun else "no answer"
                raise NoAnswer(f"{where}: {error}") from error
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]
            try:
                data = await asyncio.get_running_loop().sock_recv(self._socket, pace.bytes)
            except OSError as error:
                raise NoAnswer(f"the connection was reset: {error.strerror}") from error
            if pace.pause_s:
                await asyncio.sleep(pace.pause_s)
            self._http.receive_data(data)

    async def _send_pieces(self, pieces: AsyncIterable[bytes]) -> None:
        with suppress(NoAnswer):  # the answer, or its absence, tells why
            async for piece in pieces:
                await self.body(piece)
            await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        assert self._socket is not None
        if data := self._http.send(event):
            try:
                await asyncio.get_running_loop().sock_sendall(self._socket, data)
            except OSError as error:
                raise NoAnswer(f"the connection ended while it was sent: {error.strerror}") from error

    def _next_or_close(self) -> None:
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            self._idle_since = time.monotonic()
        else:
            self.close()


async def whole(body: bytes) -> AsyncIterable[bytes]:
    """A body in one piece."""
    yield body


async def slowly(body: bytes, pieces: int, pause_s: float) -> AsyncIterable[bytes]:
    """A body in this many pieces, with a pause before each but the first."""
    size = -(-len(body) // pieces)
    for start in range(0, len(body), size):
        if start:
            await asyncio.sleep(pause_s)
        yield body[start : start + size]

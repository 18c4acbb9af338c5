"""The connections of the server: the head of a request has a limit of bytes and of time.

uvicorn bounds neither, and a request reaches the application, with its own limits, only after its head. Here bytes and
seconds count from the last part that the application can see: a head, or a part of a body. So the lines between the
parts of a chunked body are bounded too, and the lines after it. This module does not know the application.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

MAX_HEAD_BYTES = 65_536


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's protocol with the two limits: past the first the client gets 431, past the second no answer."""

    head_timeout_s: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unseen = 0  # bytes since the last part that the application can see
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unseen += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if not self._unseen:
            self._stop_timer()
        elif self._unseen > MAX_HEAD_BYTES:
            self._refuse()
        elif self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._unseen = self._unseen or 1  # the next head may begin in the bytes that end this request

    def on_headers_complete(self) -> None:
        self._unseen = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unseen = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unseen = 0
        super().on_message_complete()

    @property
    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self) -> None:
        if not self._answers:
            text = b"The head of the request is larger than %d bytes." % MAX_HEAD_BYTES
            fields = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[431] + fields % len(text) + text)
        self.transport.close()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.head_timeout_s, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        if self._answers:  # to an earlier request of the connection, or to one whose body is late; both have limits
            self._start_timer()
        else:
            self._timer = None
            self.transport.close()


def bounded(head_timeout_s: float) -> type[HttpToolsProtocol]:
    """The protocol for uvicorn, with a timeout for heads."""
    return type("TimedHeads", (BoundedHeads,), {"head_timeout_s": head_timeout_s})

"""Heads of requests over real sockets: too long, too slow, and those that are answered."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.heads import MAX_HEAD_BYTES, bounded

LONG_S, SHORT_S = 3600.0, 0.3
BEGUN = b"POST / HTTP/1.1\r\nHost: a\r\nX-Long: "
ENDED = b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"

Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def read_all(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the body that was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def read_late(scope: Scope, receive: Receive, send: Send) -> None:
    """The same, after more time than a head may take."""
    await asyncio.sleep(2 * SHORT_S)
    await read_all(scope, receive, send)


@asynccontextmanager
async def connected(
    head_timeout_s: float, app: Callable[[Scope, Receive, Send], object] = read_all
) -> AsyncIterator[Connected]:
    config = uvicorn.Config(app, http=bounded(head_timeout_s), ws="none", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    protocol = config.http_protocol_class
    async with await loop.create_server(
        lambda: protocol(config=config, server_state=state, app_state={}, _loop=loop),  # type: ignore[call-arg]
        "127.0.0.1",
        0,
    ) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(30):
                yield reader, writer
        finally:
            writer.close()
            await asyncio.gather(*state.tasks)


async def test_a_head_of_the_longest_length_is_answered() -> None:
    async with connected(LONG_S) as (reader, writer):
        writer.write(BEGUN.ljust(MAX_HEAD_BYTES, b"a"))
        await writer.drain()
        writer.write(ENDED)
        answer = await reader.read()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n{}")


async def test_a_longer_head_is_refused() -> None:
    async with connected(LONG_S) as (reader, writer):
        writer.write(BEGUN.ljust(MAX_HEAD_BYTES + 1, b"a"))
        answer = await reader.read()

    assert answer == (
        b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"content-length: 51\r\nconnection: close\r\n\r\nThe head of the request is larger than 65536 bytes."
    )


async def test_lines_after_a_chunked_body_are_bounded_too() -> None:
    has_begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        has_begun.set()
        await receive()

    async with connected(LONG_S, app) as (reader, writer):
        writer.write(CHUNKED)
        await has_begun.wait()
        writer.write(b"0\r\nX-Long: ".ljust(MAX_HEAD_BYTES + 1, b"a"))

        assert await reader.read() == b""


@pytest.mark.parametrize("sent", [b"", b"\r\n", BEGUN], ids=["nothing", "an empty line", "half a head"])
async def test_a_connection_without_a_whole_head_is_closed_in_time(sent: bytes) -> None:
    async with connected(SHORT_S) as (reader, writer):
        writer.write(sent)

        assert await reader.read() == b""


async def test_half_of_a_second_head_is_closed_in_time() -> None:
    async with connected(SHORT_S) as (reader, writer):
        writer.write(CHUNKED + b"0\r\n\r\n" + BEGUN)

        assert (await reader.read()).endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("next_head", [b"", BEGUN], ids=["alone", "with half of a second head"])
async def test_a_request_may_be_answered_later_than_that(next_head: bytes) -> None:
    async with connected(SHORT_S, read_late) as (reader, writer):
        writer.write(CHUNKED + b"0\r\n\r\n" + next_head)
        head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_the_body_of_a_chunked_request_may_arrive_later_than_that() -> None:
    async with connected(SHORT_S) as (reader, writer):
        writer.write(CHUNKED)
        await asyncio.sleep(2 * SHORT_S)
        writer.write(b"0\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")

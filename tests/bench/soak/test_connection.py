"""The client that misbehaves, against servers that do."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from bench.soak.connection import Answer, Connection, NoAnswer, Pace, slowly, whole

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(handler: Handler) -> AsyncIterator[str]:
    handling: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handling.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):  # the client has left
            await handler(reader, writer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*(task for task in handling if task is not None))


def sending(answer: bytes, after: bytes = b"\r\n\r\n") -> Handler:
    """Reads until `after` and sends bytes, then ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(after)
        writer.write(answer)

    return handle


async def post(url: str, pieces: AsyncIterable[bytes], length: int, pace: Pace | None = None) -> Answer:
    async with Connection(url) as connection:
        return await connection.request("POST", "/", {"Content-Length": str(length)}, pieces, pace)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "cut off"),
        (b"what?\r\n\r\n", "no answer"),
    ],
)
async def test_half_an_answer_is_none(answer: bytes, words: str) -> None:
    async with listening(sending(answer)) as url:
        with pytest.raises(NoAnswer, match=words):
            await post(url, whole(b""), 0)


async def test_no_server_listens() -> None:
    async with listening(sending(OK)) as url:
        pass
    with pytest.raises(NoAnswer, match="no connection"):
        await post(url, whole(b""), 0)


async def test_an_answer_that_comes_before_everything_is_sent_is_read() -> None:
    async def half() -> AsyncIterable[bytes]:
        yield b"half"
        await asyncio.Event().wait()

    async with listening(sending(OK, after=b"half")) as url:
        assert await post(url, half(), 8) == Answer(200, {"content-length": "2"}, b"ok")


async def test_slow_pieces_and_a_slow_reader_lose_nothing() -> None:
    body = bytes(range(256)) * 10
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2560\r\n\r\n" + body
    async with listening(sending(answer, after=body)) as url:
        assert (await post(url, slowly(body, 7, 0.0), len(body), Pace(100, 0.001))).body == body


async def test_one_connection_for_several_requests() -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

    async with listening(handle) as url, Connection(url) as connection:
        for _ in range(2):
            assert (await connection.request("GET", "/", {}, whole(b""))).body == b"ok"
        with pytest.raises(NoAnswer):  # the server has closed it
            await connection.request("GET", "/", {}, whole(b""))
        assert (await connection.request("GET", "/", {}, whole(b""))).body == b"ok"
    assert connections == 2

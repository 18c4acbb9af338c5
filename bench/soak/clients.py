"""The clients of the soak: one that behaves, and one for each way in which clients misbehave.

Every client sends one request and records its result. This module knows the statuses that each of them may get.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import Any

from bench.soak.connection import Connection, NoAnswer, Pace, slowly, whole
from bench.soak.record import CIRCUMSTANCES, Record, Sent
from bench.soak.requests import LONGEST_REQUEST, Wanted, catalogue
from bench.soak.server import BODY_TIMEOUT_S, MAX_BODY_BYTES

_PATHS = {"/qa": "context", "/summarize": "text", "/classify": "text"}  # with the field of their text
_SLOW_SECONDS = BODY_TIMEOUT_S / 3
_LEAVES_WITHIN_S = 0.3
_READ_BUFFER = 4096  # bytes: the server has to wait for a slow reader
_READER_PACE = Pace(bytes=2048, pause_s=0.02)
_EXPIRES_MS = (1, 2, 5)

_MALFORMED: tuple[bytes, ...] = (
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 50_000, b'{"a":' * 50_000, b'{"text": NaN}',
    b'{"text": ' + b"9" * 5_000 + b"}", b'{"text": "a", "text": "b"}', '{"text": "東京"}'.encode("cp932"), b"text=a",
)  # fmt: skip
_WRONG: tuple[Any, ...] = (None, 3, True, [], {"a": "文"}, "", " \u3000\n", "文\0", "\ud800", [["文"]])
_DEADLINES = ("0", "-1", "soon", "1.5", "99999999999")


class Clients:
    """All clients, for one server.

    Args:
        url: of the server.
        record: where every request is noted.
        rng: draws the requests.
    """

    def __init__(self, url: str, record: Record, rng: random.Random) -> None:
        self._url = url
        self._record = record
        self._rng = rng
        self.requests = catalogue()
        self._longest = next(wanted for wanted in self.requests if wanted.name == LONGEST_REQUEST)
        self.misbehaving: dict[str, Callable[[], Awaitable[object]]] = {
            "leaves while sending": self.leave_while_sending,
            "leaves while waiting": self.leave_while_waiting,
            "reads slowly": self.read_slowly,
            "sends slowly": self.send_slowly,
            "never finishes sending": self.never_finish,
            "malformed body": self.send_malformed,
            "wrong type": self.send_wrong_type,
            "unknown field": self.send_unknown_field,
            "unknown model": self.name_unknown_model,
            "unknown path": self.ask_elsewhere,
            "wrong method": self.use_wrong_method,
            "body too large": self.send_too_many_bytes,
            "text too long": self.send_too_many_characters,
            "deadline passes": self.let_expire,
            "deadline that is none": self.send_wrong_deadline,
        }

    # Those that behave

    async def ask(self, wanted: Wanted, kind: str = "normal", connection: Connection | None = None) -> Sent:
        """Send a valid request and wait for its answer."""
        sent = self._record.open(kind, wanted.path, CIRCUMSTANCES | {200}, wanted)
        return await self._send(sent, wanted.body, connection=connection)

    async def get(self, path: str, kind: str, allowed: frozenset[int] = frozenset({200})) -> tuple[Sent, bytes]:
        """Send a GET; return the body of the answer, empty when there is none."""
        sent = self._record.open(kind, path, allowed)
        async with Connection(self._url) as connection:
            try:
                answer = await connection.request("GET", path, self._headers(sent), whole(b""))
            except NoAnswer as error:
                return self._unanswered(sent, error), b""
        self._take(sent, answer)
        return sent, answer.body

    def any(self) -> Wanted:
        """Draw a valid request."""
        return self._rng.choice(self.requests)

    # Those that do not

    async def leave_while_sending(self) -> None:
        wanted = self.any()
        await self._leave("leaves while sending", wanted, wanted.body[: len(wanted.body) // 2])

    async def leave_while_waiting(self) -> None:
        wanted = self.any()
        await self._leave("leaves while waiting", wanted, wanted.body)

    async def read_slowly(self) -> None:
        sent = self._record.open("reads slowly", self._longest.path, CIRCUMSTANCES | {200}, self._longest)
        async with Connection(self._url, receive_buffer=_READ_BUFFER) as connection:
            await self._send(sent, self._longest.body, connection=connection, pace=_READER_PACE)

    async def send_slowly(self) -> None:
        wanted = self.any()
        sent = self._record.open("sends slowly", wanted.path, CIRCUMSTANCES | {200}, wanted)
        pieces = 8
        await self._send(sent, wanted.body, pieces=slowly(wanted.body, pieces, _SLOW_SECONDS / pieces))

    async def never_finish(self) -> None:
        wanted = self.any()
        sent = self._record.open("never finishes sending", wanted.path, frozenset({503}), wanted)
        await self._send(sent, wanted.body, pieces=_half(wanted.body))

    async def send_malformed(self) -> None:
        await self._post("malformed body", self._rng.choice(list(_PATHS)), self._rng.choice(_MALFORMED), 422)

    async def send_wrong_type(self) -> None:
        path, field = self._rng.choice(list(_PATHS.items()))
        body = {**_valid(path), field: self._rng.choice(_WRONG)}
        await self._post("wrong type", path, json.dumps(body).encode(), 422)

    async def send_unknown_field(self) -> None:
        path = self._rng.choice(list(_PATHS))
        await self._post("unknown field", path, json.dumps({**_valid(path), "unknown": 1}).encode(), 422)

    async def name_unknown_model(self) -> None:
        path = self._rng.choice(list(_PATHS))
        body = json.dumps({**_valid(path), "model": "no-such-model"}).encode()
        await self._post("unknown model", path, body, 404, 503)

    async def ask_elsewhere(self) -> None:
        await self._post("unknown path", "/no/such/path", b"{}", 404)

    async def use_wrong_method(self) -> None:
        sent = self._record.open("wrong method", "/qa", frozenset({405}))
        await self._send(sent, b"", method="GET")

    async def send_too_many_bytes(self) -> None:
        path = self._rng.choice(list(_PATHS))
        body = json.dumps({**_valid(path), _PATHS[path]: "a" * MAX_BODY_BYTES}).encode()
        sent = self._record.open("body too large", path, frozenset({413}))
        await self._send(sent, body, announced=self._rng.random() < 0.5)

    async def send_too_many_characters(self) -> None:
        path = self._rng.choice(list(_PATHS))
        body = json.dumps({**_valid(path), _PATHS[path]: "あ" * 300_001}, ensure_ascii=False).encode()
        await self._post("text too long", path, body, 413, *CIRCUMSTANCES)

    async def let_expire(self) -> None:
        wanted = self.any()
        sent = self._record.open("deadline passes", wanted.path, CIRCUMSTANCES | {200}, wanted)
        await self._send(sent, wanted.body, extra={"X-Timeout-Ms": str(self._rng.choice(_EXPIRES_MS))})

    async def send_wrong_deadline(self) -> None:
        wanted = self.any()
        sent = self._record.open("deadline that is none", wanted.path, frozenset({422}), wanted)
        await self._send(sent, wanted.body, extra={"X-Timeout-Ms": self._rng.choice(_DEADLINES)})

    # How

    async def _post(self, kind: str, path: str, body: bytes, *allowed: int) -> None:
        await self._send(self._record.open(kind, path, frozenset(allowed)), body)

    async def _leave(self, kind: str, wanted: Wanted, part: bytes) -> None:
        """Send a part of a request, stay a moment, and leave without reading the answer."""
        sent = self._record.open(kind, wanted.path, frozenset(), wanted)
        sent.left = True
        async with Connection(self._url) as connection:
            try:
                await connection.open()
                await connection.head("POST", wanted.path, self._headers(sent, len(wanted.body)))
                await connection.body(part)
            except NoAnswer as error:
                self._unanswered(sent, error)
                return
            await asyncio.sleep(self._rng.uniform(0, _LEAVES_WITHIN_S))

    async def _send(
        self,
        sent: Sent,
        body: bytes,
        *,
        method: str = "POST",
        pieces: AsyncIterable[bytes] | None = None,
        announced: bool = True,
        extra: Mapping[str, str] | None = None,
        connection: Connection | None = None,
        pace: Pace | None = None,
    ) -> Sent:
        headers = self._headers(sent, len(body) if announced else None) | dict(extra or {})
        own = connection or Connection(self._url)
        try:
            answer = await own.request(method, sent.path, headers, _noted(sent, pieces or whole(body)), pace)
        except NoAnswer as error:
            return self._unanswered(sent, error)
        finally:
            if connection is None:
                own.close()
        return self._take(sent, answer)

    def _headers(self, sent: Sent, length: int | None = 0) -> dict[str, str]:
        size = {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
        return {"X-Request-Id": sent.request_id, "Content-Type": "application/json", **size}

    def _take(self, sent: Sent, answer: Any) -> Sent:
        sent.take(answer, self._record.references)
        self._record.answered[str(answer.status)] += 1
        return sent

    def _unanswered(self, sent: Sent, error: NoAnswer) -> Sent:
        sent.unanswered, sent.ended = str(error), time.time()
        return sent


def _valid(path: str) -> dict[str, Any]:
    return {"question": "何?", "context": "文。"} if path == "/qa" else {"text": "文。"}


async def _noted(sent: Sent, pieces: AsyncIterable[bytes]) -> AsyncIterable[bytes]:
    async for piece in pieces:
        yield piece
    sent.whole = time.time()


async def _half(body: bytes) -> AsyncIterable[bytes]:
    """Half of a body, then nothing, for ever."""
    yield body[: len(body) // 2]
    await asyncio.Event().wait()

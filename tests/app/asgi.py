"""The application in the process of the test, without sockets."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from app.service import Service


@asynccontextmanager
async def running(
    application: FastAPI, wait: bool = True, hooks: Sequence[Callable[[httpx.Response], Awaitable[None]]] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose lifespan runs. `hooks` see every response."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with (
        application.router.lifespan_context(application),
        httpx.AsyncClient(transport=transport, base_url="http://test", event_hooks={"response": list(hooks)}) as client,
    ):
        while wait and (await client.get("/readyz")).json()["status"] == "loading":
            await asyncio.sleep(0.01)
        yield client


def error_of(response: httpx.Response, status: int, error_type: str) -> str:
    """The sentence of an error, after checking all that is promised about errors."""
    assert response.status_code == status, response.text
    body: dict[str, str] = response.json()
    assert set(body) == {"error", "error_type", "request_id"}
    assert body["error_type"] == error_type
    assert body["request_id"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    assert body["error"].endswith(".")
    assert "Traceback" not in body["error"]
    return body["error"]


def scope(path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("test", 1), "server": ("test", 80), "state": {},
    }  # fmt: skip


@contextmanager
def engines_held(application: FastAPI) -> Iterator[Callable[[], None]]:
    """Inside, no batch is done before the given function is called, or the end."""
    service: Service = application.state.service
    pids = [model.engine.pid for model in service.store.models.values()]

    def signal_all(what: signal.Signals) -> None:
        for pid in pids:
            assert pid is not None
            os.kill(pid, what)

    signal_all(signal.SIGSTOP)
    try:
        yield lambda: signal_all(signal.SIGCONT)
    finally:
        signal_all(signal.SIGCONT)

"""`nagayomi serve`: the application behind uvicorn, and its greeting on the terminal.

The server binds before anything is loaded, so that a port in use is known at once, and announces the address only when
requests can be answered. At the first SIGTERM or Ctrl-C it drains: readiness and new requests get 503 while the
requests it has are answered. At the second it stops at once. Otherwise it knows the application through HTTP alone.
"""

import asyncio
import json
import logging
import os
import shlex
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import uvicorn

from app.engine.process import check_provider
from app.errors import BrokenModel, Unavailable
from app.heads import bounded
from app.http.auth import check_exposure
from app.http.examples import REQUESTS
from app.main import create_app
from app.service import Service
from app.settings import Settings, without_effect
from app.streams import announce, log_to_output
from app.telemetry.logs import log_config

POLL_S = 0.1
SEND_S = 2  # for sending the last answers
# For the next request of a connection. The client, or the proxy before it, should be the first to close: a request that
# is sent while this server closes is lost. httpx keeps connections for 5 seconds, nginx for 60, Go's client for 90,
# Caddy for 120, load balancers of Google's cloud for 600.
KEEP_ALIVE_S = 620

logger = logging.getLogger("nagayomi.serve")


def serve(settings: Settings) -> int:
    """Run the service until it is interrupted.

    Raises:
        BrokenModel: no model could be loaded; the message gives the reason for each.
        ProviderUnavailable: the provider of the settings cannot run here, or not all of a graph.
        InvalidInput: the keys cannot be used, or there are none and other machines could reach the address.
        Unavailable: the address cannot be listened on, or traces cannot be sent as asked for; the message says why.
    """
    log_to_output()
    check_provider(settings.provider)
    check_exposure(settings)
    app = create_app(settings)
    listener = _bind(settings.host, settings.port)
    config = uvicorn.Config(
        app,
        log_config=log_config(settings),
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # no client's address is needed
        http=bounded(settings.body_timeout_s),
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SEND_S,
    )
    if (sentence := without_effect(os.environ)) is not None:
        logger.warning(sentence)
    url = local_url(settings.host, listener.getsockname()[1])
    service: Service = app.state.service

    def greet() -> None:
        if settings.log_format == "json":  # nothing else may stand in that stream
            logger.info("ready at %s", url)
        else:
            tasks = {name: model.manifest.task for name, model in sorted(service.store.models.items())}
            announce(greeting(url, tasks, needs_key=settings.needs_key))

    server = _Server(config, url, service, greet)
    server.run(sockets=[listener])
    if (error := service.unavailable or server.failure) is not None:
        raise error
    return 0


def local_url(host: str, port: int) -> str:
    """The address to give to a client on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def greeting(url: str, tasks: Mapping[str, str], *, needs_key: bool) -> str:
    """The text that is printed when requests can be answered: the address, and a request to paste.

    Args:
        tasks: of the models that are served, by name.
        needs_key: whether the request needs a key.
    """
    models = ", ".join(f"{name} ({task})" for name, task in tasks.items())
    task = next((task for task in REQUESTS if task in tasks.values()), None)
    if task is None:
        example = "No endpoint uses these models; nagayomi rerank and nagayomi evidence do."
    else:
        body = shlex.quote(json.dumps(REQUESTS[task], ensure_ascii=False))
        key = " -H 'Authorization: Bearer YOUR_KEY'" if needs_key else ""
        example = f"  curl -s {url}/{task} -H 'Content-Type: application/json'{key} \\\n    -d {body}"
    return (
        f"\nNagayomi is ready at {url}\n"
        f"Models: {models}\n\n"
        f"{example}\n\n"
        f"The web page is at {url}/ and the reference at {url}/docs. Ctrl-C stops the service.\n"
    )


class _Server(uvicorn.Server):
    """Greets when the models are loaded, and stops when none can be; drains at the first signal to stop.

    uvicorn alone would close its socket at the first signal, and readiness could not be read any more.
    """

    def __init__(self, config: uvicorn.Config, url: str, service: Service, greet: Callable[[], None]) -> None:
        super().__init__(config)
        self._url = url
        self._service = service
        self._greet = greet
        self._draining: asyncio.Task[None] | None = None
        self.failure: BrokenModel | None = None  # the reason why it stopped by itself
        # The address is local, so no proxy of the environment is used.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def main_loop(self) -> None:
        announcing = asyncio.create_task(self._announce())
        try:
            await super().main_loop()
        finally:
            announcing.cancel()

    async def on_tick(self, counter: int) -> bool:
        if self._captured_signals and self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains; the second ends the process, whose engines end with it."""
        if self._captured_signals:
            logger.warning("second signal to stop; stopping at once")
            os._exit(128 + sig)
        self._captured_signals.append(sig)  # seen at the next tick

    async def _drain(self) -> None:
        logger.info("stopping; running requests are answered first")
        await self._service.drain()
        self.should_exit = True

    async def _announce(self) -> None:
        while (health := await asyncio.to_thread(self._get, "/readyz"))["status"] == "loading":
            await asyncio.sleep(POLL_S)
        if health["status"] == "ready":
            self._greet()
        elif health["status"] == "failed":  # only another start can help
            self.failure = BrokenModel(health["reason"])
            self.should_exit = True

    def _get(self, path: str) -> dict[str, Any]:
        try:
            try:
                response = self._opener.open(self._url + path, timeout=10)
            except urllib.error.HTTPError as error:
                response = error  # 503 with its reason in the body
            with response:
                body: dict[str, Any] = json.load(response)
        except OSError:  # the machine is too busy to answer in time
            return {"status": "loading"}
        return body


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise Unavailable(
            f"The service cannot listen on {host}, port {port}: {error.strerror}. --host and --port choose another "
            "address."
        ) from error
    return listener

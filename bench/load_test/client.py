"""One request over HTTP, with the times that the client and the service measured. Connects to no other address.

This module knows the service's headers and answers, and does not know when to send. Every way in which a request can
end has a name.
"""

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.load_test.traffic import Request

NOT_CONNECTED = "not connected"  # refused, unknown host, no route, TLS
NO_ANSWER = "no answer in time"
LOST = "connection lost"
UNREADABLE = "unreadable answer"  # 200, but not from this service

CONNECT_S = 10.0
DEFAULT_TIMEOUT_S = 600.0  # assumed when the service does not report its longest timeout
# Waited beyond the longest timeout of the service, in which it should have answered, at least with 504.
GRACE_S = 10.0
# Idle connections are closed before the service closes them (after 5 s), so that it never closes one under a request.
KEEP_ALIVE_S = 2.0

_MODEL_FIELDS = ("name", "task", "provider", "precision")
_STAGE_HEADERS = {
    "tokenize": "x-tokenization-time",
    "queue": "x-queue-time",
    "infer": "x-inference-time",
    "total": "x-total-time",
}


@dataclass(frozen=True)
class Target:
    """Address and options of the requests.

    Args:
        url: checked by __main__.py.
        timeout_ms: sent as X-Timeout-Ms; None means the timeout of the service.
    """

    url: str
    api_key: str | None = None
    timeout_ms: int | None = None


class Unusable(Exception):
    """The service at this address cannot be tested; the message says why."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one request ended. Times are seconds since the load began."""

    endpoint: str
    characters: int
    scheduled_s: float
    sent_s: float
    ended_s: float
    outcome: str  # a status code, or one of the names above
    tokens: int = 0
    stages_ms: dict[str, float] = field(default_factory=dict)
    message: str = ""  # of the error
    retry_after_s: float | None = None
    windows: int = 0

    @property
    def answered(self) -> bool:
        return self.outcome == "200"

    @property
    def reached(self) -> bool:
        """Whether anything answered, with any status."""
        return self.outcome.isdigit() or self.outcome == UNREADABLE

    @property
    def latency_ms(self) -> float:
        """From the scheduled time, so that the delay of a late client is counted."""
        return 1000 * (self.ended_s - self.scheduled_s)

    @property
    def late_ms(self) -> float:
        return 1000 * (self.sent_s - self.scheduled_s)


def open_client(target: Target, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """An HTTP client without connection limits, proxies or redirects."""
    headers = {"Content-Type": "application/json"}
    if target.api_key is not None:
        headers["Authorization"] = f"Bearer {target.api_key}"
    if target.timeout_ms is not None:
        headers["X-Timeout-Ms"] = str(target.timeout_ms)
    return httpx.AsyncClient(
        base_url=target.url,
        headers=headers,
        timeout=CONNECT_S,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE_S),
        trust_env=False,
        verify=ssl.create_default_context(),  # the system's certificates, and SSL_CERT_FILE
        transport=transport,
    )


async def describe(client: httpx.AsyncClient, target: Target, tasks: Iterable[str]) -> dict[str, Any]:
    """Version and models of the service, as far as it tells; also sets the client's timeout to the service's longest.

    The service gives a request more time the more tokens it costs, so the longest is the one to wait for.

    Raises:
        Unusable: nothing answers, the service requires a key, or it has no model for one of the tasks.
    """
    try:
        response = await client.get("/info")
    except httpx.RequestError as error:
        raise Unusable(f"Nothing answers at {target.url}: {error or type(error).__name__}") from None
    if response.status_code in (401, 403):
        raise Unusable(f"{target.url} answers {response.status_code}: {error_of(response)}")
    try:
        info = response.json()
        models = [{name: model[name] for name in _MODEL_FIELDS} for model in info["models"]]
        version, timeout_s = str(info["version"]), float(info["limits"]["max_request_timeout_s"])
    except (ValueError, KeyError, TypeError):
        # A proxy in front of the service may hide /info.
        _be_patient(client, target, DEFAULT_TIMEOUT_S)
        return {}
    for task in tasks:
        if task not in {model["task"] for model in models}:
            served = ", ".join(f"{model['name']} ({model['task']})" for model in models) or "none; is it still loading?"
            raise Unusable(f"{target.url} has no model for {task}. Its models: {served}")
    _be_patient(client, target, timeout_s)
    return {"version": version, "models": models}


def _be_patient(client: httpx.AsyncClient, target: Target, timeout_s: float) -> None:
    promised_s = timeout_s if target.timeout_ms is None else target.timeout_ms / 1000
    client.timeout = httpx.Timeout(promised_s + GRACE_S, connect=CONNECT_S)


async def ask(client: httpx.AsyncClient, request: Request, scheduled_s: float, clock: Callable[[], float]) -> Result:
    """Send one request and wait for the end of its answer. Never raises: an error is a result too."""
    sent_s = clock()
    response: httpx.Response | None = None
    try:
        response = await client.post(request.endpoint, content=request.body)
        outcome, message = str(response.status_code), ""
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        outcome, message = NOT_CONNECTED, str(error)
    except httpx.TimeoutException as error:
        outcome, message = NO_ANSWER, str(error)
    except httpx.RequestError as error:
        outcome, message = LOST, str(error)
    ended_s = clock()
    tokens, windows, retry_after_s = 0, 0, None
    stages_ms: dict[str, float] = {}
    if response is not None and response.status_code == 200:
        try:
            tokens, windows, stages_ms = _measured(response)
        except (ValueError, KeyError, TypeError):
            outcome, message = UNREADABLE, "The answer does not have the format of this service."
    elif response is not None:
        message, retry_after_s = error_of(response), _seconds(response.headers.get("retry-after"))
    return Result(
        request.endpoint, request.characters, scheduled_s, sent_s, ended_s, outcome, tokens, stages_ms, message,
        retry_after_s, windows,
    )  # fmt: skip


def _measured(response: httpx.Response) -> tuple[int, int, dict[str, float]]:
    """Tokens, windows, and milliseconds by stage. Decoding has no header; the body of the answer holds its time."""
    answer: dict[str, Any] = response.json()
    stages = {name: float(response.headers[header]) for name, header in _STAGE_HEADERS.items()}
    usage = answer["usage"]
    return int(usage["tokens"]), int(usage["windows"]), {**stages, "decode": float(answer["timings"]["decode_ms"])}


def error_of(response: httpx.Response) -> str:
    """The sentence in an error of this service, or the beginning of a proxy's answer."""
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(response.text.split())[:200]


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else None

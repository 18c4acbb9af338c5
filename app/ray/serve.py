"""The service on a Ray cluster: `serve run app.ray.serve:app`, or `serve deploy docker/serve.yaml`.

There are two deployments. `Gateway` holds the application of app/main.py with its models, and scales. `Ingress` takes
requests, holds no model, and keeps each request until its answer arrives: when the replica with it dies, another one
gets it. docs/decisions/0021-ray.md gives the reasons. Every argument is a setting (`serve run app.ray.serve:app
model_store=/models`); GPUs, replicas and limits of the deployments are options of Ray Serve, see docker/serve.yaml.
"""

import asyncio
import logging
import logging.config
import time
import uuid
from logging.handlers import MemoryHandler
from typing import Any, get_args

import ray
from ray import serve
from ray.exceptions import RayActorError
from ray.serve import Application
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle
from ray.serve.metrics import Gauge
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.errors import (
    BrokenModel,
    DeadlineExceeded,
    EngineFailed,
    InvalidInput,
    NagayomiError,
    Overloaded,
    Unauthorized,
)
from app.http.auth import KeyRing, is_open, is_preflight, read_keys, token_of
from app.http.media_types import media_type
from app.http.middleware import Cors
from app.http.openapi import FORM
from app.http.request import TIMEOUT_HEADER, drain_body, read_body, timeout_of
from app.http.responses import CLIENT_GONE, answer_error
from app.main import create_app
from app.ray.autoscaling import METRIC
from app.ray.forwarding import HttpAnswer, HttpRequest, answer
from app.service import Service
from app.settings import Settings, settings_from
from app.telemetry.logs import log_config
from app.types import GpuTarget

# A request that was lost this often may be what kills the replicas.
MOST_LOSSES = 3
# A replica gets this long after the deadline to answer with 504 itself.
GRACE_S = 2.0

# Settings that only `nagayomi serve` has, and for each the sentence that says what Ray Serve does instead.
_OF_A_SOCKET = {
    "host": "Ray Serve listens, at the host in http_options of its configuration.",
    "port": "Ray Serve listens, at the port in http_options of its configuration.",
    "allow_unauthenticated": "Ray Serve listens, and no address is refused for want of keys.",
}
_PATHS = ("model_store", "api_keys_file", "engine_cache")

logger = logging.getLogger("nagayomi.ray")


def app(args: dict[str, Any]) -> Application:
    """The application, for `serve run` and `serve deploy`.

    Raises:
        InvalidInput: an argument is not a setting or has no effect on Ray, or its value is not allowed.
    """
    settings = settings_from(args)
    if "max_jobs" in settings.model_fields_set and settings.max_jobs:
        raise InvalidInput(
            f"max_jobs is {settings.max_jobs}, and Ray Serve has no jobs: a job lives in one replica, and a request "
            "for it may reach another. Set it to 0, or leave it out."
        )
    # Only as an argument: images set the variables of host and port for `nagayomi serve`.
    if given := sorted(args.keys() & _OF_A_SOCKET.keys()):
        raise InvalidInput(f"{given[0]} has no effect here: {_OF_A_SOCKET[given[0]]} Leave it out.")
    paths = {name: getattr(settings, name) for name in _PATHS}  # a replica runs in another folder
    absolute = {name: path.absolute() for name, path in paths.items() if path is not None}
    settings = settings.model_copy(update={**absolute, "max_jobs": 0})
    resources = {"num_cpus": settings.intra_op_threads or 1, "num_gpus": int(settings.provider in get_args(GpuTarget))}
    gateway = Gateway.options(  # type: ignore[attr-defined]
        ray_actor_options=resources,
        graceful_shutdown_timeout_s=settings.drain_timeout_s,
        autoscaling_config=_scaling(settings),
    )
    return Ingress.bind(gateway.bind(settings), settings)  # type: ignore[attr-defined,no-any-return]


def _scaling(settings: Settings) -> dict[str, Any]:
    """Add a replica when more than one batch waits behind the running one, on average."""
    return {
        "min_replicas": 1,
        "max_replicas": 8,
        "policy": {
            "policy_function": "app.ray.autoscaling:TokensPerReplica",
            "policy_kwargs": {"tokens_per_replica": 2 * settings.max_batch_tokens},
        },
    }


def configure_logs(settings: Settings) -> None:
    """Configure our log next to that of Ray Serve, which writes the log files of a replica.

    dictConfig closes the handlers of all others, and a closed MemoryHandler writes nothing more.
    """
    handlers = logging.getLogger("ray.serve").handlers
    targets = [(handler, handler.target) for handler in handlers if isinstance(handler, MemoryHandler)]
    logging.config.dictConfig(log_config(settings))
    for handler, target in targets:
        handler.setTarget(target)


@serve.deployment(
    # High enough that the service's own queue, in tokens, fills up first and answers 429.
    max_ongoing_requests=512,
    max_queued_requests=512,
    health_check_period_s=5,
    # An update starts a new replica before it stops an old one.
    max_surge_percent=25,
)
class Gateway:
    """One replica of the service: the application of `nagayomi serve`, without a socket."""

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray Serve awaits it
        """
        Raises:
            BrokenModel: no model could be loaded; gives the reason for each.
        """
        if not settings.intra_op_threads:
            cpus = ray.get_runtime_context().get_assigned_resources().get("CPU", 1)
            settings = settings.model_copy(update={"intra_op_threads": max(int(cpus), 1)})
        configure_logs(settings)
        self._app = create_app(settings)
        self._service: Service = self._app.state.service
        self._life = self._app.router.lifespan_context(self._app)
        await self._life.__aenter__()
        await asyncio.wait([self._app.state.loading])
        if self._service.state != "ready":
            raise BrokenModel(self._service.why_not_ready())
        self._tokens = Gauge(f"nagayomi_{METRIC}", "Waiting and running tokens of one replica.")

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """The answer of the application, which may be an error."""
        return await answer(self._app, request)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """For app/ray/autoscaling.py; called by Ray Serve."""
        tokens = self._service.outstanding_tokens
        self._tokens.set(tokens)
        return {METRIC: tokens}

    def check_health(self) -> None:
        """Called by Ray Serve, which replaces a replica that raises.

        Raises:
            EngineFailed: an engine died and could not be started again.
        """
        if any(model.engine.state == "down" for model in self._service.store.models.values()):
            raise EngineFailed(self._service.why_not_ready())

    async def __del__(self) -> None:
        """Called by Ray Serve, once, when the last request is answered."""
        await self._life.__aexit__(None, None, None)


@serve.deployment(
    num_replicas=2,  # on two machines if possible, so that one may fail
    ray_actor_options={"num_cpus": 0.1},
    max_ongoing_requests=2000,
    max_queued_requests=2000,
    backpressure_config={"status_code": 429, "retry_after_s": 1},
    health_check_period_s=5,
)
class Ingress:
    """Takes HTTP requests and gives each to a replica; when that dies, to another one, until the deadline."""

    def __init__(self, gateway: DeploymentHandle[Any], settings: Settings) -> None:
        """
        Raises:
            InvalidInput: the keys of the settings cannot be used.
        """
        self._gateway = gateway
        self._settings = settings
        self._keys = KeyRing(read_keys(settings), settings) if settings.needs_key else None
        # It adds headers to the answers given here; the application of a replica has its own.
        self._cors = Cors(Response(), settings.cors_origins) if settings.cors_origins else None

    async def __call__(self, request: Request) -> Response:
        request_id = request.headers.get("x-request-id") or uuid.uuid4().hex
        try:
            asks_first = self._cors is not None and is_preflight(request.scope)  # without a key, and without a body
            if asks_first:
                await drain_body(request)
            else:
                await self._check_key(request)
            asked_s = timeout_of(request.headers.get(TIMEOUT_HEADER), self._settings)
            timeout_s = self._settings.max_request_timeout_s if asked_s is None else asked_s
            deadline = time.monotonic() + timeout_s
            is_form = media_type(request) == FORM
            body = b"" if asks_first else await read_body(request, self._settings, is_form=is_form)
            scope = request.scope
            whole = HttpRequest(
                request.method, scope["raw_path"], scope["query_string"], tuple(request.headers.raw), body
            )
            return _response(await self._answer(whole, deadline, timeout_s, limited=asked_s is not None))
        except NagayomiError as error:
            refusal = answer_error(request_id, error)
        except ClientDisconnect:  # while it sent the body
            return Response(status_code=CLIENT_GONE)
        except Exception:
            logger.exception("request %s failed", request_id)
            refusal = answer_error(request_id, NagayomiError("Something went wrong on the server; the log says more."))
        if self._cors is not None:
            self._cors.show(refusal, request.headers)
        return refusal

    async def _check_key(self, request: Request) -> None:
        """Refuse a request without a known key before its body is held. The replica counts what each key uses.

        Raises:
            Unauthorized: see `KeyRing.find`.
        """
        if self._keys is None or is_open(request.scope):
            return
        try:
            self._keys.find(token_of(request.headers))
        except Unauthorized:
            await drain_body(request)
            raise

    async def _answer(self, request: HttpRequest, deadline: float, timeout_s: float, *, limited: bool) -> HttpAnswer:
        """
        Args:
            limited: the client asked for this time. Otherwise the replica gives the request its time.

        Raises:
            Overloaded: the queue of requests without a replica is full.
            EngineFailed: too many replicas died with the request.
            DeadlineExceeded: the deadline has passed.
        """
        losses = 0
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                left_ms = str(max(int(left_s * 1000), 1))
                sent = request.with_header(TIMEOUT_HEADER, left_ms) if limited else request
                answered = await self._ask_one(sent, left_s)
            except BackPressureError as error:
                if not losses:
                    raise Overloaded("All replicas are busy and many requests wait. Try again later.", 1) from error
                await asyncio.sleep(min(1, left_s))
                continue
            except RayActorError as error:  # the replica died, or cannot be reached
                logger.warning("a replica was lost with a request: %s", error)
            else:
                if not _is_lost(answered):
                    if answered.status != 429 or not losses:
                        return answered
                    # It was accepted before, so a full queue now makes it wait instead of being refused.
                    await asyncio.sleep(min(_retry_after_s(answered), left_s))
                    continue
            losses += 1
            if losses == MOST_LOSSES:
                raise EngineFailed(f"Every replica that had this request was lost, {losses} in all.")
        raise DeadlineExceeded(f"The request was not answered within {timeout_s:g} seconds.")

    async def _ask_one(self, request: HttpRequest, left_s: float) -> HttpAnswer:
        """One attempt. Ray Serve waits for a replica when there is none.

        Raises:
            DeadlineExceeded: no answer came, not even a 504 of the replica.
        """
        response = self._gateway.answer.remote(request)
        try:
            async with asyncio.timeout(left_s + GRACE_S):
                answered: HttpAnswer = await response
        except TimeoutError:
            response.cancel()  # type: ignore[no-untyped-call]
            raise DeadlineExceeded("No replica answered in time. Try again when the service is less busy.") from None
        except asyncio.CancelledError:  # the client has left
            response.cancel()  # type: ignore[no-untyped-call]
            raise
        return answered


def _is_lost(answered: HttpAnswer) -> bool:
    """Whether another attempt may succeed: the engine died with the request, or the replica was about to end."""
    return answered.status == 503 and answered.error_type in ("engine_failed", "unavailable")


def _retry_after_s(answered: HttpAnswer) -> float:
    return float(dict(answered.headers).get(b"retry-after", b"1"))


def _response(answered: HttpAnswer) -> Response:
    response = Response(answered.body, answered.status)
    # Ray Serve's proxy adds the id of the request itself.
    response.raw_headers = [header for header in answered.headers if header[0].lower() != b"x-request-id"]
    return response

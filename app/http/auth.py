"""API keys: reads them, limits the use of each, and refuses requests without one.

A key is a name and the SHA-256 of a token. The token is 256 random bits and cannot be guessed, so a slow hash, which
passwords need, would protect nothing and would slow down every request. Names appear in logs and metrics; only the
owner of a token has it. Everything here runs on the event loop, so counting needs no locks.

`ApiKeyMiddleware` stands between the gate and the routes when keys are configured. The only open paths are those that a
browser or an orchestrator requests before it can know a key. Every other path needs a key, even a path that does not
exist: a new path is closed until it is named here. This module does not know what a request asks for.
"""

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import InvalidInput, KeyLimit, NagayomiError, Unauthorized
from app.http.request import KEY_HOLDER, drain_body, local_path
from app.http.responses import answer_error
from app.settings import Settings
from app.telemetry.request_context import current_request

# Scanners for leaked secrets, and people, recognise a token by this prefix.
TOKEN_PREFIX = "nagayomi_"
TOKEN_BYTES = 32

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENTRY = re.compile(rf"(?P<name>{_NAME.pattern}):(?P<digest>[0-9a-f]{{64}})")
_HOW_TO_SEND = "Send it as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
_REALM = 'Bearer realm="nagayomi"'
# Capacity returns when one of the key's own requests ends, so a short Retry-After is enough.
_RETRY_AFTER_S = 1

# These paths are open to GET and HEAD only: a POST to `/` is a task.
OPEN_PATHS = frozenset(
    ("/", "/docs", "/openapi.json", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready")
)
OPEN_FOLDER = "/static/"


@dataclass(frozen=True)
class Key:
    """One entry of the settings or of the keys file, `NAME:SHA-256`."""

    name: str
    digest: bytes

    @classmethod
    def parse(cls, entry: str, where: str) -> "Key":
        """Read an entry.

        Raises:
            InvalidInput: the message names the place and never repeats the entry, which may be a token by mistake.
        """
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise InvalidInput(
                f"{where} is not NAME:SHA-256 with 64 hexadecimal digits in lower case. `nagayomi keys NAME` makes a "
                "key and prints its line."
            )
        return cls(match["name"], bytes.fromhex(match["digest"]))


def new_key(name: str) -> tuple[str, str]:
    """A new token and its entry for the keys file.

    Raises:
        InvalidInput: the name has characters that logs and metrics cannot hold.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput("A key's name must be 1 to 64 ASCII letters, digits, dots, hyphens and underscores.")
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    return token, f"{name}:{hashlib.sha256(token.encode()).hexdigest()}"


def read_keys(settings: Settings) -> list[Key]:
    """The keys of the settings and of the file they name; none when neither is set.

    Raises:
        InvalidInput: the file cannot be read or holds no key; an entry is no key, or a name or a digest stands twice.
    """
    keys = [Key.parse(entry, f"Entry {number} of api_keys") for number, entry in enumerate(settings.api_keys, 1)]
    if (file := settings.api_keys_file) is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise InvalidInput(f"The keys file {file} cannot be read: {reason}.") from error
        entries = [(number, line.strip()) for number, line in enumerate(lines, 1)]
        of_file = [
            Key.parse(entry, f"Line {number} of {file}") for number, entry in entries if entry and entry[0] != "#"
        ]
        if not of_file:
            raise InvalidInput(f"The keys file {file} holds no key, so no client could send a request.")
        keys += of_file
    names = [key.name for key in keys]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InvalidInput(f"Two keys are named {repeated[0]}; every key needs a name of its own.")
    if len({key.digest for key in keys}) < len(keys):
        raise InvalidInput("Two keys have the same SHA-256; every name needs a different token.")
    return keys


def check_exposure(settings: Settings) -> None:
    """Refuse an address that other machines can reach without a key, unless the settings allow it.

    Raises:
        InvalidInput: other machines can reach the address, no key is required, and the settings do not allow that.
    """
    if settings.needs_key or settings.allow_unauthenticated or _is_loopback(settings.host):
        return
    raise InvalidInput(
        f"Other machines can reach {settings.host}, and no key is required. Make keys with `nagayomi keys NAME` and "
        "name their file with --api-keys-file (NAGAYOMI_API_KEYS_FILE); or let every client that reaches the "
        "address use the service, with --allow-unauthenticated (NAGAYOMI_ALLOW_UNAUTHENTICATED=true)."
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a host name: only localhost is known to mean this machine
        return host == "localhost"


class KeyHolder:
    """The owner of one key, and the current use of its limits."""

    def __init__(self, name: str, max_requests: int, max_tokens: int) -> None:
        self.name = name
        self.requests = 0
        self.tokens = 0
        self._max_requests = max_requests
        self._max_tokens = max_tokens

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count one request while it runs.

        Raises:
            KeyLimit: as many requests run as one key may have.
        """
        if self.requests >= self._max_requests:
            raise KeyLimit(
                f"{self.requests} requests with the key {self.name} are being answered; {self._max_requests} are "
                "allowed at once. Try again when one of them has ended.",
                _RETRY_AFTER_S,
            )
        self.requests += 1
        try:
            yield
        finally:
            self.requests -= 1

    @contextmanager
    def hold_tokens(self, tokens: int) -> Iterator[None]:
        """Count tokens while they wait or run.

        Raises:
            KeyLimit: together with the tokens that wait or run, they are more than one key may have.
        """
        if self.tokens + tokens > self._max_tokens:
            raise KeyLimit(
                f"Requests with the key {self.name} have {self.tokens} tokens waiting or running and this one would "
                f"add {tokens}; {self._max_tokens} are allowed. Try again when one of them has ended.",
                _RETRY_AFTER_S,
            )
        self.tokens += tokens
        try:
            yield
        finally:
            self.tokens -= tokens


class KeyRing:
    """The holders of all keys, found by token."""

    def __init__(self, keys: Iterable[Key], settings: Settings) -> None:
        self._holders = [
            (key.digest, KeyHolder(key.name, settings.max_key_requests, settings.max_key_tokens)) for key in keys
        ]

    @property
    def holders(self) -> list[KeyHolder]:
        return [holder for _, holder in self._holders]

    def find(self, token: bytes | None) -> KeyHolder:
        """The holder of a token. Every wrong token takes the same time: all digests are compared in full.

        Raises:
            Unauthorized: there is no token, or it is unknown.
        """
        if not token:
            raise Unauthorized(f"This server requires a key. {_HOW_TO_SEND}", _REALM)
        digest = hashlib.sha256(token).digest()
        found = None
        for known, holder in self._holders:
            if hmac.compare_digest(known, digest):
                found = holder
        if found is None:
            raise Unauthorized(f"This server does not know the key. {_HOW_TO_SEND}", f'{_REALM}, error="invalid_token"')
        return found


class ApiKeyMiddleware:
    """Answers 401 without a known key, 429 when the key has too many requests running, and lets the rest through."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or is_open(scope):
            await self._app(scope, receive, send)
            return
        with ExitStack() as running:
            try:
                holder = self._keys.find(token_of(Headers(scope=scope)))
                if (context := current_request.get()) is not None:
                    context.key = holder.name
                scope["state"][KEY_HOLDER] = holder
                running.enter_context(holder.request())
            except NagayomiError as error:
                await drain_body(Request(scope, receive))
                await answer_error(scope["state"]["request_id"], error)(scope, receive, send)
                return
            await self._app(scope, receive, send)


def is_open(scope: Scope) -> bool:
    """Whether a request needs no key."""
    path = local_path(scope)
    return scope.get("method") in ("GET", "HEAD") and (path in OPEN_PATHS or path.startswith(OPEN_FOLDER))


def is_preflight(scope: Scope) -> bool:
    """Whether a browser asks if it may send a request; it sends no key with that."""
    return scope.get("method") == "OPTIONS" and "access-control-request-method" in Headers(scope=scope)


def token_of(headers: Headers) -> bytes | None:
    """The token of a request.

    `X-API-Key`, where it is sent, counts before `Authorization`, which may be meant for a proxy.
    """
    if (token := headers.get("x-api-key")) is not None:
        return token.strip().encode("latin-1")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if scheme.lower() == "bearer" else None

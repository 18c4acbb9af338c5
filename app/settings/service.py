"""The settings of the service itself: its address, its models, its limits, and its keys.

The checks that these limits fit together are here too. This module does not know models or HTTP.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.types import LogFormat, LogLevel, Provider

_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class ServiceSettings(BaseSettings):
    """See app/settings/__init__.py."""

    model_config = SettingsConfigDict(env_prefix="NAGAYOMI_", frozen=True, extra="forbid", validate_default=True)

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Other machines can send requests to any address except a loopback address.",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on. 0 takes any free port.")
    model_store: Path = Field(
        default=Path("model_store"),
        description="Directory with one sub-directory per model, each with a manifest.json. All are loaded at start.",
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names of the models to load, separated by commas. Empty loads all: memory grows with every model.",
    )
    provider: Provider = Field(
        default="cpu",
        description="Where models run. 'cuda' needs the extra 'gpu' and an NVIDIA GPU, 'tensorrt' also the extra "
        "'tensorrt', and 'openvino' the extra 'openvino'. Where the provider cannot run, the service stops and says "
        "why instead of falling back.",
    )
    engine_cache: Path = Field(
        default=Path("engine_cache"),
        description="Directory for the engines that the provider 'tensorrt' builds. The first start with a model, or "
        "with another max_batch_tokens, takes minutes; later ones find the engine here. Other providers use none.",
    )
    intra_op_threads: int = Field(
        default=0,
        ge=0,
        description="CPU threads of each model's engine. 0 takes one per physical core; set another value if a "
        "container may use fewer cores than the machine has, or if several models are busy at once.",
    )
    text_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that tokenize and decode, each with its own tokenizer (some 20 MB per model). More "
        "threads keep short requests from waiting behind a long text.",
    )
    max_waiting_characters: int = Field(
        default=4_000_000,
        ge=1,
        description="Characters of texts that may wait for a text thread. Past it requests get 429 with Retry-After; "
        "more means more memory and longer waits instead. A text is always accepted when no other one waits.",
    )
    max_batch_tokens: int = Field(
        default=4096,
        ge=1,
        description="Tokens, in whole blocks, that run at once. A higher value raises the throughput of a GPU; on "
        "every device it raises the memory and the wait for the batch before. A longer window still runs, alone.",
    )
    warm_up: bool = Field(
        default=True,
        description="Run the largest batches before the service is ready. Without it the service is ready some seconds "
        "earlier, the first long text takes those seconds, and a lack of memory shows only then.",
    )
    max_queue_tokens: int = Field(
        default=786_432,
        ge=1,
        description="Tokens that may wait for one model. Past it requests get 429 with Retry-After; more means longer "
        "waits under overload instead. At least max_request_tokens, or the largest request could never be taken.",
    )
    max_request_tokens: int = Field(
        default=393_216,
        ge=1,
        description="Tokens that one request may cost, counted over all its windows and questions in whole blocks. "
        "Past it the request gets 413 with the count. If a request names no overlap, its windows overlap less where "
        "the usual overlap would cost more than this. The default has room for one question about a text of "
        "max_text_characters, at a token for each character.",
    )
    max_text_characters: int = Field(
        default=300_000,
        ge=1,
        description="Characters that one request may hold in all its texts, as sent and once more after normalisation "
        "(one ﷺ becomes 18). Past it the request gets 413 before any time is spent on tokenizing it.",
    )
    max_questions: int = Field(default=64, ge=1, description="Questions that one /qa request may ask. More get 422.")
    max_client_batch_size: int = Field(
        default=64,
        ge=1,
        description="Documents or files of one request, or texts that a Hugging Face, TEI or KServe request holds as a "
        "list. More get 422. Together they are one request: the other limits hold for their sum.",
    )
    max_body_bytes: int = Field(
        default=10_000_000,
        ge=1,
        description="Bytes of one request body. Past it the request gets 413, whether or not it announced its length.",
    )
    request_timeout_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds from reading a request to its answer, for clients that send no X-Timeout-Ms. A request "
        "gets them again for each 16,384 tokens that it costs, and its files may take as long before that, up to "
        "max_request_timeout_s in all. Past its time the client gets 504 and the work that has not started is dropped.",
    )
    max_request_timeout_s: float = Field(
        default=600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that X-Timeout-Ms may ask for at most; more gets 422. Long requests without it get no "
        "more either. At least request_timeout_s.",
    )
    body_timeout_s: float = Field(
        default=30.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a client may take to send one body. Past it the request gets 408 and the connection "
        "is closed, so that slow senders cannot hold memory and connections for ever. The headers may take as long.",
    )
    batch_timeout_s: float = Field(
        default=300.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a batch may run. Past it the engine is killed and started again, and "
        "the requests in it get 503. Must be longer than the slowest batch of max_batch_tokens.",
    )
    drain_timeout_s: float = Field(
        default=30.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds that a service told to stop (SIGTERM) goes on with the requests it has. Requests that are "
        "not answered by then get 503. Keep it below the time after which your platform kills a process.",
    )
    api_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Keys that requests may have, separated by commas, each NAME:SHA-256 as `nagayomi keys NAME` "
        "prints it. With any key, here or in api_keys_file, requests without one get 401, /info and /metrics included "
        "(names of models, keys and their traffic); the web page, /docs, /livez, /readyz and /health stay open.",
    )
    api_keys_file: Path | None = Field(
        default=None,
        description="File with one NAME:SHA-256 per line; empty lines and lines that start with # are skipped. The "
        "file is read at start: a key that is added or removed counts after a restart.",
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="Listen on an address that other machines reach, although no key is required. Without it the "
        "service refuses to start on such an address; with it, every client that reaches the address may use the "
        "service.",
    )
    max_key_requests: int = Field(
        default=64,
        ge=1,
        description="Requests of one key that may run at once. Past it the key's next request gets 429; fewer leave "
        "more room for the other keys.",
    )
    max_key_tokens: int = Field(
        default=393_216,
        ge=1,
        description="Tokens of one key's requests that may wait or run at once, in whole blocks. Past it the key's "
        "next request gets 429. Below max_queue_tokens, no key can fill the queue alone. At least max_request_tokens.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Origins whose web pages may read answers, separated by commas, such as https://example.jp; * "
        "allows every page. Empty keeps browsers from showing answers to any page but the service's own.",
    )
    log_level: LogLevel = Field(
        default="info", description="Level of the log. Texts are not logged at any level, unless log_texts is set."
    )
    log_format: LogFormat = Field(
        default="text",
        description="'json' writes one JSON object per line, with the request id and the key's name as fields, for "
        "machines that collect logs; 'text' is for people.",
    )
    log_texts: bool = Field(
        default=False,
        description="Log every request with its texts, to find out what clients send. Documents then lie in the log, "
        "and the web page says so.",
    )

    @property
    def needs_key(self) -> bool:
        """Whether requests need a key."""
        return bool(self.api_keys) or self.api_keys_file is not None

    @field_validator("models", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        """`a,b`, the form of a list in an environment variable or flag."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @field_validator("port", mode="before")
    @classmethod
    def _no_service_link(cls, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("tcp://"):
            raise ValueError(
                "must be a number. Kubernetes sets this variable for a service named nagayomi; give the pod "
                "enableServiceLinks: false, or the service another name"
            )
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: a scheme and a host, with a port if it is not the usual one, and "
                    "nothing after it, such as https://example.jp:8443"
                )
        return value

    @model_validator(mode="after")
    def _limits_fit_together(self) -> Self:
        if self.max_queue_tokens < self.max_request_tokens:
            raise ValueError(
                f"max_queue_tokens ({self.max_queue_tokens}) must be at least max_request_tokens "
                f"({self.max_request_tokens}), or the largest allowed request could never be queued"
            )
        if self.max_request_timeout_s < self.request_timeout_s:
            raise ValueError(
                f"max_request_timeout_s ({self.max_request_timeout_s:g}) must be at least request_timeout_s "
                f"({self.request_timeout_s:g}), or a client could not ask for the time it gets without asking"
            )
        if self.needs_key and self.max_key_tokens < self.max_request_tokens:
            raise ValueError(
                f"max_key_tokens ({self.max_key_tokens}) must be at least max_request_tokens "
                f"({self.max_request_tokens}), or no key could send the largest allowed request"
            )
        return self

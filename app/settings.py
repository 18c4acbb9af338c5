"""Every switch of the service in one frozen object, built once and handed down.

Values come from the constructor (the command line turns every field into a flag) or from environment variables named
`NAGAYOMI_<FIELD>`. Each description says what changes when the value does. Knows nothing of models or HTTP.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

Provider = Literal["cpu", "cuda"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """Frozen settings of one process."""

    model_config = SettingsConfigDict(env_prefix="NAGAYOMI_", frozen=True, extra="forbid", validate_default=True)

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Anything but a loopback address lets other machines send requests.",
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
        description="Where models run. 'cuda' needs the gpu extra and a card; where it cannot run, the service stops "
        "and says why instead of falling back.",
    )
    intra_op_threads: int = Field(
        default=0,
        ge=0,
        description="CPU threads of each model's engine. 0 takes one per physical core; set it where a container may "
        "use fewer cores than the machine has, or where several models are busy at once.",
    )
    text_threads: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Threads that tokenise and decode, each with its own tokeniser (some 20 MB per model). More "
        "threads keep short requests from waiting behind a long text.",
    )
    max_batch_tokens: int = Field(
        default=4096,
        ge=1,
        description="Tokens, in whole blocks, that run at once. More raises the throughput of a GPU, and everywhere "
        "the memory and the time a request waits for the batch before it. A longer window still runs, alone.",
    )
    max_queue_tokens: int = Field(
        default=524_288,
        ge=1,
        description="Tokens that may wait for one model. Past it requests get 429 with Retry-After; more means longer "
        "waits under overload instead. At least max_request_tokens, or the largest request could never be taken.",
    )
    max_request_tokens: int = Field(
        default=262_144,
        ge=1,
        description="Tokens that one request may cost, counted over all its windows and questions in whole blocks. "
        "Past it the request gets 413 with the count.",
    )
    max_text_characters: int = Field(
        default=300_000,
        ge=1,
        description="Characters that one request may hold in all its texts. Past it the request gets 413 before any "
        "time is spent on tokenising it.",
    )
    max_questions: int = Field(default=64, ge=1, description="Questions that one /qa request may ask. More get 422.")
    max_client_batch_size: int = Field(
        default=64,
        ge=1,
        description="Texts that one Hugging Face, TEI or KServe request may hold as a list. More get 422. Together "
        "they are one request: the other limits hold for their sum.",
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
        description="Seconds from reading a request to its answer. Past it the client gets 504 and the work that has "
        "not started is dropped.",
    )
    log_level: LogLevel = Field(default="info", description="How much is logged. Texts are never logged at any level.")

    @field_validator("models", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        """`a,b` as an environment variable or flag gives it."""
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _largest_request_fits_the_queue(self) -> Self:
        if self.max_queue_tokens < self.max_request_tokens:
            raise ValueError(
                f"max_queue_tokens ({self.max_queue_tokens}) must be at least max_request_tokens "
                f"({self.max_request_tokens}), or the largest allowed request could never be queued"
            )
        return self

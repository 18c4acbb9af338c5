"""What /info and /health say about an installation."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from app.schemas.qa import MAX_ANSWER_TOKENS, MAX_TOP_K
from app.schemas.results import Response


class ModelInfo(Response):
    """One model that is served."""

    name: str
    task: str
    max_tokens: int
    doc_stride: int
    labels: list[str]
    label_names: Mapping[str, str]
    precision: str
    attention_pattern: str | None = Field(description="None where no layer has the block-sparse attention of BigBird.")
    block_size: int
    provider: str
    licence: str
    source: str


class BrokenInfo(Response):
    """A directory of the model store that is not served, and why."""

    name: str
    reason: str


class Health(Response):
    """State of the process; the status code says the same."""

    status: Literal["loading", "ready", "recovering", "failed", "draining", "closed"]
    models: list[str]
    broken: list[BrokenInfo]
    reason: str | None = Field(default=None, description="Why it is not ready.")


class Limits(Response):
    """What one request may ask for on this installation."""

    max_body_bytes: int
    max_upload_bytes: int = Field(description="Of one form with files.")
    max_file_bytes: int
    max_file_characters: int = Field(description="That /extract gives of one file.")
    max_file_pages: int
    max_text_characters: int
    max_request_tokens: int
    max_questions: int
    max_client_batch_size: int = Field(description="Documents, files or texts of one request.")
    max_top_k: int = MAX_TOP_K
    max_answer_length: int = MAX_ANSWER_TOKENS
    request_timeout_s: float
    max_request_timeout_s: float
    max_jobs: int = Field(description="0: none are offered.")
    job_timeout_s: float
    job_keep_s: float = Field(description="Seconds that the result of a job is kept.")


class Labels(Response):
    """The labels of a classifier, as Text Embeddings Inference gives them."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(Response):
    """Text Embeddings Inference's word for a task; it has one for classifiers only."""

    classifier: Labels


class Info(Response):
    """What this installation serves. Beside our own fields stand those that clients of Text Embeddings Inference read;
    what they say of *the* model is said of the first model of a task by name, which answers where none is named.
    """

    version: str
    models: list[ModelInfo]
    broken: list[BrokenInfo]
    limits: Limits
    max_batch_tokens: int
    max_queue_tokens: int
    log_texts: bool = Field(description="Whether the texts of requests are written to the log.")
    model_id: str | None = Field(description="None where no model serves the task.")
    model_sha: str | None = None
    model_dtype: str | None
    model_type: ModelType | None
    max_input_length: int | None = Field(description="Tokens read in one pass; longer texts are read in windows.")
    max_client_batch_size: int
    max_batch_requests: int | None = Field(default=None, description="Always None: batches are limited by tokens.")
    auto_truncate: bool = Field(default=False, description="Always false: no text is ever cut off.")
    tokenization_workers: int
    sha: str | None = None
    docker_label: str | None = None

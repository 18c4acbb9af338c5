"""The answers of /info and /health about an installation."""

from collections.abc import Mapping

from pydantic import Field

from app.schemas.qa import MAX_ANSWER_TOKENS, MAX_TOP_K
from app.schemas.results import Response
from app.types import ServiceState


class ModelInfo(Response):
    """One model that is served."""

    name: str
    task: str
    max_tokens: int
    doc_stride: int
    null_score_diff_threshold: float | None = Field(
        description="The fitted threshold of `score_diff`, above which a text is best taken not to answer a question. "
        "/qa uses it if a request sends it. Null if none was fitted."
    )
    labels: list[str]
    label_names: Mapping[str, str]
    precision: str
    attention_pattern: str | None = Field(description="Null if no layer has the block-sparse attention of BigBird.")
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

    status: ServiceState
    models: list[str]
    broken: list[BrokenInfo]
    reason: str | None = Field(default=None, description="The reason why the service is not ready.")


class Limits(Response):
    """The limits on one request to this installation."""

    max_body_bytes: int
    max_upload_bytes: int = Field(description="Bytes of one form with files.")
    max_file_bytes: int
    max_file_characters: int = Field(description="Characters that /extract returns for one file.")
    max_file_pages: int
    max_text_characters: int
    max_request_tokens: int
    max_questions: int
    max_client_batch_size: int = Field(description="Number of documents, files or texts of one request.")
    max_top_k: int = MAX_TOP_K
    max_answer_length: int = MAX_ANSWER_TOKENS
    request_timeout_s: float
    max_request_timeout_s: float
    max_jobs: int = Field(description="0: no jobs are offered.")
    min_job_bytes: int = Field(description="A smaller body, or smaller files, never become a job.")
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
    """The models and limits of this installation, with the fields that clients of Text Embeddings Inference read.

    These clients know one model only: their fields describe the first model of a task by name, which answers requests
    that name no model.
    """

    version: str
    models: list[ModelInfo]
    broken: list[BrokenInfo]
    limits: Limits
    max_batch_tokens: int
    max_queue_tokens: int
    log_texts: bool = Field(description="Whether the texts of requests are written to the log.")
    model_id: str | None = Field(description="Null if no model serves the task.")
    model_sha: str | None = None
    model_dtype: str | None
    model_type: ModelType | None
    max_input_length: int | None = Field(description="Tokens read in one pass; longer texts are read in windows.")
    max_client_batch_size: int
    max_batch_requests: int | None = Field(default=None, description="Always null: batches are limited by tokens.")
    auto_truncate: bool = Field(default=False, description="Always false: no text is ever cut off.")
    tokenization_workers: int
    sha: str | None = None
    docker_label: str | None = None

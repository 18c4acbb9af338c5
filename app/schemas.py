"""Requests and responses as clients see them.

Limits that hold for every installation stand here; limits an operator may move stand in settings.py. Knows nothing of
models or FastAPI. Messages name the field, what is wrong and what is allowed; they never repeat a text.
"""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from app.document_schemas import Box, DocumentInfo, SentenceSpan
from app.text.characters import SURROGATE

MAX_TOP_K = 20
MAX_ANSWER_TOKENS = 512
DEFAULT_SENTENCES = 3
MAX_ID_CHARACTERS = 255
DEFAULT_PAGE_WIDTH = 1000  # pixels of a page's picture

OffsetUnit = Literal["codepoint", "utf16"]


# Characters of which nothing is left to read: white space, controls, and what nobody sees. A class that means the same
# to the regular expressions of JSON Schema, Python and Rust, which is why those past U+FFFF stand for themselves.
_UNSEEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0001\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
_NO_NUL = r"[^\u0000]*"
# What the validators below and the tokeniser take, for the OpenAPI schema: clients can check it before they send.
TEXT_PATTERN = f"^{_NO_NUL}[^{_UNSEEN}]{_NO_NUL}$"


def _characters(text: str) -> str:
    """Refuse what is no character of a text: NUL and lone surrogates."""
    if "\0" in text:
        raise PydanticCustomError("text", "holds a NUL character (U+0000); only text is allowed")
    if not text.isascii() and (match := SURROGATE.search(text)):
        raise PydanticCustomError(
            "text",
            "holds a lone surrogate (U+{code}) at character {position}; only Unicode characters are allowed",
            {"code": f"{ord(match.group()):04X}", "position": match.start()},
        )
    return text


def _not_blank(text: str) -> str:
    if not text or text.isspace():
        raise PydanticCustomError("text", "must hold at least one character that is not white space")
    return _characters(text)


Text = Annotated[str, AfterValidator(_not_blank), Field(json_schema_extra={"minLength": 1, "pattern": TEXT_PATTERN})]
ModelName = Annotated[
    str,
    Field(min_length=1, max_length=100, json_schema_extra={"pattern": f"^{_NO_NUL}$"}),
    AfterValidator(_characters),
]
Texts = Annotated[
    Annotated[Text, Tag("<one>")] | Annotated[list[Text], Field(min_length=1), Tag("<many>")],
    Discriminator(lambda value: "<many>" if isinstance(value, list) else "<one>"),
]


DocumentId = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_CHARACTERS, json_schema_extra={"pattern": f"^{_NO_NUL}$"}),
    AfterValidator(_characters),
]


def at_most_one(*names: str) -> JsonDict:
    """For the OpenAPI schema: all of these fields but one are null or missing."""
    return {"anyOf": [{"properties": {other: {"type": "null"} for other in names if other != name}} for name in names]}


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    model: ModelName | None = Field(
        default=None, description="Name of the model, as in /info. Without it, the first model of the task by name."
    )


class DocumentText(BaseModel):
    """One of several texts of a request."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: DocumentId | None = Field(
        default=None, description="What answers name it by. Without it, its place among them, counted from 0."
    )
    text: Text


def _named(documents: list[DocumentText]) -> list[DocumentText]:
    """Every document with an id of its own."""
    named = [document.model_copy(update={"id": document.id or str(index)}) for index, document in enumerate(documents)]
    ids = [document.id for document in named]
    for index, id_ in enumerate(ids):
        if id_ in ids[:index]:
            raise PydanticCustomError(
                "documents",
                "names document {index} like document {first}, counted from 0; every id may stand once",
                {"index": index, "first": ids.index(id_)},
            )
    return named


Documents = Annotated[list[DocumentText], Field(min_length=1), AfterValidator(_named)]


class _QaFields(_Request):
    model_config = ConfigDict(json_schema_extra=at_most_one("doc_stride", "window_overlap"))

    question: Texts = Field(description="A question, or a list of questions about the same text.")
    top_k: int = Field(
        default=1, ge=1, le=MAX_TOP_K, description="Answers per question at most, best first; no answer twice."
    )
    max_answer_length: int = Field(
        default=30,
        ge=1,
        le=MAX_ANSWER_TOKENS,
        description="Tokens of an answer at most; a token is one or two characters.",
    )
    null_score_diff_threshold: float | None = Field(
        default=None,
        description="No answers are returned when `score_diff` (null logit less best answer's logit) is above this. "
        "Without it there are always answers.",
    )
    doc_stride: int | None = Field(
        default=None,
        ge=1,
        description="Tokens between the starts of two windows, where the text does not fit in one. Smaller reads "
        "every passage with more context around it, and costs more.",
    )
    window_overlap: int | None = Field(
        default=None,
        ge=0,
        description="Tokens that two neighbouring windows share, in place of doc_stride: what Hugging Face calls "
        "`doc_stride`. At most one of the two may be given.",
    )
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings want utf16.")

    @property
    def questions(self) -> list[str]:
        return self.question if isinstance(self.question, list) else [self.question]

    @model_validator(mode="after")
    def _one_stride(self) -> Self:
        if self.doc_stride is not None and self.window_overlap is not None:
            raise PydanticCustomError("one_stride", "only one of doc_stride and window_overlap is allowed")
        return self


class QaRequest(_QaFields):
    """Questions about one text."""

    context: Text = Field(description="The text to find the answers in, of any length within the limits in /info.")

    @property
    def texts(self) -> list[str]:
        return [self.context, *self.questions]


class QaDocumentsRequest(_QaFields):
    """Questions about several texts: each is answered from all of them."""

    documents: Documents = Field(description="The texts to find the answers in. Limits in /info hold for their sum.")

    @property
    def texts(self) -> list[str]:
        return [*(document.text for document in self.documents), *self.questions]


class _SummarizeFields(_Request):
    model_config = ConfigDict(json_schema_extra=at_most_one("max_sentences", "ratio", "max_characters"))

    max_sentences: int | None = Field(
        default=None, ge=1, description=f"Sentences at most; {DEFAULT_SENTENCES} when no length is given."
    )
    ratio: float | None = Field(default=None, gt=0, le=1, description="Share of the text's sentences, rounded up.")
    max_characters: int | None = Field(
        default=None,
        ge=1,
        description="Characters of the summary at most. Sentences are never cut: those that fit are taken.",
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 avoids repetition as far as the summary's expected F1 gains by it; more avoids it further.",
    )
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings want utf16.")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [name for name in ("max_sentences", "ratio", "max_characters") if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError(
                "one_length",
                "only one of max_sentences, ratio and max_characters is allowed, not {given}",
                {"given": " and ".join(given)},
            )
        return self


class SummarizeRequest(_SummarizeFields):
    """A text to choose the most important sentences of. At most one of the three lengths may be given."""

    text: Text = Field(description="The text to summarise, of any length within the limits in /info.")

    @property
    def texts(self) -> list[str]:
        return [self.text]


class SummarizeDocumentsRequest(_SummarizeFields):
    """Several texts, each to be summarised by itself; the length is that of each summary."""

    documents: Documents = Field(description="The texts to summarise. Limits in /info hold for their sum.")

    @property
    def texts(self) -> list[str]:
        return [document.text for document in self.documents]


class _ClassifyFields(_Request):
    text_pair: Text | None = Field(default=None, description="A second text, for models trained on pairs.")
    top_k: int | None = Field(default=None, ge=1, description="Labels at most, most probable first. Without it, all.")


class ClassifyRequest(_ClassifyFields):
    """A text, or a pair of texts, to label."""

    text: Text = Field(description="The text to classify, of any length within the limits in /info.")

    @property
    def texts(self) -> list[str]:
        return [self.text] if self.text_pair is None else [self.text, self.text_pair]


class ClassifyDocumentsRequest(_ClassifyFields):
    """Several texts, each to be labelled by itself, or each as a pair with the same second text."""

    documents: Documents = Field(description="The texts to classify. Limits in /info hold for their sum.")

    @property
    def texts(self) -> list[str]:
        pair = [] if self.text_pair is None else [self.text_pair]
        return [*(document.text for document in self.documents), *pair]


class ExtractFields(BaseModel):
    """What /extract takes next to a file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    boxes: bool = Field(default=False, description="Give the boxes of each block, one for each visual line.")
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings want utf16.")


class RenderFields(BaseModel):
    """What /render takes next to a file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    page: int = Field(default=1, ge=1, description="Which page, counted from 1.")
    width: int = Field(
        default=DEFAULT_PAGE_WIDTH,
        ge=16,
        le=10_000,
        description="Pixels of the picture from left to right. A picture past the limit of pixels comes out smaller.",
    )


class _Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class Answer(_Response):
    """A passage of the context: `text == context[start:end]` in the unit asked for."""

    text: str
    start: int
    end: int
    score: float = Field(description="Probability among the best answers and no answer, in [0, 1].")
    document: str | None = Field(default=None, description="Which document; null where `context` was sent.")
    page: int | None = Field(default=None, description="The page it begins on; null for documents without pages.")
    heading: list[str] | None = Field(default=None, description="The headings above it, the highest level first.")
    boxes: list[Box] | None = Field(default=None, description="Where it stands on pages of a PDF, line by line.")
    sentence: SentenceSpan | None = Field(default=None, description="The sentence that holds it.")


class QuestionResult(_Response):
    """The answers to one question, best first."""

    question: str
    answers: list[Answer]
    null_score: float = Field(description="Probability that the text holds no answer, in [0, 1].")
    score_diff: float = Field(
        description="Null logit less the best answer's logit: what null_score_diff_threshold is compared with."
    )


class SentenceResult(_Response):
    """A sentence of the text: `text == sent[start:end]` in the unit asked for."""

    text: str
    start: int
    end: int
    index: int
    score: float = Field(
        description="Probability that a reader would keep this sentence in a summary, in [0, 1]: compares the "
        "sentences of one text."
    )
    selected: bool
    page: int | None = Field(default=None, description="The page it begins on; null for documents without pages.")
    heading: list[str] | None = Field(
        default=None, description="Of a selected sentence: the headings above it, the highest level first."
    )
    boxes: list[Box] | None = Field(
        default=None, description="Of a selected sentence: where it stands on pages of a PDF, line by line."
    )


class LabelResult(_Response):
    """One label and its probability."""

    label: str
    name: str | None = Field(default=None, description="The label in words, where the model's manifest has them.")
    score: float


class Usage(_Response):
    """What the request cost. More than one window: the text was read in overlapping parts, none of it left out."""

    tokens: int = Field(description="Tokens computed, over all windows.")
    windows: int = Field(description="Windows the texts were read in.")


class Timings(_Response):
    """Milliseconds by stage. The queue ends where the first window starts to run, inference where the last one ends."""

    tokenize_ms: float
    queue_ms: float
    infer_ms: float
    decode_ms: float
    total_ms: float


class _Result(_Response):
    usage: Usage
    model: str
    timings: Timings


class QaResponse(_Result):
    """One result per question, in the order asked."""

    results: list[QuestionResult]


class SummarizeResponse(_Result):
    """The summary, and every sentence of the text in document order."""

    summary: str
    sentences: list[SentenceResult]


class ClassifyResponse(_Result):
    """Labels, most probable first."""

    labels: list[LabelResult]


class DocumentSummary(_Response):
    """The summary of one of several documents, and every sentence of it in order."""

    document: str
    summary: str
    sentences: list[SentenceResult]


class DocumentLabels(_Response):
    """The labels of one of several documents, most probable first."""

    document: str
    labels: list[LabelResult]


class _DocumentsResult(_Result):
    documents: list[DocumentInfo] = Field(description="What was read, in the order sent.")


class QaDocumentsResponse(_DocumentsResult):
    """One result per question, in the order asked, with the best answers of all documents."""

    results: list[QuestionResult]


class SummarizeDocumentsResponse(_DocumentsResult):
    """One summary per document, in the order sent."""

    results: list[DocumentSummary]


class ClassifyDocumentsResponse(_DocumentsResult):
    """The labels of each document, in the order sent."""

    results: list[DocumentLabels]


class ErrorResponse(_Response):
    """Every answer that is not a success."""

    error: str = Field(description="A sentence: what was wrong and what is allowed.")
    error_type: str
    request_id: str


class ModelInfo(_Response):
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


class BrokenInfo(_Response):
    """A directory of the model store that is not served, and why."""

    name: str
    reason: str


class Health(_Response):
    """State of the process; the status code says the same."""

    status: Literal["loading", "ready", "recovering", "failed", "draining", "closed"]
    models: list[str]
    broken: list[BrokenInfo]
    reason: str | None = Field(default=None, description="Why it is not ready.")


class Limits(_Response):
    """What one request may ask for on this installation."""

    max_body_bytes: int
    max_text_characters: int
    max_request_tokens: int
    max_questions: int
    max_client_batch_size: int
    max_top_k: int = MAX_TOP_K
    max_answer_length: int = MAX_ANSWER_TOKENS
    request_timeout_s: float
    max_request_timeout_s: float


class Labels(_Response):
    """The labels of a classifier, as Text Embeddings Inference gives them."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(_Response):
    """Text Embeddings Inference's word for a task; it has one for classifiers only."""

    classifier: Labels


class Info(_Response):
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

"""The parts that all tasks share: limits on a request, the interface of a prepared request, and batches of requests.

A task prepares a request in a text thread, with that thread's tokenizer; its `documents` go to the batcher; `decode`,
again in a text thread, turns the outputs of the engine into the parts of the response. This module does not know
queues, time, engines or HTTP.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from app.errors import InvalidInput, RequestTooLarge, naming_member
from app.manifest import Manifest
from app.packing import Document, packed_length
from app.schemas import (
    ClassifyDocumentsRequest,
    ClassifyDocumentsResponse,
    ClassifyFields,
    ClassifyRequest,
    ClassifyResponse,
    EvidenceDocumentsRequest,
    EvidenceDocumentsResponse,
    EvidenceFields,
    EvidenceRequest,
    EvidenceResponse,
    OffsetUnit,
    QaDocumentsRequest,
    QaDocumentsResponse,
    QaFields,
    QaRequest,
    QaResponse,
    RerankDocumentsRequest,
    RerankDocumentsResponse,
    RerankFields,
    RerankRequest,
    RerankResponse,
    SummarizeDocumentsRequest,
    SummarizeDocumentsResponse,
    SummarizeFields,
    SummarizeRequest,
    SummarizeResponse,
    Timings,
    Usage,
)
from app.settings import Settings
from app.tasks.sources import Source, with_text
from app.text.characters import code_points
from app.text.normalizer import LONGEST_EXPANSION
from app.text.structure import Structure
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import Window
from app.types import AnsweredTask, DoubleArray, IntArray, Outputs

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
RequestT = TypeVar("RequestT", QaRequest, SummarizeRequest, ClassifyRequest, RerankRequest, EvidenceRequest)
ResponseT = TypeVar("ResponseT", QaResponse, SummarizeResponse, ClassifyResponse, RerankResponse, EvidenceResponse)

# A request without the texts that are read.
Fields = QaFields | SummarizeFields | ClassifyFields | RerankFields | EvidenceFields
DocumentsRequest = (
    QaDocumentsRequest
    | SummarizeDocumentsRequest
    | ClassifyDocumentsRequest
    | RerankDocumentsRequest
    | EvidenceDocumentsRequest
)
DocumentsResponse = (
    QaDocumentsResponse
    | SummarizeDocumentsResponse
    | ClassifyDocumentsResponse
    | RerankDocumentsResponse
    | EvidenceDocumentsResponse
)


class Stretch(NamedTuple):
    """The tokens of one text, and the room that one window has for them."""

    room: int
    length: int

    def stride(self, usual: int) -> int:
        """The doc stride of this text, where that of the request is `usual`."""
        return max(min(usual, self.room), 1)

    def full_windows(self, stride: int) -> int:
        """The windows that are exactly full: all but the last. For a room of at least one token."""
        return max(-(-(self.length - self.room) // stride), 0)


class Prepared(Protocol[T_co]):
    """One request, tokenized for one model."""

    @property
    def documents(self) -> list[Document]: ...

    @property
    def stretches(self) -> Sequence[Stretch]:
        """The texts that are cut into windows with the usual doc stride. There are none where the request names a
        stride, or where windows do not overlap."""
        ...

    def cut(self, stride: int) -> None:
        """Cut the windows of `stretches` again, with another doc stride."""
        ...

    def decode(self, outputs: Sequence[Outputs]) -> T_co: ...


@dataclass(frozen=True)
class TaskSpec(Generic[RequestT, T, ResponseT]):
    """One task: its name and path, its schemas, and how a request is prepared and answered.

    `prepare` reads one text, `prepare_documents` several; both raise InvalidInput or RequestTooLarge for requests that
    cannot be answered. `result` and `documents_results` return the fields of the response that hold the result.
    """

    name: AnsweredTask
    text_field: str  # of `request`: the text that is read
    fields: type[Fields]
    request: type[RequestT]
    response: type[ResponseT]
    prepare: Callable[[Tokenizer, Manifest, RequestT, Source, Settings], Prepared[T]]
    result: Callable[[T], dict[str, Any]]
    documents_request: type[DocumentsRequest]
    documents_response: type[DocumentsResponse]
    prepare_documents: Callable[[Tokenizer, Manifest, Any, Sequence[Source], Settings], Prepared[Any]]
    documents_results: Callable[[Any, Sequence[Source]], list[Any]]

    def source(self, request: RequestT) -> Source:
        """The text of a request that names no documents."""
        return Source(getattr(request, self.text_field), f"`{self.text_field}`")

    def respond(self, result: T, usage: Usage, model: str, timings: Timings) -> ResponseT:
        """The body of the response."""
        return self.response(**self.result(result), usage=usage, model=model, timings=timings)

    def respond_documents(
        self, result: Any, sources: Sequence[Source], usage: Usage, model: str, timings: Timings
    ) -> DocumentsResponse:
        """The body of the response to a request over several documents."""
        return self.documents_response(
            documents=[source.info for source in sources if source.info is not None],
            results=self.documents_results(result, sources),
            usage=usage,
            model=model,
            timings=timings,
        )


class Budget:
    """Counts the tokens that a request would cost, and stops it before its windows fill the memory."""

    def __init__(self, manifest: Manifest, settings: Settings, advice: str = "Send less text.") -> None:
        self._block_size = manifest.block_size
        self._full_window = packed_length(manifest.max_tokens, manifest.block_size)
        self._advice = advice
        self._limit = settings.max_request_tokens
        self._spent = 0

    def expect(self, stretch: Stretch, stride: int) -> None:
        """Refuse windows that are too many before they are cut. Next to a long question they cost far more than the
        text."""
        if stretch.room < 1:
            return  # there will be no window: the question or the pair is refused, in words of its own
        expected = self._spent + stretch.full_windows(stride) * self._full_window
        if expected > self._limit:
            self._refuse(expected)

    def spend(self, documents: Sequence[Document]) -> None:
        self._spent += packed_tokens(documents, self._block_size)
        if self._spent > self._limit:
            self._refuse(self._spent)

    def _refuse(self, tokens: int) -> None:
        raise RequestTooLarge(
            f"The request needs at least {tokens} tokens over all its windows; {self._limit} are allowed. "
            f"{self._advice}"
        )


def packed_tokens(documents: Sequence[Document], block_size: int) -> int:
    """The cost of windows: their tokens, in whole blocks."""
    return sum(packed_length(len(document.input_ids), block_size) for document in documents)


def check_members(members: int, settings: Settings) -> None:
    """Refuse a request of no texts or of too many, whether they come as documents, files or a batch."""
    if not 1 <= members <= settings.max_client_batch_size:
        raise InvalidInput(
            f"The request holds {members} texts; from 1 to {settings.max_client_batch_size} are allowed at once."
        )


def check_questions(questions: int, settings: Settings) -> None:
    """Refuse a request of too many questions."""
    if questions > settings.max_questions:
        raise InvalidInput(
            f"`question` holds {questions} questions; at most {settings.max_questions} are allowed at once."
        )


def check_sent_characters(characters: int, settings: Settings) -> None:
    """Refuse too many characters, as sent, without a tokenizer."""
    if characters > settings.max_text_characters:
        raise RequestTooLarge(
            f"The texts have {characters} characters; {settings.max_text_characters} are allowed together."
        )


def check_characters(texts: Sequence[str], tokenizer: Tokenizer, settings: Settings) -> None:
    """Refuse too many characters, as sent or once normalised, before they are cut into words."""
    characters = sum(map(len, texts))
    check_sent_characters(characters, settings)
    if characters * LONGEST_EXPANSION > settings.max_text_characters:
        normalised = sum(map(tokenizer.normalised_length, texts))
        if normalised > settings.max_text_characters:
            raise RequestTooLarge(
                f"The texts have {normalised} characters once normalised ({characters} as sent); "
                f"{settings.max_text_characters} are allowed together."
            )


def encode(tokenizer: Tokenizer, text: str, called: str, structure: Structure | None = None) -> Tokens:
    """The tokens of a text. Raises InvalidInput for a text without visible characters, under the name `called`."""
    tokens = tokenizer.encode(text, structure)
    if not len(tokens):
        raise InvalidInput(f"{called} holds only invisible characters; it must hold text.")
    return tokens


def usual_stride(manifest: Manifest, stretches: Sequence[Stretch], allowed_tokens: int) -> int:
    """The doc stride where a request names none: the manifest's, or a larger one where windows would cost too much.

    All texts of a request share the allowed tokens and get the same stride, which `Stretch.stride` fits to each.

    Args:
        allowed_tokens: the most that all windows may cost. If they cost more even without overlap, they have none.
    """

    def cost(stride: int) -> int:
        total = 0
        for stretch in stretches:
            own = stretch.stride(stride)
            full = stretch.full_windows(own)
            last = stretch.length - full * own
            total += packed_length(manifest.max_tokens, manifest.block_size) * full
            total += packed_length(manifest.max_tokens - stretch.room + last, manifest.block_size)
        return total

    strides = range(manifest.doc_stride, max((stretch.room for stretch in stretches), default=0))
    return manifest.doc_stride + bisect_left(strides, True, key=lambda stride: cost(stride) <= allowed_tokens)


def stride_with(overlap: int, room: int) -> int:
    """The doc stride that gives an overlap.

    Raises:
        InvalidInput: the overlap leaves a window no room for new tokens.
    """
    if room < 1:
        return 1
    if overlap >= room:
        raise InvalidInput(
            f"An overlap of {overlap} tokens is too large: a window has room for {room} tokens of the text, so two "
            f"windows may share at most {room - 1}."
        )
    return room - overlap


def offsets_of(text: str, unit: OffsetUnit) -> Sequence[int]:
    """For every code-point offset of `text`, its end included, the same place counted in `unit`."""
    return range(len(text) + 1) if unit == "codepoint" else utf16_offsets(text).tolist()


def utf16_offsets(text: str) -> IntArray:
    """For every code-point offset of `text`, its end included, the same place counted in UTF-16 units."""
    codes = code_points(text)
    return np.concatenate([[0], np.cumsum(1 + (codes > 0xFFFF))]).astype(np.int32)


def documents_of(windows: Sequence[Window]) -> list[Document]:
    """The windows as the engine takes them."""
    return [Document(window.input_ids, window.token_type_ids, window.question_length) for window in windows]


def sigmoid(logits: DoubleArray) -> DoubleArray:
    """1 / (1 + exp(-x)) of each, for logits of any size."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))), dtype=np.float64)


def softmax(logits: DoubleArray) -> DoubleArray:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


class PreparedBatch(Generic[T]):
    """Several texts for one model as one request: their windows are queued together and their limits hold together.

    Args:
        prepare: of the task, for one text.
        numbered: whether an error in a member names its number.
    """

    def __init__(
        self,
        prepare: Callable[[Tokenizer, Manifest, Any, Source, Settings], Prepared[T]],
        tokenizer: Tokenizer,
        manifest: Manifest,
        members: Sequence[tuple[Fields, Source]],
        settings: Settings,
        *,
        numbered: bool,
    ) -> None:
        texts = [text for fields, source in members for text in (source.text, *fields.other_texts)]
        check_characters(texts, tokenizer, settings)
        self._members: list[Prepared[T]] = []
        for index, (fields, source) in enumerate(members):
            with naming_member(index, len(members)) if numbered else nullcontext():
                self._members.append(prepare(tokenizer, manifest, fields, source, settings))
        self.stretches = [stretch for member in self._members for stretch in member.stretches]
        if packed_tokens(self.documents, manifest.block_size) > settings.max_request_tokens:
            # Each fits by itself, with its own stride; together they may fit with a larger one.
            fixed = [document for member in self._members if not member.stretches for document in member.documents]
            left = settings.max_request_tokens - packed_tokens(fixed, manifest.block_size)
            self.cut(usual_stride(manifest, self.stretches, left))
        Budget(manifest, settings).spend(self.documents)

    @property
    def documents(self) -> list[Document]:
        return [document for member in self._members for document in member.documents]

    def cut(self, stride: int) -> None:
        for member in self._members:
            if member.stretches:
                member.cut(stride)

    def decode(self, outputs: Sequence[Outputs]) -> list[T]:
        results: list[T] = []
        first = 0
        for member in self._members:
            last = first + len(member.documents)
            results.append(member.decode(outputs[first:last]))
            first = last
        return results


class PreparedEach(Generic[T]):
    """Several documents, each read by itself. A result is None for a file without text."""

    def __init__(
        self,
        prepare: Callable[[Tokenizer, Manifest, Any, Source, Settings], Prepared[T]],
        tokenizer: Tokenizer,
        manifest: Manifest,
        fields: Fields,
        sources: Sequence[Source],
        settings: Settings,
    ) -> None:
        self._sources = sources
        self._read = with_text(sources)
        members = [(fields, source) for source in self._read]
        self._batch = PreparedBatch(prepare, tokenizer, manifest, members, settings, numbered=False)
        self.documents = self._batch.documents
        self.stretches = self._batch.stretches

    def cut(self, stride: int) -> None:
        self._batch.cut(stride)
        self.documents = self._batch.documents

    def decode(self, outputs: Sequence[Outputs]) -> list[T | None]:
        results = iter(self._batch.decode(outputs))
        return [next(results) if source in self._read else None for source in self._sources]

"""What all tasks share: limits on a request, the interface of a prepared request, and batches of them.

A task prepares a request in a text thread, with that thread's tokenizer; its `documents` go to the batcher; `decode`,
again in a text thread, turns the outputs of the engine into the parts of the response. Knows nothing of queues, time,
engines or HTTP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput, RequestTooLarge, naming_member
from app.manifest import Manifest
from app.packing import Document, packed_length
from app.schemas import (
    ClassifyRequest,
    ClassifyResponse,
    OffsetUnit,
    QaRequest,
    QaResponse,
    SummarizeRequest,
    SummarizeResponse,
    Timings,
    Usage,
)
from app.settings import Settings
from app.text.characters import code_points
from app.text.normalizer import LONGEST_EXPANSION
from app.text.structure import Structure
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import Window
from app.types import IntArray, Outputs, ServedTask

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
RequestT = TypeVar("RequestT", QaRequest, SummarizeRequest, ClassifyRequest)
ResponseT = TypeVar("ResponseT", QaResponse, SummarizeResponse, ClassifyResponse)


class Prepared(Protocol[T_co]):
    """One request, tokenised for one model."""

    @property
    def documents(self) -> list[Document]: ...

    def decode(self, outputs: Sequence[Outputs]) -> T_co: ...


@dataclass(frozen=True)
class TaskSpec(Generic[RequestT, T, ResponseT]):
    """One task: its name and path, its schemas, and how a request is prepared and answered.

    `prepare` raises InvalidInput or RequestTooLarge for what cannot be answered; `fields` gives the fields of the
    response that hold the result.
    """

    name: ServedTask
    request: type[RequestT]
    response: type[ResponseT]
    prepare: Callable[[Tokenizer, Manifest, RequestT, Settings], Prepared[T]]
    fields: Callable[[T], dict[str, Any]]

    def respond(self, result: T, usage: Usage, model: str, timings: Timings) -> ResponseT:
        """The body of the response."""
        return self.response(**self.fields(result), usage=usage, model=model, timings=timings)


class Budget:
    """Counts what a request would cost, and stops it before its windows fill the memory."""

    def __init__(self, manifest: Manifest, settings: Settings) -> None:
        self._block_size = manifest.block_size
        self._limit = settings.max_request_tokens
        self._spent = 0

    def expect(self, windows: int, room: int) -> None:
        """Refuse a number of windows that is too large even if each costs no more than its text."""
        if windows > 1 and self._spent + (windows - 1) * room > self._limit:
            self._refuse(self._spent + (windows - 1) * room)

    def spend(self, documents: Sequence[Document]) -> None:
        self._spent += sum(packed_length(len(document.input_ids), self._block_size) for document in documents)
        if self._spent > self._limit:
            self._refuse(self._spent)

    def _refuse(self, tokens: int) -> None:
        raise RequestTooLarge(
            f"Prepared this request takes at least {tokens} tokens over all its windows; {self._limit} are allowed. "
            "Send shorter texts, fewer questions or a larger doc_stride."
        )


def check_characters(texts: Sequence[str], tokenizer: Tokenizer, settings: Settings) -> None:
    """Refuse too many characters, as sent or once normalised, before they are cut into words."""
    characters = sum(map(len, texts))
    if characters > settings.max_text_characters:
        raise RequestTooLarge(
            f"The texts have {characters} characters; {settings.max_text_characters} are allowed in one request."
        )
    if characters * LONGEST_EXPANSION > settings.max_text_characters:
        normalised = sum(map(tokenizer.normalised_length, texts))
        if normalised > settings.max_text_characters:
            raise RequestTooLarge(
                f"The texts have {normalised} characters once normalised ({characters} as sent); "
                f"{settings.max_text_characters} are allowed in one request."
            )


def encode(tokenizer: Tokenizer, text: str, field: str, structure: Structure | None = None) -> Tokens:
    tokens = tokenizer.encode(text, structure)
    if not len(tokens):
        raise InvalidInput(f"`{field}` holds only invisible characters; it must hold text.")
    return tokens


def stride_for(manifest: Manifest, room: int, overlap: int | None = None) -> int:
    """The doc stride that gives an overlap; without one the manifest's, or all of the room where that is less."""
    if overlap is None or room < 1:
        return max(min(manifest.doc_stride, room), 1)
    if overlap >= room:
        raise InvalidInput(
            f"An overlap of {overlap} tokens leaves no way forward: a window has room for {room} tokens of the text, "
            f"so at most {room - 1} may be shared with the next."
        )
    return room - overlap


def offsets_of(text: str, unit: OffsetUnit) -> Sequence[int]:
    return range(len(text) + 1) if unit == "codepoint" else utf16_offsets(text).tolist()


def utf16_offsets(text: str) -> IntArray:
    """For every code-point offset of `text`, its end included, the same place counted in UTF-16 units."""
    codes = code_points(text)
    return np.concatenate([[0], np.cumsum(1 + (codes > 0xFFFF))]).astype(np.int32)


def documents_of(windows: Sequence[Window]) -> list[Document]:
    return [Document(window.input_ids, window.token_type_ids, window.question_length) for window in windows]


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)


class PreparedBatch(Generic[T]):
    """Several requests to one model as one: their windows are queued together and their limits hold together."""

    def __init__(
        self,
        task: TaskSpec[RequestT, T, Any],
        tokenizer: Tokenizer,
        manifest: Manifest,
        requests: Sequence[RequestT],
        settings: Settings,
    ) -> None:
        texts = [text for request in requests for text in request.texts]
        check_characters(texts, tokenizer, settings)
        budget = Budget(manifest, settings)
        self._members: list[Prepared[T]] = []
        for index, request in enumerate(requests):
            with naming_member(index, len(requests)):
                self._members.append(task.prepare(tokenizer, manifest, request, settings))
            budget.spend(self._members[-1].documents)
        self.documents = [document for member in self._members for document in member.documents]

    def decode(self, outputs: Sequence[Outputs]) -> list[T]:
        results: list[T] = []
        first = 0
        for member in self._members:
            last = first + len(member.documents)
            results.append(member.decode(outputs[first:last]))
            first = last
        return results

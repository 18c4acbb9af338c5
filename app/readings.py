"""What each endpoint does with a text before and after the engine: windows, and results in the text's own words.

A reading is made in a text thread, with that thread's tokeniser; its `documents` go to the batcher; `decode`, again in
a text thread, turns the engine's outputs into the response's parts. Knows nothing of queues, time or HTTP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from app.decode import (
    block_starts,
    decode_answers,
    decode_labels,
    decode_summary,
    distinct_answers,
    join_summary,
    sentence_probabilities,
    utf16_offsets,
)
from app.errors import InvalidInput, RequestTooLarge, naming_member
from app.manifest import Manifest
from app.packing import Document, Outputs, packed_length
from app.schemas import (
    DEFAULT_SENTENCES,
    Answer,
    ClassifyRequest,
    LabelResult,
    OffsetUnit,
    QaRequest,
    QuestionResult,
    SentenceResult,
    SummarizeRequest,
)
from app.settings import Settings
from app.store import Model
from app.text.sentences import read_sentences, sentences_of
from app.text.structure import Structure, structure_of
from app.text.tokenizer import LONGEST_EXPANSION, Tokenizer, Tokens
from app.text.windows import (
    SentenceWindow,
    Window,
    context_room,
    question_windows,
    sentence_windows,
    text_windows,
    tokens_of_sentences,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
RequestT = TypeVar("RequestT", QaRequest, SummarizeRequest, ClassifyRequest)


class Reading(Protocol[T_co]):
    """One request, tokenised for one model."""

    @property
    def documents(self) -> list[Document]: ...

    def decode(self, outputs: Sequence[Outputs]) -> T_co: ...


@dataclass(frozen=True)
class Summary:
    """A summary and all sentences of its text."""

    text: str
    sentences: list[SentenceResult]


class _Budget:
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
            f"Reading this request takes at least {tokens} tokens over all its windows; {self._limit} are allowed. "
            "Send shorter texts, fewer questions or a larger doc_stride."
        )


def _check_characters(texts: Sequence[str], tokenizer: Tokenizer, settings: Settings) -> None:
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


def _encode(tokenizer: Tokenizer, text: str, field: str, structure: Structure | None = None) -> Tokens:
    tokens = tokenizer.encode(text, structure)
    if not len(tokens):
        raise InvalidInput(f"`{field}` holds only invisible characters; it must hold text.")
    return tokens


def _stride(manifest: Manifest, room: int, overlap: int | None = None) -> int:
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


def _documents(windows: Sequence[Window]) -> list[Document]:
    return [Document(window.input_ids, window.token_type_ids, window.question_length) for window in windows]


class QaReading:
    """Questions about one context: every question has windows of its own over the same tokens."""

    def __init__(self, model: Model, request: QaRequest, settings: Settings) -> None:
        questions = request.questions
        if len(questions) > settings.max_questions:
            raise InvalidInput(
                f"`question` holds {len(questions)} questions; at most {settings.max_questions} are allowed at once."
            )
        tokenizer, manifest = model.tokenizers.get(), model.manifest
        _check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._temperature = manifest.temperature
        structure = structure_of(request.context)
        self._tokens = _encode(tokenizer, request.context, "context", structure)
        self._blocks = block_starts(structure.blocks, self._tokens)
        self._windows: list[list[Window]] = []
        self.documents: list[Document] = []
        budget = _Budget(manifest, settings)
        for question in questions:
            question_tokens = _encode(tokenizer, question, "question")
            room = context_room(question_tokens, manifest.max_tokens)
            stride = request.doc_stride or _stride(manifest, room, request.window_overlap)
            budget.expect(1 + -(-(len(self._tokens) - room) // stride), room)
            windows = question_windows(
                question_tokens,
                self._tokens,
                cls_id=tokenizer.cls_id,
                sep_id=tokenizer.sep_id,
                max_tokens=manifest.max_tokens,
                doc_stride=stride,
                overlap_token_type=manifest.overlap_token_type,
            )
            documents = _documents(windows)
            budget.spend(documents)
            self._windows.append(windows)
            self.documents += documents

    def decode(self, outputs: Sequence[Outputs]) -> list[QuestionResult]:
        offsets = offsets_of(self._request.context, self._request.offset_unit)
        results: list[QuestionResult] = []
        first = 0
        for question, windows in zip(self._request.questions, self._windows, strict=True):
            results.append(self._decode_question(question, windows, outputs[first : first + len(windows)], offsets))
            first += len(windows)
        return results

    def _decode_question(
        self, question: str, windows: Sequence[Window], outputs: Sequence[Outputs], offsets: Sequence[int]
    ) -> QuestionResult:
        request = self._request
        best = decode_answers(
            windows,
            [output["start_logits"] for output in outputs],
            [output["end_logits"] for output in outputs],
            self._tokens,
            self._blocks,
            max_answer_tokens=request.max_answer_length,
            temperature=self._temperature,
        )
        threshold = request.null_score_diff_threshold
        found = [] if threshold is not None and best.score_diff > threshold else best.spans
        answers = [
            Answer(
                text=request.context[span.start : span.end],
                start=offsets[span.start],
                end=offsets[span.end],
                score=span.score,
            )
            for span in distinct_answers(request.context, found)[: request.top_k]
        ]
        return QuestionResult(
            question=question, answers=answers, null_score=best.null_score, score_diff=best.score_diff
        )


class SummaryReading:
    """The sentences of one text, whole in their windows."""

    def __init__(self, model: Model, request: SummarizeRequest, settings: Settings) -> None:
        tokenizer, manifest = model.tokenizers.get(), model.manifest
        _check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._temperature = manifest.temperature
        self._structure = structure_of(request.text)
        sentences = sentences_of(self._structure)
        if not sentences:
            raise InvalidInput("`text` holds only invisible characters; it must hold text.")
        # Headings and heads of tables are read as well, for what stands below them, but no summary holds them. A text
        # of nothing else is summarized by what there is.
        read = read_sentences(sentences)
        prose = np.array([sentence.is_prose for sentence in read])
        self._chosen_from = np.flatnonzero(prose if prose.any() else ~prose)
        self._sentences = [read[index] for index in self._chosen_from]
        uses_types = manifest.sentence_token_types
        self._windows: list[SentenceWindow] = sentence_windows(
            tokens_of_sentences(_encode(tokenizer, request.text, "text", self._structure), read),
            [sentence.token_type if uses_types else 0 for sentence in read],
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=manifest.max_tokens,
        )
        self.documents = [Document(window.input_ids, window.token_type_ids) for window in self._windows]
        _Budget(manifest, settings).spend(self.documents)

    def decode(self, outputs: Sequence[Outputs]) -> Summary:
        request, sentences = self._request, self._sentences
        logits = [output["logits"].reshape(-1) for output in outputs]  # (tokens, 1) -> (tokens,)
        scores = sentence_probabilities(self._windows, logits, temperature=self._temperature)[self._chosen_from]
        no_length = request.max_sentences is None and request.ratio is None and request.max_characters is None
        selected = decode_summary(
            request.text,
            sentences,
            scores,
            max_sentences=DEFAULT_SENTENCES if no_length else request.max_sentences,
            ratio=request.ratio,
            max_characters=request.max_characters,
            diversity=request.diversity,
        )
        offsets = offsets_of(request.text, request.offset_unit)
        chosen = set(selected)
        results = [
            SentenceResult(
                text=request.text[sentence.start : sentence.end],
                start=offsets[sentence.start],
                end=offsets[sentence.end],
                index=index,
                score=score,
                selected=index in chosen,
            )
            for index, (sentence, score) in enumerate(zip(sentences, scores.tolist(), strict=True))
        ]
        reading = self._structure.reading
        read = [reading.between(sentences[index].start, sentences[index].end, request.text) for index in selected]
        return Summary(join_summary(read), results)


class LabelReading:
    """A text, or a pair of texts, for a sequence classifier."""

    def __init__(self, model: Model, request: ClassifyRequest, settings: Settings) -> None:
        tokenizer, manifest = model.tokenizers.get(), model.manifest
        _check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._manifest = manifest
        tokens = _encode(tokenizer, request.text, "text")
        pair = None if request.text_pair is None else _encode(tokenizer, request.text_pair, "text_pair")
        self._windows: list[Window] = text_windows(
            tokens,
            pair,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=manifest.max_tokens,
            doc_stride=_stride(manifest, context_room(pair, manifest.max_tokens)),
        )
        self.documents = _documents(self._windows)
        _Budget(manifest, settings).spend(self.documents)

    def decode(self, outputs: Sequence[Outputs]) -> list[LabelResult]:
        manifest = self._manifest
        labels = decode_labels(
            [output["logits"] for output in outputs],
            [window.context_length for window in self._windows],
            temperature=manifest.temperature,
            top_k=self._request.top_k,
        )
        return [
            LabelResult(label=label, name=manifest.label_names.get(label), score=score)
            for label, score in ((manifest.labels[index], score) for index, score in labels)
        ]


class BatchReading(Generic[T]):
    """Several requests to one model, read as one: their windows are queued together and their limits hold together."""

    def __init__(
        self,
        read: Callable[[Model, RequestT, Settings], Reading[T]],
        model: Model,
        requests: Sequence[RequestT],
        settings: Settings,
    ) -> None:
        texts = [text for request in requests for text in request.texts]
        _check_characters(texts, model.tokenizers.get(), settings)
        budget = _Budget(model.manifest, settings)
        self._members: list[Reading[T]] = []
        for index, request in enumerate(requests):
            with naming_member(index, len(requests)):
                self._members.append(read(model, request, settings))
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

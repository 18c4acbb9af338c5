"""Question answering: windows with the question in front, over one text or several, and answers with their places.

app/tasks/answers.py decides which spans are answers. This module does not know queues, engines or HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.manifest import Manifest
from app.packing import Document
from app.schemas import (
    Answer,
    QaDocumentsRequest,
    QaDocumentsResponse,
    QaFields,
    QaRequest,
    QaResponse,
    QuestionResult,
)
from app.settings import Settings
from app.tasks.answer_bounds import AnswerBounds, answer_bounds, block_bounds
from app.tasks.answers import Span, best_answers
from app.tasks.base import (
    Budget,
    Stretch,
    TaskSpec,
    check_characters,
    check_questions,
    documents_of,
    encode,
    offsets_of,
    stride_with,
    usual_stride,
)
from app.tasks.sources import Source, with_text
from app.text.structure import Structure
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import Window, context_room, question_windows
from app.types import Outputs


@dataclass(frozen=True)
class _Text:
    """One of the texts in which answers are searched."""

    source: Source
    tokens: Tokens
    bounds: tuple[AnswerBounds, ...]  # bounds of its answers; the first with which any text has an answer are used


class PreparedQa:
    """Questions about one or more texts. Every question has its own windows over the tokens of each text."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        manifest: Manifest,
        fields: QaFields,
        sources: Sequence[Source],
        settings: Settings,
    ) -> None:
        questions = fields.questions
        check_questions(len(questions), settings)
        read = with_text(sources)
        check_characters([*(source.text for source in read), *questions], tokenizer, settings)
        self._fields = fields
        self._temperature = manifest.temperature
        self._texts: list[_Text] = []
        for source in read:
            tokens = encode(tokenizer, source.text, source.called, source.structure)
            bounds = bounds_in_turn(source.structure, tokens, segmented=manifest.segmenter != "none")
            self._texts.append(_Text(source, tokens, bounds))
        self._template = tokenizer.template
        self._manifest, self._settings = manifest, settings
        self._asked = [encode(tokenizer, question, "`question`") for question in questions]
        rooms = [context_room(asked, manifest.max_tokens, tokenizer.template) for asked in self._asked]
        self._over = [[Stretch(room, len(text.tokens)) for text in self._texts] for room in rooms]
        names_stride = fields.doc_stride is not None or fields.window_overlap is not None
        self.stretches = [] if names_stride else [stretch for of in self._over for stretch in of]
        self.cut(usual_stride(manifest, self.stretches, settings.max_request_tokens))

    def cut(self, stride: int) -> None:
        advice = "Send less text or fewer questions."
        if self._fields.doc_stride is not None or self._fields.window_overlap:
            advice = "Send less text or fewer questions, or let neighbouring windows share fewer tokens."
        budget = Budget(self._manifest, self._settings, advice)
        self._windows: list[list[list[Window]]] = []  # of each question, over each text
        self.documents: list[Document] = []
        for asked, stretches in zip(self._asked, self._over, strict=True):
            self._windows.append([])
            for text, stretch in zip(self._texts, stretches, strict=True):
                own = self._stride(stretch, stride)
                budget.expect(stretch, own)
                windows = question_windows(
                    asked,
                    text.tokens,
                    template=self._template,
                    max_tokens=self._manifest.max_tokens,
                    doc_stride=own,
                    overlap_token_type=self._manifest.overlap_token_type,
                )
                documents = documents_of(windows)
                budget.spend(documents)
                self._windows[-1].append(windows)
                self.documents += documents

    def _stride(self, stretch: Stretch, usual: int) -> int:
        if self._fields.doc_stride is not None:
            return self._fields.doc_stride
        if self._fields.window_overlap is not None:
            return stride_with(self._fields.window_overlap, stretch.room)
        return stretch.stride(usual)

    def decode(self, outputs: Sequence[Outputs]) -> list[QuestionResult]:
        offsets = [offsets_of(text.source.text, self._fields.offset_unit) for text in self._texts]
        rest = iter(outputs)
        return [
            self._decode_question(question, windows, [[next(rest) for _ in some] for some in windows], offsets)
            for question, windows in zip(self._fields.questions, self._windows, strict=True)
        ]

    def _decode_question(
        self,
        question: str,
        windows: Sequence[Sequence[Window]],  # over each text
        outputs: Sequence[Sequence[Outputs]],
        offsets: Sequence[Sequence[int]],
    ) -> QuestionResult:
        fields = self._fields
        best = best_answers(
            [text.source.text for text in self._texts],
            [text.bounds for text in self._texts],
            windows,
            [[output["start_logits"] for output in of] for of in outputs],
            [[output["end_logits"] for output in of] for of in outputs],
            max_answer_tokens=fields.max_answer_length,
            temperature=self._temperature,
        )
        threshold = fields.null_score_diff_threshold
        given = [] if threshold is not None and best.score_diff > threshold else best.spans[: fields.top_k]
        answers = [self._answer(span, offsets[span.text]) for span in given]
        return QuestionResult(
            question=question, answers=answers, null_score=best.null_score, score_diff=best.score_diff
        )

    def _answer(self, span: Span, offsets: Sequence[int]) -> Answer:
        source = self._texts[span.text].source
        return Answer(
            text=source.text[span.start : span.end],
            start=offsets[span.start],
            end=offsets[span.end],
            score=span.score,
            document=source.name,
            page=source.places.page_of(span.start),
            heading=source.heading(span.start),
            boxes=source.boxes(span.start, span.end),
            sentence=source.sentence(span.start, span.end, offsets),
        )


def bounds_in_turn(structure: Structure, tokens: Tokens, *, segmented: bool) -> tuple[AnswerBounds, ...]:
    """The bounds of the answers in one text: the rules, then blocks alone where the rules leave no answer."""
    return answer_bounds(structure, tokens, segmented=segmented), block_bounds(structure, tokens)


def _prepare(
    tokenizer: Tokenizer, manifest: Manifest, fields: QaFields, source: Source, settings: Settings
) -> PreparedQa:
    return PreparedQa(tokenizer, manifest, fields, [source], settings)


QA = TaskSpec(
    name="qa",
    text_field="context",
    fields=QaFields,
    request=QaRequest,
    response=QaResponse,
    prepare=_prepare,
    result=lambda results: {"results": results},
    documents_request=QaDocumentsRequest,
    documents_response=QaDocumentsResponse,
    prepare_documents=PreparedQa,
    documents_results=lambda results, _: results,
)

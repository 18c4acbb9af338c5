"""Asks the service about every item of a data set and keeps its answer next to the right one.

This module knows requests and the measure of one item; scores.py computes figures over many.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from app.schemas import MAX_TOP_K, ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings, settings_from
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE
from app.validation import explain
from training.data import SUMMARY_SENTENCES, DataError, LabelledText, QuestionExample, SummaryExample
from training.metrics import best_over_references, rouge_n
from training.reading_set import MarkedText

Item = TypeVar("Item")
Result = TypeVar("Result")
Request = TypeVar("Request", bound=BaseModel)
Span = tuple[int, int]  # code points, half-open

IN_FLIGHT = 8  # requests at once: enough to keep the engine busy while others are tokenized and decoded
QUESTIONS_A_REQUEST = 16  # questions of one request, for which the context is tokenized once
UNLIMITED = 1_000_000_000
ASKED_CHARACTERS = 200  # characters of a text that are kept to show the request
PASSAGE_CHARACTERS = 60  # characters kept on either side of a right answer


@dataclass(frozen=True)
class Scored:
    """One item and its answer.

    `measure` is in [0, 1]: the character F1 of an answer, 1 or 0 for a label; for a summary its character-bigram F1 or
    the share of the marked sentences that it holds. `wanted` is empty for an unanswerable question. `probabilities` are
    those of the response: the given answer's first and, for a question, the null score last.
    """

    asked: str
    wanted: tuple[str, ...]
    given: str
    measure: float
    right: bool
    document: str  # name of the source; a split never divides the items of one document
    characters: int  # length of the text
    probabilities: tuple[float, ...] = ()
    position: float | None = None  # of the right answer in its document, in [0, 1)
    passage: str = ""  # text around the right answer
    score_diff: float = 0.0
    is_fitted_on: bool = False  # the temperature or the threshold of the model was fitted on its document

    @property
    def null_score(self) -> float:
        """Probability that the text does not answer the question."""
        return self.probabilities[-1]


@dataclass(frozen=True)
class Choice:
    """The sentences of a summary of a marked document, and all sentences that it could hold."""

    document: MarkedText
    chosen: tuple[Span, ...]
    available: tuple[Span, ...]

    def found(self, spans: Sequence[Span]) -> int:
        """How many of the marks lie in these spans."""
        return sum(any(start <= mark < end for start, end in spans) for mark in self.document.marks)

    def scored(self) -> Scored:
        text = self.document.text
        holding = [span for mark in self.document.marks for span in self.available if span[0] <= mark < span[1]]
        return Scored(
            asked=text[:ASKED_CHARACTERS],
            # For a mark outside all sentences: the characters after it.
            wanted=tuple(text[start:end] for start, end in holding)
            or tuple(text[mark : mark + PASSAGE_CHARACTERS] for mark in self.document.marks),
            given="\n".join(text[start:end] for start, end in self.chosen),
            measure=self.found(self.chosen) / len(self.document.marks),
            right=self.found(self.chosen) == len(self.document.marks),
            document=self.document.document,
            characters=len(text),
        )


def evaluation_settings(model_store: Path | None) -> Settings:
    """The settings of the environment, without the limits that protect a server from its clients.

    Raises:
        InvalidInput: an environment variable is wrong.
    """
    given: dict[str, Any] = {} if model_store is None else {"model_store": model_store}
    limits = (
        "max_text_characters",
        "max_questions",
        "max_request_tokens",
        "max_queue_tokens",
        "request_timeout_s",
        "max_request_timeout_s",
    )
    return settings_from({**given, **dict.fromkeys(limits, UNLIMITED)})


def service_request(schema: type[Request], what: str, **fields: Any) -> Request:
    """The request for one item of a data set.

    Raises:
        DataError: the service would refuse the text; names the item.
    """
    try:
        return schema(**fields)
    except ValidationError as error:
        raise DataError(f"{what} would be refused by the service: {explain(error, most=1)}") from error


async def each(items: Sequence[Item], call: Callable[[Item], Awaitable[Result]], what: str) -> list[Result]:
    """The results of `call` for every item, in order, a few at a time. The first failure cancels the others."""
    if not items:
        raise DataError("There is nothing to score in the data.")
    gate = asyncio.Semaphore(IN_FLIGHT)
    progress = tqdm(total=len(items), desc=what, file=sys.stderr)

    async def one(item: Item) -> Result:
        async with gate:
            result = await call(item)
        progress.update()
        return result

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(item)) for item in items]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        progress.close()
    return [task.result() for task in tasks]


async def ask_questions(
    service: Service, model: str, examples: Sequence[QuestionExample], what: str = "answering"
) -> list[Scored]:
    """The best answer to every question, in the order of the examples."""
    by_context: dict[str, list[int]] = {}
    for index, example in enumerate(examples):
        by_context.setdefault(example.context, []).append(index)
    groups = [
        indices[at : at + QUESTIONS_A_REQUEST]
        for indices in by_context.values()
        for at in range(0, len(indices), QUESTIONS_A_REQUEST)
    ]

    async def answer(indices: list[int]) -> list[tuple[int, Scored]]:
        group = [examples[index] for index in indices]
        ids = f"{group[0].id} to {group[-1].id}" if len(group) > 1 else group[0].id
        request = service_request(
            QaRequest,
            f"Question {ids}",
            question=[example.question for example in group],
            context=group[0].context,
            model=model,
            top_k=MAX_TOP_K,  # the best answer is the same; the scores of the others are needed for calibration
        )
        response = await service.answer(QA, request)
        results = zip(indices, group, response.results, strict=True)
        return [(index, scored_answer(example, result)) for index, example, result in results]

    answered = dict(pair for pairs in await each(groups, answer, what) for pair in pairs)
    return [answered[index] for index in range(len(examples))]


def scored_answer(example: QuestionExample, result: Any) -> Scored:
    """An example, scored against the `QuestionResult` of the service."""
    given = result.answers[0].text if result.answers else ""
    references = tuple(text for text, _ in example.answers)
    em, f1 = best_over_references(given, references)
    text, start = example.answers[0] if example.answers else ("", 0)
    return Scored(
        asked=example.question,
        wanted=references,
        given=given,
        measure=f1,
        right=em == 1,
        document=example.document or example.context,
        characters=len(example.context),
        probabilities=(*(answer.score for answer in result.answers), result.null_score),
        position=start / len(example.context) if example.answers else None,
        passage=example.context[max(start - PASSAGE_CHARACTERS, 0) : start + len(text) + PASSAGE_CHARACTERS]
        if example.answers
        else "",
        score_diff=result.score_diff,
    )


async def ask_labels(service: Service, model: str, examples: Sequence[LabelledText]) -> list[Scored]:
    """The most probable label of every text."""

    async def label(example: LabelledText) -> Scored:
        what = f"The text {example.text[:20]!r} of the class {example.label}"
        response = await service.answer(
            CLASSIFY, service_request(ClassifyRequest, what, text=example.text, model=model)
        )
        given = response.labels[0].label
        return Scored(
            asked=example.text[:ASKED_CHARACTERS],
            wanted=(example.label,),
            given=given,
            measure=float(given == example.label),
            right=given == example.label,
            document=example.text,
            characters=len(example.text),
            probabilities=tuple(result.score for result in response.labels),
        )

    return await each(examples, label, "classifying")


async def ask_summaries(service: Service, model: str, examples: Sequence[SummaryExample]) -> list[Scored]:
    """The summary of every document, in as many sentences as the oracle has."""

    async def summarize(example: SummaryExample) -> Scored:
        text = "\n".join(example.sentences)
        what = f"The document {text[:20]!r}"
        request = service_request(SummarizeRequest, what, text=text, max_sentences=SUMMARY_SENTENCES, model=model)
        summary = (await service.answer(SUMMARIZE, request)).summary
        return Scored(
            asked=text[:ASKED_CHARACTERS],
            wanted=(example.summary,),
            given=summary,
            measure=rouge_n(summary, example.summary, 2),
            right=False,
            document=text,
            characters=len(text),
        )

    return await each(examples, summarize, "summarizing")


async def ask_marks(service: Service, model: str, documents: Sequence[MarkedText]) -> list[Choice]:
    """A summary of every document, in as many sentences as are marked."""

    async def summarize(document: MarkedText) -> Choice:
        what = f"The document {document.document}"
        request = service_request(
            SummarizeRequest, what, text=document.text, max_sentences=len(document.marks), model=model
        )
        sentences = (await service.answer(SUMMARIZE, request)).sentences
        available = tuple((sentence.start, sentence.end) for sentence in sentences)
        chosen = tuple((sentence.start, sentence.end) for sentence in sentences if sentence.selected)
        return Choice(document, chosen, available)

    return await each(documents, summarize, "summarizing")

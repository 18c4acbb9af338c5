"""Scores a served model: every figure comes out of the service's own code, from tokenizer to decoding.

Progress goes to standard error; the last line of standard output is one JSON object. Knows the data sets and their
measures, nothing of tensors.
"""

import argparse
import asyncio
import json
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from tqdm import tqdm

from app.errors import InvalidInput
from app.manifest import Metric
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings
from training.data import DataError, LabelledText, QuestionExample, SummaryExample, read_squad
from training.examples import ORACLE_SENTENCES, labelled_split, summary_split
from training.metrics import best_over_references, greedy_oracle, macro_f1, rouge_l, rouge_n
from training.record import record

Item = TypeVar("Item")
Result = TypeVar("Result")

Request = TypeVar("Request", bound=BaseModel)

IN_FLIGHT = 8  # requests at once: enough to keep the engine busy while others are tokenised and decoded
QUESTIONS_A_REQUEST = 16  # a context is tokenised once for so many of its questions
UNLIMITED = 1_000_000_000

_READERS = {"classify": ("labelled", "kyoto-categories", "livedoor"), "summarize": ("summaries", "kyoto-leads")}


def evaluation_settings(model_store: Path | None) -> Settings:
    """The settings of the environment, without the limits that protect a server from its clients.

    Raises:
        InvalidInput: an environment variable is wrong.
    """
    given: dict[str, Any] = {} if model_store is None else {"model_store": model_store}
    try:
        return Settings(
            **given,
            max_text_characters=UNLIMITED,
            max_questions=UNLIMITED,
            max_request_tokens=UNLIMITED,
            max_queue_tokens=UNLIMITED,
            request_timeout_s=UNLIMITED,
            max_request_timeout_s=UNLIMITED,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = f"NAGAYOMI_{str(first['loc'][0]).upper()}: " if first["loc"] else ""
        raise InvalidInput(f"{name}{first['msg']}.") from error


def _request(schema: type[Request], what: str, **fields: Any) -> Request:
    """The request for one item of a data set.

    Raises:
        DataError: the service takes no such text; names the item.
    """
    try:
        return schema(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{what} is nothing the service takes: {where}: {first['msg']}.") from error


async def _each(items: Sequence[Item], call: Callable[[Item], Awaitable[Result]], what: str) -> list[Result]:
    """`call` of every item, a few at a time, in order. The first failure ends them all."""
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


async def score_questions(service: Service, model: str, examples: Sequence[QuestionExample]) -> dict[str, float]:
    """Mean exact match and character F1 of the best answer, each the best over the references."""
    by_context: dict[str, list[QuestionExample]] = {}
    for example in examples:
        by_context.setdefault(example.context, []).append(example)
    groups = [
        group[at : at + QUESTIONS_A_REQUEST]
        for group in by_context.values()
        for at in range(0, len(group), QUESTIONS_A_REQUEST)
    ]

    async def answer(group: list[QuestionExample]) -> list[tuple[float, float]]:
        questions = [example.question for example in group]
        ids = f"{group[0].id} to {group[-1].id}" if len(group) > 1 else group[0].id
        request = _request(QaRequest, f"Question {ids}", question=questions, context=group[0].context, model=model)
        response = await service.qa(request)
        return [
            best_over_references(
                result.answers[0].text if result.answers else "", [text for text, _ in example.answers]
            )
            for example, result in zip(group, response.results, strict=True)
        ]

    scores = [score for scored in await _each(groups, answer, "answering") for score in scored]
    return {"n": len(scores), "em": _mean(em for em, _ in scores), "f1": _mean(f1 for _, f1 in scores)}


async def score_labels(service: Service, model: str, examples: Sequence[LabelledText]) -> dict[str, float]:
    """Accuracy and macro-F1, with the share of the commonest class beside them."""

    async def label(example: LabelledText) -> str:
        what = f"The text {example.text[:20]!r} of the class {example.label}"
        response = await service.classify(_request(ClassifyRequest, what, text=example.text, top_k=1, model=model))
        return response.labels[0].label

    predicted = await _each(examples, label, "classifying")
    wanted = [example.label for example in examples]
    return {
        "n": len(wanted),
        "accuracy": _mean(p == w for p, w in zip(predicted, wanted, strict=True)),
        "macro_f1": round(macro_f1(predicted, wanted), 4),
        "majority": round(max(wanted.count(label) for label in set(wanted)) / len(wanted), 4),
    }


async def score_summaries(service: Service, model: str, examples: Sequence[SummaryExample]) -> dict[str, float]:
    """Character-bigram F1 and ROUGE of three sentences, beside the first three and the greedy oracle's three."""

    async def summarize(example: SummaryExample) -> str:
        text = "\n".join(example.sentences)
        what = f"The document {text[:20]!r}"
        request = _request(SummarizeRequest, what, text=text, max_sentences=ORACLE_SENTENCES, model=model)
        response = await service.summarize(request)
        return response.summary

    summaries = await _each(examples, summarize, "summarising")
    leads = ["".join(example.sentences[:ORACLE_SENTENCES]) for example in examples]
    oracles = [
        "".join(example.sentences[i] for i in greedy_oracle(example.sentences, example.summary, ORACLE_SENTENCES))
        for example in examples
    ]
    references = [example.summary for example in examples]

    def mean(measure: Callable[[str, str], float], predictions: Sequence[str]) -> float:
        return _mean(measure(p, r) for p, r in zip(predictions, references, strict=True))

    def bigrams(prediction: str, reference: str) -> float:
        return rouge_n(prediction, reference, 2)

    return {
        "n": len(examples),
        "bigram_f1": mean(bigrams, summaries),
        "lead": mean(bigrams, leads),
        "oracle": mean(bigrams, oracles),
        "rouge1": mean(lambda p, r: rouge_n(p, r, 1), summaries),
        "rouge2": mean(bigrams, summaries),
        "rougeL": mean(rouge_l, summaries),
    }


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return round(sum(numbers) / len(numbers), 4)


async def _evaluate(args: argparse.Namespace) -> dict[str, float]:
    async with Service.open(evaluation_settings(args.model_store), tasks=[args.task]) as service:
        if args.task == "qa":
            questions = read_squad(args.data, args.context)[: args.limit]
            return await score_questions(service, args.model, questions)
        # A file of the user's own is scored whole; of a data set without a split, what training held out.
        reader = args.reader or ("labelled" if args.task == "classify" else "summaries")
        percent = args.held_out_percent if args.reader else 100
        if args.task == "classify":
            texts = labelled_split(reader, args.data, percent)[1][: args.limit]
            return await score_labels(service, args.model, texts)
        documents = summary_split(reader, args.data, percent)[1][: args.limit]
        return await score_summaries(service, args.model, documents)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="name of a model in the model store")
    parser.add_argument(
        "--model-store",
        type=Path,
        metavar="DIR",
        help="where the models are (default: NAGAYOMI_MODEL_STORE, or model_store in the working directory)",
    )
    parser.add_argument("--task", required=True, choices=("qa", "classify", "summarize"))
    parser.add_argument("--data", required=True, type=Path, help="SQuAD JSON (file or folder), or JSONL")
    parser.add_argument(
        "--context",
        choices=("paragraph", "article"),
        default="paragraph",
        help="what a question is asked about; article: all paragraphs of a title, joined",
    )
    parser.add_argument(
        "--reader",
        choices=[reader for readers in _READERS.values() for reader in readers],
        help="format of --data; default: JSONL of {text, label} or of {sentences or text, summary}, all of it scored",
    )
    parser.add_argument(
        "--held-out-percent",
        type=int,
        default=10,
        help="with --reader: the share that training held out, of which the score is",
    )
    parser.add_argument("--limit", type=int, help="score only the first so many")
    parser.add_argument(
        "--record",
        metavar="DATASET",
        help="write the figures into the model's manifest and card, under this name of the data and with this command",
    )


def command(args: argparse.Namespace) -> str:
    """The command that gives a recorded figure again, as a reader would type it."""
    words = ["nagayomi", "evaluate", "--model", args.model, "--task", args.task, "--data", str(args.data)]
    if args.context != "paragraph":
        words += ["--context", args.context]
    if args.reader is not None:
        words += ["--reader", args.reader]
    if args.limit is not None:
        words += ["--limit", str(args.limit)]
    return shlex.join(words)


def run(args: argparse.Namespace) -> int:
    """Score, and print the figures as one JSON object.

    Raises:
        NagayomiError: the data, the model or the settings cannot be used; says why.
    """
    if args.task in _READERS and args.reader not in (None, *_READERS[args.task]):
        raise InvalidInput(
            f"--reader {args.reader} gives nothing for the task {args.task}; "
            f"allowed are {', '.join(_READERS[args.task])}."
        )
    scores = asyncio.run(_evaluate(args))
    if args.record is not None:
        store = args.model_store or Settings().model_store
        values = {name: value for name, value in scores.items() if name != "n"}
        metric = Metric(dataset=args.record, n=int(scores["n"]), values=values, command=command(args))
        record(store / args.model, metric)
    print(json.dumps({"task": args.task, "model": args.model, **scores}, ensure_ascii=False))
    return 0

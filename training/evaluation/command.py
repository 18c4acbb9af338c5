"""Scores a served model: every figure comes out of the service's own code, from tokenizer to decoding.

Progress goes to standard error; the last line of standard output is one JSON object. Reads the data, and hands it to
predictions.py, scores.py and what else was asked for; knows nothing of tensors or measures.
"""

import argparse
import asyncio
import json
import random
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from app.errors import InvalidInput
from app.manifest import Manifest, Metric
from app.service import Service
from app.settings import Settings
from training.data import DataError, LabelledText, QuestionExample, SummaryExample, read_squad, title_on_its_own
from training.evaluation.calibration import fit_temperature, halves, rescaled
from training.evaluation.model_card import record, record_temperature
from training.evaluation.predictions import Scored, ask_labels, ask_questions, ask_summaries, evaluation_settings
from training.evaluation.report import write_failures, write_report
from training.evaluation.scores import (
    Figures,
    label_baselines,
    label_figures,
    question_baselines,
    question_figures,
    summary_baselines,
    summary_figures,
)
from training.evaluation.unanswerable import unrelated
from training.finetune.examples import labelled_split, summary_split
from training.jglue import command as jglue_command

Item = TypeVar("Item")

_READERS = {"classify": ("labelled", "kyoto-categories", "livedoor"), "summarize": ("summaries", "kyoto-leads")}


@dataclass(frozen=True)
class Data:
    """What is scored, of one of the three kinds; `training` is what a baseline may learn from."""

    questions: Sequence[QuestionExample] = ()
    beside_others: Sequence[QuestionExample] = ()
    texts: Sequence[LabelledText] = ()
    training: Sequence[LabelledText] = ()
    documents: Sequence[SummaryExample] = ()


@dataclass(frozen=True)
class Answered:
    """What the service said; `beside_others` to questions beside documents that do not answer them."""

    items: list[Scored]
    beside_others: list[Scored] = field(default_factory=list)


def _read(args: argparse.Namespace) -> Data:
    if args.task == "qa":
        pool = [title_on_its_own(example) for example in read_squad(args.data, args.context)]
        questions = _scored_part(pool, lambda example: len(example.context), args)
        return Data(questions=questions, beside_others=unrelated(questions, pool) if args.null else ())
    # A file of the user's own is scored whole; of a data set without a split, what training held out.
    reader = args.reader or ("labelled" if args.task == "classify" else "summaries")
    percent = args.held_out_percent if args.reader else 100
    if args.task == "classify":
        training, texts = labelled_split(reader, args.data, percent)
        if args.baselines and not training:
            raise InvalidInput("--baselines needs texts to learn from: name a --reader, and hold out less than all.")
        return Data(texts=_scored_part(texts, lambda example: len(example.text), args), training=training)
    documents = summary_split(reader, args.data, percent)[1]
    return Data(documents=_scored_part(documents, lambda example: sum(map(len, example.sentences)), args))


def _scored_part(items: Sequence[Item], characters: Callable[[Item], int], args: argparse.Namespace) -> list[Item]:
    """The items that are long enough; with --limit, a sample of them in their order, always the same."""
    kept = [item for item in items if characters(item) >= args.min_characters]
    if not kept:
        raise DataError(f"There is nothing to score in the data: {len(items)} items, none long enough.")
    if args.limit is not None and args.limit < len(kept):
        kept = [kept[index] for index in sorted(random.Random(0).sample(range(len(kept)), args.limit))]
    return kept


async def _ask(args: argparse.Namespace, data: Data) -> Answered:
    async with Service.open(evaluation_settings(args.model_store), tasks=[args.task]) as service:
        if data.questions:
            items = await ask_questions(service, args.model, data.questions)
            if not data.beside_others:
                return Answered(items)
            others = await ask_questions(service, args.model, data.beside_others, "answering beside other documents")
            return Answered(items, others)
        if data.texts:
            return Answered(await ask_labels(service, args.model, data.texts))
        return Answered(await ask_summaries(service, args.model, data.documents))


def _figures(args: argparse.Namespace, data: Data, answered: Answered) -> Figures:
    """Figures of the model, and with --baselines those of simple methods on the same items."""
    if args.task == "qa":
        figures = question_figures(answered.items, answered.beside_others)
        return figures | (question_baselines(data.questions, data.beside_others) if args.baselines else {})
    if args.task == "classify":
        figures = label_figures(answered.items)
        return figures | (label_baselines(data.texts, data.training) if args.baselines else {})
    figures = summary_figures(answered.items, data.documents)
    return figures | (summary_baselines(data.documents, figures) if args.baselines else {})


def _fit(directory: Path, answered: Answered) -> tuple[float, Answered]:
    """Fit a temperature, write it into the model's manifest, and give what the service would have said at it."""
    served_at = Manifest.read(directory).temperature
    temperature = fit_temperature(halves(answered.items)[0], served_at)
    record_temperature(directory, temperature)
    factor = temperature / served_at
    items = [rescaled(item, factor) for item in answered.items]
    return temperature, Answered(items, [rescaled(item, factor) for item in answered.beside_others])


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--suite",
        choices=("jglue",),
        help="the tasks of a benchmark, by any encoder that was fine-tuned for them",
    )
    parser.add_argument(
        "--model", required=True, help="name of a model in the model store; with --suite, the folder of the fine-tuned"
    )
    parser.add_argument(
        "--model-store",
        type=Path,
        metavar="DIR",
        help="where the models are (default: NAGAYOMI_MODEL_STORE, or model_store in the working directory)",
    )
    parser.add_argument("--task", choices=("qa", "classify", "summarize"))
    parser.add_argument(
        "--data",
        type=Path,
        help="SQuAD JSON (file or folder), or JSONL; with --suite, the folder of data sets (default: data)",
    )
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
        type=_count,
        default=10,
        metavar="PERCENT",
        help="with --reader: the share that training held out, of which the score is (default: 10)",
    )
    parser.add_argument(
        "--min-characters", type=int, default=0, metavar="N", help="score only documents of at least so many characters"
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="score only a sample of so many, always the same one")
    parser.add_argument(
        "--null",
        action="store_true",
        help="ask every question about another document of about the same length too, for the AUROC of the null score",
    )
    parser.add_argument("--baselines", action="store_true", help="score simple methods on the same data")
    parser.add_argument(
        "--fit-temperature",
        action="store_true",
        help="fit the temperature of the scores on half of the documents and write it into the model's manifest",
    )
    parser.add_argument(
        "--record",
        metavar="DATASET",
        help="write the figures into the model's manifest and card, under this name of the data and with this command",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write figures, plots and failures into this folder")
    parser.add_argument("--failures", type=Path, metavar="FILE", help="write the worst answers as JSONL")


# Arguments on which a figure depends, in the order in which they are shown.
_MEASURED_BY = (
    "model", "task", "data", "context", "reader", "held_out_percent", "min_characters", "limit", "null", "baselines",
)  # fmt: skip


def command(args: argparse.Namespace) -> str:
    """The command that gives a recorded figure again, as a reader would type it."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["nagayomi", "evaluate"]
    for name in _MEASURED_BY:
        value = getattr(args, name)
        if value != parser.get_default(name):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


def run(args: argparse.Namespace) -> int:
    """Score, and print the figures as one JSON object.

    Raises:
        NagayomiError: the data, the model or the settings cannot be used; says why.
    """
    if args.suite is not None:
        return jglue_command.evaluate(args)
    _check(args)
    data = _read(args)
    answered = asyncio.run(_ask(args, data))
    directory = (args.model_store or Settings().model_store) / args.model
    fitted: Figures = {}
    if args.fit_temperature:
        fitted["temperature"], answered = _fit(directory, answered)
    figures = _figures(args, data, answered)
    if args.record is not None:
        values = {name: value for name, value in figures.items() if name != "n"}
        record(directory, Metric(dataset=args.record, n=int(figures["n"]), values=values, command=command(args)))
    if args.failures is not None:
        write_failures(args.failures, args.task, answered.items)
    if args.report is not None:
        write_report(args.report, args.task, command(args), figures, answered.items, answered.beside_others)
    print(json.dumps({"task": args.task, "model": args.model, **fitted, **figures}, ensure_ascii=False))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what does not go together, before anything is read."""
    if args.task is None or args.data is None:
        raise InvalidInput("--task and --data are needed, or --suite.")
    if args.task in _READERS and args.reader not in (None, *_READERS[args.task]):
        raise InvalidInput(
            f"--reader {args.reader} gives nothing for the task {args.task}; "
            f"allowed are {', '.join(_READERS[args.task])}."
        )
    if args.null and args.task != "qa":
        raise InvalidInput("--null is for --task qa: only answers have a null score.")
    if args.fit_temperature and args.task == "summarize":
        raise InvalidInput("--fit-temperature is for qa and classify: no sentence of a summary is right or wrong.")

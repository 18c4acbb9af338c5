"""`nagayomi evaluate`: scores a model with the service's own code, from tokenizer to decoding.

Progress goes to standard error; the last line of standard output is one JSON object. Reads the data and hands it to
predictions.py, scores.py and the writers of reports; knows nothing of tensors or measures.
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
from training.data import DataError, LabelledText, QuestionExample, SummaryExample
from training.evaluation.calibration import fit_answerability, fit_temperature, halves, rescaled
from training.evaluation.model_card import record, record_temperature, record_threshold
from training.evaluation.predictions import (
    Choice,
    Scored,
    ask_labels,
    ask_marks,
    ask_questions,
    ask_summaries,
    evaluation_settings,
)
from training.evaluation.report import write_failures, write_report
from training.evaluation.scores import (
    Figures,
    Scores,
    label_baselines,
    label_scores,
    question_baselines,
    question_scores,
)
from training.evaluation.served_jglue import score_served
from training.evaluation.summary_scores import mark_baselines, mark_scores, summary_baselines, summary_scores
from training.evaluation.unanswerable import unrelated
from training.finetune.examples import labelled_split, question_examples, summary_split
from training.jglue import command as jglue_command
from training.reading_set import MarkedText, marked_texts

Item = TypeVar("Item")

READING_SET = "reading-set"
DEFAULT_PERCENT = 10  # the share that training holds out
# The readers of each task; without --reader, the first.
_READERS = {
    "qa": ("squad", READING_SET),
    "classify": ("labelled", "kyoto-categories", "livedoor"),
    "summarize": ("summaries", "kyoto-leads", READING_SET),
}
# Readers of data sets without a split: training holds out a part of these.
_SPLIT_READERS = ("labelled", "kyoto-categories", "livedoor", "summaries", "kyoto-leads")


@dataclass(frozen=True)
class Data:
    """The items to score, of one of four kinds; baselines may learn from `training`."""

    questions: Sequence[QuestionExample] = ()
    about_others: Sequence[QuestionExample] = ()
    texts: Sequence[LabelledText] = ()
    training: Sequence[LabelledText] = ()
    documents: Sequence[SummaryExample] = ()
    marked: Sequence[MarkedText] = ()


@dataclass(frozen=True)
class Answered:
    """The answers of the service; `about_others` are those to questions about documents that do not answer them."""

    items: list[Scored]
    about_others: list[Scored] = field(default_factory=list)
    choices: list[Choice] = field(default_factory=list)  # of sentences, where the data marks them


def _read(args: argparse.Namespace) -> Data:
    if args.task == "qa":
        pool = question_examples(args.reader or "squad", args.data, args.context)
        questions = _scored_part(pool, lambda example: len(example.context), args)
        answered = [example for example in questions if example.answers]
        return Data(questions=questions, about_others=unrelated(answered, pool) if args.null else ())
    if args.reader == READING_SET:
        marked = marked_texts(args.data)
        return Data(marked=_scored_part(marked, lambda document: len(document.text), args))
    # A user's file is scored whole; of a data set without a split, only the part that training held out.
    reader = args.reader or _READERS[args.task][0]
    percent = (args.held_out_percent or DEFAULT_PERCENT) if args.reader else 100
    if args.task == "classify":
        training, texts = labelled_split(reader, args.data, percent)
        if args.baselines and not training:
            raise InvalidInput(
                "--baselines needs texts to learn from: give a --reader, and a --held-out-percent below 100."
            )
        return Data(texts=_scored_part(texts, lambda example: len(example.text), args), training=training)
    documents = summary_split(reader, args.data, percent)[1]
    return Data(documents=_scored_part(documents, lambda example: sum(map(len, example.sentences)), args))


def _scored_part(items: Sequence[Item], characters: Callable[[Item], int], args: argparse.Namespace) -> list[Item]:
    """The items that are long enough; with --limit, a sample of them, in order and always the same."""
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
            if not data.about_others:
                return Answered(items)
            others = await ask_questions(service, args.model, data.about_others, "answering about other documents")
            return Answered(items, others)
        if data.texts:
            return Answered(await ask_labels(service, args.model, data.texts))
        if data.marked:
            choices = await ask_marks(service, args.model, data.marked)
            return Answered([choice.scored() for choice in choices], choices=choices)
        return Answered(await ask_summaries(service, args.model, data.documents))


def _scores(args: argparse.Namespace, data: Data, answered: Answered, threshold: float | None) -> Scores:
    """Figures of the model, and with --baselines those of simple methods on the same items."""
    if args.task == "qa":
        scores = question_scores(answered.items, answered.about_others, threshold)
        return scores.with_others(question_baselines(data.questions, data.about_others)) if args.baselines else scores
    if args.task == "classify":
        scores = label_scores(answered.items)
        return scores.with_others(label_baselines(data.texts, data.training)) if args.baselines else scores
    if answered.choices:
        scores = mark_scores(answered.choices, answered.items)
        return scores.with_others(mark_baselines(answered.choices)) if args.baselines else scores
    scores = summary_scores(answered.items, data.documents)
    return scores.with_others(summary_baselines(data.documents, scores.values)) if args.baselines else scores


def _fit(args: argparse.Namespace, directory: Path, answered: Answered) -> tuple[Figures, Answered]:
    """Fit the requested parameters, write them into the model's manifest, and rescale the answers accordingly."""
    fitted: Figures = {}
    on = halves(answered.items)[0]
    if args.fit_temperature:
        served_at = Manifest.read(directory).temperature
        fitted["temperature"] = fit_temperature(on, served_at)
        record_temperature(directory, fitted["temperature"])
        factor = fitted["temperature"] / served_at
        items = [rescaled(item, factor) for item in answered.items]
        answered = Answered(items, [rescaled(item, factor) for item in answered.about_others])
    if args.fit_answerability:
        fitted["null_score_diff_threshold"] = fit_answerability(on)
        record_threshold(directory, fitted["null_score_diff_threshold"])
    return fitted, answered


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--suite",
        choices=("jglue",),
        help="score an encoder of any kind, fine-tuned on the tasks of this benchmark",
    )
    parser.add_argument(
        "--served",
        action="store_true",
        help="with --suite: export each fine-tuned model, and ask the service instead of the encoder in torch",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="name of a model in the model store; with --suite, the folder of the fine-tuned models",
    )
    parser.add_argument(
        "--model-store",
        type=Path,
        metavar="DIR",
        help="folder of the models (default: NAGAYOMI_MODEL_STORE, or model_store in the working directory)",
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
        help="the text that a question is asked about; article: all paragraphs of a title, joined",
    )
    parser.add_argument(
        "--reader",
        choices=list(dict.fromkeys(reader for readers in _READERS.values() for reader in readers)),
        help="format of --data; default: SQuAD JSON, or JSONL of {text, label} or of {sentences or text, summary}, "
        "scored whole. reading-set: documents with answerable and unanswerable questions, and with marked sentences",
    )
    parser.add_argument(
        "--held-out-percent",
        type=_count,
        metavar="PERCENT",
        help="with a --reader of a data set without a split: the share that training held out, which is scored "
        f"(default: {DEFAULT_PERCENT})",
    )
    parser.add_argument(
        "--min-characters",
        type=int,
        default=0,
        metavar="N",
        help="score only documents of at least this many characters",
    )
    parser.add_argument(
        "--limit", type=_count, metavar="N", help="score only a sample of this many items, always the same sample"
    )
    parser.add_argument(
        "--null",
        action="store_true",
        help="also ask every question about another document of similar length, for the AUROC of the null score",
    )
    parser.add_argument("--baselines", action="store_true", help="also score simple methods on the same data")
    parser.add_argument(
        "--fit-temperature",
        action="store_true",
        help="fit the temperature of the scores on half of the documents and write it into the model's manifest",
    )
    parser.add_argument(
        "--fit-answerability",
        action="store_true",
        help="on half of the documents, fit the threshold above which the model says that the text does not state the "
        "answer, and write it into the model's manifest",
    )
    parser.add_argument(
        "--record",
        metavar="DATASET",
        help="write the figures and this command into the model's manifest and card, under this name for the data",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write figures, plots and failures into this folder")
    parser.add_argument("--failures", type=Path, metavar="FILE", help="write the worst answers as JSONL")


# Arguments that change a figure, in the order in which they are shown.
_MEASURED_BY = (
    "model", "task", "data", "context", "reader", "held_out_percent", "min_characters", "limit", "null", "baselines",
)  # fmt: skip


def command(args: argparse.Namespace) -> str:
    """The command that reproduces a recorded figure."""
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
        NagayomiError: the data, the model or the settings cannot be used.
    """
    if args.suite is not None:
        return jglue_command.evaluate(args, score_served if args.served else jglue_command.score_in_torch)
    _check(args)
    data = _read(args)
    answered = asyncio.run(_ask(args, data))
    directory = (args.model_store or Settings().model_store) / args.model
    fitted, answered = _fit(args, directory, answered)
    scores = _scores(args, data, answered, Manifest.read(directory).null_score_diff_threshold)
    if args.record is not None:
        values = {name: value for name, value in scores.values.items() if name != "n"}
        n = int(scores.values["n"])
        metric = Metric(dataset=args.record, n=n, values=values, intervals=scores.intervals, command=command(args))
        record(directory, metric)
    kind = "marks" if answered.choices else args.task
    if args.failures is not None:
        write_failures(args.failures, kind, answered.items)
    if args.report is not None:
        write_report(args.report, kind, command(args), scores, answered.items, answered.about_others)
    said = {"task": args.task, "model": args.model, **fitted, **scores.values, "intervals": scores.intervals}
    print(json.dumps(said, ensure_ascii=False))
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse arguments that contradict each other, before anything is read."""
    if args.served:
        raise InvalidInput("--served goes with --suite: a model of the store is asked through the service anyway.")
    if args.task is None or args.data is None:
        raise InvalidInput("--task and --data are needed, or --suite.")
    if args.reader not in (None, *_READERS[args.task]):
        raise InvalidInput(
            f"--reader {args.reader} has no examples for the task {args.task}; "
            f"allowed are {', '.join(_READERS[args.task])}."
        )
    if args.held_out_percent is not None and args.reader not in _SPLIT_READERS:
        raise InvalidInput(
            f"--held-out-percent goes with --reader {', '.join(_SPLIT_READERS)}: other readers hold nothing out."
        )
    if args.context == "article" and (args.task != "qa" or args.reader == READING_SET):
        raise InvalidInput("--context article is for SQuAD JSON: other readers give whole documents.")
    for option in ("null", "fit_answerability"):
        if getattr(args, option) and args.task != "qa":
            raise InvalidInput(f"--{option.replace('_', '-')} is for --task qa: only answers have a null score.")
    if args.fit_temperature and args.task == "summarize":
        raise InvalidInput(
            "--fit-temperature is for qa and classify: sentences of a summary are neither right nor wrong."
        )

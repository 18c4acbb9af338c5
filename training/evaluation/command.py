"""`nagayomi evaluate`: scores a model with the service's own code, from tokenizer to decoding.

Progress goes to standard error; the last line of standard output is one JSON object. This module reads the
data and hands it to predictions.py, scores.py and the writers of reports. It does not know tensors or measures.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from app.errors import InvalidInput
from app.manifest import Manifest, Metric
from app.service import Service
from app.settings import settings_from
from app.store import with_one_model
from training.config import HELD_OUT_PERCENT
from training.data import DataError, LabelledText, QuestionExample, SummaryExample, held_out_summaries, sample
from training.evaluation.arguments import (
    READERS,
    READING_SET,
    add_arguments,
    check,
    check_suite,
    command,
    data_name,
)
from training.evaluation.calibration import (
    check_can_fit,
    fit_answerability,
    fit_temperature,
    rescaled,
    with_half_to_fit_on,
)
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
from training.evaluation.style_scores import Groups, StyleScores, marks_by_style, questions_by_style
from training.evaluation.summary_scores import mark_baselines, mark_scores, summary_baselines, summary_scores
from training.evaluation.unanswerable import unrelated
from training.finetune.examples import labelled_split, question_examples
from training.jglue import command as jglue_command
from training.reading_set import MarkedText, grouped_by_style, marked_texts, read_reading_set

__all__ = ["add_arguments", "run"]

Item = TypeVar("Item")
SHOWN_LABELS = 10


@dataclass(frozen=True)
class Data:
    """The items to score, of one of four kinds; baselines may learn from `training`."""

    questions: Sequence[QuestionExample] = ()
    about_others: Sequence[QuestionExample] = ()
    texts: Sequence[LabelledText] = ()
    training: Sequence[LabelledText] = ()
    documents: Sequence[SummaryExample] = ()
    marked: Sequence[MarkedText] = ()
    styles: Groups = field(default_factory=dict)  # of the documents of a reading set


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
        about_others = unrelated(answered, pool) if args.null else ()
        return Data(questions=questions, about_others=about_others, styles=_styles(args))
    if args.reader == READING_SET:
        marked = marked_texts(args.data)
        return Data(marked=_scored_part(marked, lambda document: len(document.text), args), styles=_styles(args))
    # A user's file is scored whole; of a data set without a split, only the held-out part.
    reader = args.reader or READERS[args.task][0]
    percent = (args.held_out_percent or HELD_OUT_PERCENT) if args.reader else 100
    if args.task == "classify":
        training, texts = labelled_split(reader, args.data, percent)
        if args.baselines and not training:
            raise InvalidInput(
                "--baselines needs texts to learn from: give a --reader, and a --held-out-percent below 100."
            )
        return Data(texts=_scored_part(texts, lambda example: len(example.text), args), training=training)
    documents = held_out_summaries(reader, args.data, percent)
    return Data(documents=_scored_part(documents, lambda example: sum(map(len, example.sentences)), args))


def _styles(args: argparse.Namespace) -> Groups:
    """The documents of each style, where the data is a reading set."""
    if args.reader != READING_SET:
        return {}
    groups = grouped_by_style(read_reading_set(args.data))
    return {style: {document.id for document in documents} for style, documents in groups.items()}


def _scored_part(items: Sequence[Item], characters: Callable[[Item], int], args: argparse.Namespace) -> list[Item]:
    """The items that are long enough; with --limit, a sample of them, in order and always the same."""
    kept = [item for item in items if characters(item) >= args.min_characters]
    if not kept:
        raise DataError(f"There is nothing to score in the data: {len(items)} items, none long enough.")
    return sample(kept, args.limit)


async def _ask(args: argparse.Namespace, data: Data, directory: Path) -> Answered:
    settings = with_one_model(evaluation_settings(args.model_store), args.task, args.model)
    async with Service.open(settings, tasks=[args.task]) as service:
        if data.questions:
            items = await ask_questions(service, args.model, data.questions)
            if not data.about_others:
                return Answered(items)
            others = await ask_questions(service, args.model, data.about_others, "answering about other documents")
            return Answered(items, others)
        if data.texts:
            _check_labels(data.texts, Manifest.read(directory))
            return Answered(await ask_labels(service, args.model, data.texts))
        if data.marked:
            choices = await ask_marks(service, args.model, data.marked)
            return Answered([choice.scored() for choice in choices], choices=choices)
        return Answered(await ask_summaries(service, args.model, data.documents))


def _check_labels(texts: Sequence[LabelledText], manifest: Manifest) -> None:
    """Report labels that the model does not have: no answer to these texts can be right.

    Raises:
        DataError: it has none of them, because it names its labels in another way.
    """
    unknown = [text.label for text in texts if text.label not in manifest.labels]
    if not unknown:
        return
    if len(unknown) == len(texts):
        raise DataError(
            f"{manifest.name} has none of the labels of the data: it has {_some(manifest.labels)}; the data has "
            f"{_some(unknown)}."
        )
    print(
        f"nagayomi: {len(unknown)} of {len(texts)} texts have a label that {manifest.name} does not have, and count as "
        f"wrong: {_some(unknown)}.",
        file=sys.stderr,
    )


def _some(labels: Iterable[str]) -> str:
    different = list(dict.fromkeys(labels))
    return ", ".join(different[:SHOWN_LABELS]) + (" …" if len(different) > SHOWN_LABELS else "")


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


def _by_style(data: Data, answered: Answered) -> list[StyleScores]:
    if answered.choices:
        return marks_by_style(answered.choices, data.styles)
    return questions_by_style(answered.items, data.styles)


def _fit(args: argparse.Namespace, items: Sequence[Scored], manifest: Manifest) -> Figures:
    """The requested parameters, each fitted on the half of the documents for fitting.

    Raises:
        DataError: one of them cannot be fitted on it.
    """
    on = [item for item in with_half_to_fit_on(items) if item.is_fitted_on]
    fitted: Figures = {}
    if args.fit_temperature:
        fitted["temperature"] = fit_temperature(on, manifest.temperature)
    if args.fit_answerability:
        fitted["null_score_diff_threshold"] = fit_answerability(on)
    return fitted


def _as_fitted(answered: Answered, fitted: Figures, manifest: Manifest, data: str) -> Answered:
    """The answers as served with the fitted parameters.

    The items of the half for fitting are marked, also those of an earlier fit on the same data.
    """
    if fitted or data in manifest.fitted_on:
        answered = replace(answered, items=with_half_to_fit_on(answered.items))
    if "temperature" in fitted:
        factor = fitted["temperature"] / manifest.temperature
        items = [rescaled(item, factor) for item in answered.items]
        answered = Answered(items, [rescaled(item, factor) for item in answered.about_others])
    return answered


def _record_fitted(directory: Path, fitted: Figures, data: str) -> None:
    if "temperature" in fitted:
        record_temperature(directory, fitted["temperature"], data)
    if "null_score_diff_threshold" in fitted:
        record_threshold(directory, fitted["null_score_diff_threshold"], data)


def run(args: argparse.Namespace) -> int:
    """Score, and print the figures as one JSON object.

    Where a parameter cannot be fitted, the model stays as it was, and the figures are those of that model.

    Raises:
        NagayomiError: the data, the model or the settings cannot be used.
    """
    if args.suite is not None:
        check_suite(args)
        return jglue_command.evaluate(args, score_served if args.served else jglue_command.score_in_torch)
    check(args)
    data = _read(args)
    if args.fit_answerability:
        check_can_fit([bool(question.answers) for question in data.questions], "in the data")
    directory = (args.model_store or settings_from({}).model_store) / args.model
    answered = asyncio.run(_ask(args, data, directory))
    manifest, name = Manifest.read(directory), data_name(args.data)
    fitted: Figures = {}
    failed: DataError | None = None
    try:
        fitted = _fit(args, answered.items, manifest)
    except DataError as error:
        failed = error
    _record_fitted(directory, fitted, name)
    answered = _as_fitted(answered, fitted, manifest, name)
    scores = _scores(args, data, answered, Manifest.read(directory).null_score_diff_threshold)
    styles = _by_style(data, answered)
    # Before anything is written: no figure is lost where a file or a folder cannot be.
    said = {"task": args.task, "model": args.model, **fitted, **scores.values, "intervals": scores.intervals}
    if styles:
        said["styles"] = {one.style: one.as_json() for one in styles}
    print(json.dumps(said, ensure_ascii=False))
    if failed is not None:
        raise failed
    if args.record is not None:
        values = {name: value for name, value in scores.values.items() if name != "n"}
        n = int(scores.values["n"])
        metric = Metric(dataset=args.record, n=n, values=values, intervals=scores.intervals, command=command(args))
        record(directory, metric)
    kind = "marks" if answered.choices else args.task
    if args.failures is not None:
        write_failures(args.failures, kind, answered.items)
    if args.report is not None:
        write_report(args.report, kind, command(args), scores, answered.items, answered.about_others, styles)
    return 0

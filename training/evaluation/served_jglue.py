"""Scores of a fine-tuned encoder as the service gives them: exported, loaded by a service, and asked every example.

A similarity and a choice are one logit for a pair of texts, which the service calls reranking: its score is the sigmoid
of that logit. This module knows requests and answers, and does not know tensors or tables.
"""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from app.manifest import write
from app.schemas import ClassifyRequest, RerankRequest
from app.service import Service
from app.tasks.classify import CLASSIFY
from app.tasks.rerank import RERANK
from app.types import AnsweredTask, Task
from export.to_onnx import ExportOptions, export
from training.data import QuestionExample
from training.evaluation.predictions import ask_questions, each, evaluation_settings, service_request
from training.jglue.config import EncoderConfig
from training.jglue.grid_search import Scores
from training.jglue.tasks import (
    TASKS,
    ChoiceExample,
    Example,
    Kind,
    TextExample,
    measured,
    score_classes,
    score_similarities,
)

Answer = TypeVar("Answer")

# The head that a checkpoint is exported with, and the task that its graph is served as.
_HEADS: dict[Kind, Task] = {"classes": "classify", "similarity": "rerank", "choice": "multiple-choice", "span": "qa"}
_SERVED_AS: dict[Kind, AnsweredTask] = {"classes": "classify", "similarity": "rerank", "choice": "rerank", "span": "qa"}


def score_served(config: EncoderConfig, checkpoint: Path, sets: dict[str, list[Example]]) -> Scores:
    """The measures of every set by the prefix of their names, as `grid_search.score_sets` has them.

    Raises:
        CheckpointError: the checkpoint cannot be exported.
        NagayomiError: the service refuses a text.
    """
    kind = TASKS[config.task].kind
    with tempfile.TemporaryDirectory(prefix="nagayomi-jglue-") as store:
        directory = Path(store) / config.task
        options = ExportOptions(
            task=_HEADS[kind],
            name=config.task,
            normaliser=config.normaliser,
            segmenter=config.segmenter,
            metadata={"doc_stride": config.doc_stride},
        )
        manifest = export(str(checkpoint), directory, options)
        # Windows as long as the sequences that the model learned from.
        changes = {"task": _SERVED_AS[kind], "max_tokens": min(config.max_tokens, manifest.max_tokens)}
        write(directory, manifest.model_copy(update=changes))
        return asyncio.run(_score(config, Path(store), sets))


async def _score(config: EncoderConfig, store: Path, sets: dict[str, list[Example]]) -> Scores:
    found: Scores = {}
    async with Service.open(evaluation_settings(store)) as service:
        for prefix, examples in sets.items():
            scores = measured(config.task, len(examples), await _ask(service, config, examples))
            found |= {f"{prefix}{name}": value for name, value in scores.items()}
    return found


async def _ask(service: Service, config: EncoderConfig, examples: Sequence[Example]) -> Scores:
    task = TASKS[config.task]
    what = f"asking {config.task}"
    if task.kind == "span":
        questions = [example for example in examples if isinstance(example, QuestionExample)]
        answered = await ask_questions(service, config.task, questions, what)
        return {
            "em": float(np.mean([one.right for one in answered])),
            "f1": float(np.mean([one.measure for one in answered])),
        }
    if task.kind == "choice":
        choices = [example for example in examples if isinstance(example, ChoiceExample)]
        pairs = [(example.question, choice) for example in choices for choice in example.choices]
        scores = np.reshape(await _rerank(service, config.task, pairs, what), (len(choices), -1))
        return score_classes(scores.argmax(axis=1).tolist(), [example.target for example in choices])
    texts = [example for example in examples if isinstance(example, TextExample)]
    if task.kind == "similarity":
        scores = np.array(await _rerank(service, config.task, [(one.text, one.pair or "") for one in texts], what))
        # Pearson's correlation is that of the logits themselves.
        return score_similarities(np.log(scores) - np.log1p(-scores), np.array([one.target for one in texts]))
    labels = await _classify(service, config.task, texts, what)
    return score_classes([task.labels.index(label) for label in labels], [int(one.target) for one in texts])


async def _rerank(service: Service, model: str, pairs: Sequence[tuple[str, str]], what: str) -> list[float]:
    """How well each second text fits the first."""

    async def score(pair: tuple[str, str]) -> tuple[float, int]:
        query, text = pair
        request = service_request(RerankRequest, f"The pair {query[:20]!r}", query=query, text=text, model=model)
        response = await service.answer(RERANK, request)
        return response.score, response.usage.windows

    return _whole(await each(pairs, score, what), model)


async def _classify(service: Service, model: str, examples: Sequence[TextExample], what: str) -> list[str]:
    """The most probable label of each text, or of each pair."""

    async def label(example: TextExample) -> tuple[str, int]:
        name = f"The text {example.text[:20]!r}"
        request = service_request(
            ClassifyRequest, name, text=example.text, text_pair=example.pair, top_k=1, model=model
        )
        response = await service.answer(CLASSIFY, request)
        return response.labels[0].label, response.usage.windows

    return _whole(await each(examples, label, what), model)


def _whole(answers: Sequence[tuple[Answer, int]], task: str) -> list[Answer]:
    """The answers without the windows that each took; says to standard error how many texts took several."""
    longer = sum(windows > 1 for _, windows in answers)
    if longer:
        print(
            f"{task}: {longer} of {len(answers)} texts are longer than a sequence of the model and were read whole, in "
            "windows; without --served they are cut off.",
            file=sys.stderr,
        )
    return [answer for answer, _ in answers]

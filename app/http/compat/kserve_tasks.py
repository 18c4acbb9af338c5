"""The three tasks as models of the KServe V2 protocol: names, contents and meaning of their tensors.

In a published shape, -1 stands for a number that differs from request to request; the first is n, the number of texts
sent. A row of answers has as many places as the request's `top_k`: a place without an answer holds "" and zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import InvalidInput, naming_member
from app.http.compat.kserve_tensors import Datatype, OutputTensor
from app.schemas import Answer, ClassifyRequest, LabelResult, QaRequest, QuestionResult, SummarizeRequest
from app.tasks.base import TaskSpec
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE, Summary
from app.types import Task
from app.validation import validate

_NO_ANSWER = Answer(text="", start=0, end=0, score=0.0)


@dataclass(frozen=True)
class TaskTensors:
    """One task's side of the protocol. Every field of a request that is no input is an option, sent as a parameter."""

    task: TaskSpec[Any, Any, Any]
    inputs: tuple[str, ...]
    optional_inputs: tuple[str, ...]
    outputs: dict[str, tuple[Datatype, list[int]]]
    write: Callable[[Sequence[Any], list[Any]], list[OutputTensor]]

    @property
    def options(self) -> list[str]:
        """Names of the parameters. `model` is none of them, because the path names it."""
        tensors = {"model", *self.inputs, *self.optional_inputs}
        return [name for name in self.task.request.model_fields if name not in tensors]

    def check(self, inputs: list[str], options: list[str], outputs: list[str]) -> None:
        """Refuse names that the task does not know, and requests without an input that it needs.

        Raises:
            InvalidInput: the message gives the first such name, and the names that are allowed.
        """
        known = (*self.inputs, *self.optional_inputs)
        _check_known("input", inputs, known)
        _check_known("parameter", options, ("binary_data_output", *self.options))
        _check_known("output", outputs, tuple(self.outputs))
        for name in self.inputs:
            if name not in inputs:
                raise InvalidInput(f"The input `{name}` is missing; inputs are {', '.join(known)}.")

    def requests(self, model: str, texts: dict[str, list[str]], options: dict[str, Any]) -> list[Any]:
        """The requests of a batch, from the columns of texts.

        Raises:
            InvalidInput: the task does not take a text or an option; the message gives the index of the text.
        """
        rows = [dict(zip(texts, row, strict=True)) for row in zip(*texts.values(), strict=True)]
        requests: list[Any] = []
        for index, row in enumerate(rows):
            with naming_member(index, len(rows)):
                requests.append(validate({**options, "model": model, **row}, self.task.request))
        return requests


def _check_known(kind: str, names: list[str], known: tuple[str, ...]) -> None:
    for name in names:
        if name not in known:
            raise InvalidInput(f"There is no {kind} `{name[:60]}`; {kind}s are {', '.join(known)}.")
    if twice := [name for name in known if names.count(name) > 1]:
        raise InvalidInput(f"The {kind} `{twice[0]}` stands twice in the request.")


def _write_answers(requests: Sequence[QaRequest], results: list[list[QuestionResult]]) -> list[OutputTensor]:
    rows = [result for (result,) in results]
    shape = [len(rows), requests[0].top_k]
    places = [[*row.answers, *[_NO_ANSWER] * (shape[1] - len(row.answers))] for row in rows]
    answers = [answer for row in places for answer in row]
    return [
        OutputTensor("answer", "BYTES", shape, [answer.text for answer in answers]),
        OutputTensor("start", "INT64", shape, [answer.start for answer in answers]),
        OutputTensor("end", "INT64", shape, [answer.end for answer in answers]),
        OutputTensor("score", "FP32", shape, [answer.score for answer in answers]),
        OutputTensor("null_score", "FP32", shape[:1], [row.null_score for row in rows]),
        OutputTensor("score_diff", "FP32", shape[:1], [row.score_diff for row in rows]),
    ]


def _write_labels(_: Sequence[ClassifyRequest], results: list[list[LabelResult]]) -> list[OutputTensor]:
    shape = [len(results), len(results[0])]
    labels = [label for row in results for label in row]
    return [
        OutputTensor("label", "BYTES", shape, [label.label for label in labels]),
        OutputTensor("score", "FP32", shape, [label.score for label in labels]),
    ]


def _write_summaries(_: Sequence[SummarizeRequest], results: list[Summary]) -> list[OutputTensor]:
    return [OutputTensor("summary", "BYTES", [len(results)], [summary.text for summary in results])]


_ROWS, _PLACES = [-1], [-1, -1]

TASKS: dict[Task, TaskTensors] = {
    "qa": TaskTensors(
        task=QA,
        inputs=("question", "context"),
        optional_inputs=(),
        outputs={
            "answer": ("BYTES", _PLACES),
            "start": ("INT64", _PLACES),
            "end": ("INT64", _PLACES),
            "score": ("FP32", _PLACES),
            "null_score": ("FP32", _ROWS),
            "score_diff": ("FP32", _ROWS),
        },
        write=_write_answers,
    ),
    "classify": TaskTensors(
        task=CLASSIFY,
        inputs=("text",),
        optional_inputs=("text_pair",),
        outputs={"label": ("BYTES", _PLACES), "score": ("FP32", _PLACES)},
        write=_write_labels,
    ),
    "summarize": TaskTensors(
        task=SUMMARIZE,
        inputs=("text",),
        optional_inputs=(),
        outputs={"summary": ("BYTES", _ROWS)},
        write=_write_summaries,
    ),
}

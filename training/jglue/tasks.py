"""The tasks of JGLUE: their examples, the readers of their files, and their scores.

Kurihara et al. 2022, JGLUE; Someya et al. 2024, JCoLA. Measures are those of JGLUE's own scripts. This module knows
texts, labels and arrays of logits, and does not know tokens or models.
"""

import csv
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, matthews_corrcoef

from training.data import DataError, QuestionExample, read_jsonl
from training.metrics import best_over_references
from training.squad import read_squad

TaskName = Literal["marc-ja", "jcola", "jsts", "jnli", "jsquad", "jcommonsenseqa"]
TASK_NAMES: tuple[TaskName, ...] = get_args(TaskName)
Kind = Literal["classes", "similarity", "choice", "span"]
Reader = Literal["jnli-neg", "jsick"]

CHOICES = 5  # choices of a question of JCommonsenseQA


@dataclass(frozen=True)
class TextExample:
    """A sentence or a pair of sentences, and its class (an index into the task's labels) or its similarity (0 to 5)."""

    text: str
    pair: str | None
    target: float


@dataclass(frozen=True)
class ChoiceExample:
    """A question, the answers to choose from, and the index of the right one."""

    question: str
    choices: tuple[str, ...]
    target: int


Example = TextExample | ChoiceExample | QuestionExample


@dataclass(frozen=True)
class JglueTask:
    """One task. `measures` are those of the published table; `chosen_by` decides which of several runs is kept."""

    title: str
    kind: Kind
    measures: tuple[str, ...]
    chosen_by: str
    labels: tuple[str, ...] = ()


TASKS: dict[TaskName, JglueTask] = {
    "marc-ja": JglueTask("MARC-ja", "classes", ("accuracy",), "accuracy", ("negative", "positive")),
    "jcola": JglueTask("JCoLA", "classes", ("accuracy", "mcc"), "accuracy", ("unacceptable", "acceptable")),
    "jsts": JglueTask("JSTS", "similarity", ("pearson", "spearman"), "pearson"),
    "jnli": JglueTask("JNLI", "classes", ("accuracy",), "accuracy", ("entailment", "contradiction", "neutral")),
    "jsquad": JglueTask("JSQuAD", "span", ("em", "f1"), "f1"),
    "jcommonsenseqa": JglueTask("JCommonsenseQA", "choice", ("accuracy",), "accuracy"),
}


# --- files ---------------------------------------------------------------------------------------------------------


def read_examples(task: TaskName, path: Path, reader: Reader | None = None) -> list[Example]:
    """The examples of a file in the task's own format, or in that of another set with the same answers.

    Raises:
        DataError: the file cannot be read, is in another format, or holds nothing.
    """
    if reader is not None:
        if task not in _OTHER_READERS[reader]:
            raise DataError(f"The reader {reader} has no examples for the task {task}.")
        examples = list(_OTHER_READERS[reader][task](path))
    elif task == "jsquad":
        examples = [*read_squad(path)]
    else:
        examples = list(_READERS[task](path))
    if not examples:
        raise DataError(f"{path} holds no examples.")
    return examples


def check_apart(train: Sequence[Example], valid: Sequence[Example], what: str) -> None:
    """Refuse training data that overlaps with the validation data.

    Raises:
        DataError: both hold the same example (a pair in either order); shows their number and the first.
    """
    keys = {_key(example) for example in valid}
    shared = [example for example in train if _key(example) in keys]
    if shared:
        raise DataError(
            f"{len(shared)} examples of {what} are in the validation file too, so the model could score by memory; "
            f"the first is {_key(shared[0])}. Train on other data."
        )


def _key(example: Example) -> tuple[str, ...]:
    if isinstance(example, TextExample):
        return tuple(sorted((example.text, example.pair or "")))
    if isinstance(example, ChoiceExample):
        return (example.question, *example.choices)
    return (example.question, example.context)


def _records(path: Path, **fields: type | tuple[type, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, record) of every line of a JSONL file; each record has these fields with these types."""
    for where, record in read_jsonl(path):
        for name, kind in fields.items():
            value = record.get(name) if isinstance(record, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise DataError(
                    f'{where}: expected the fields {", ".join(fields)}; "{name}" is missing or has the wrong type.'
                )
        yield where, record


def _class(task: TaskName, label: Any, where: str) -> int:
    labels = TASKS[task].labels
    if label not in labels:
        raise DataError(f"{where}: the label is {label!r}; allowed are {', '.join(labels)}.")
    return labels.index(label)


def _similarity(value: Any, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 5:
        raise DataError(f"{where}: the similarity is {value!r}; it is a number from 0 to 5.")
    return number


def _marc_ja(path: Path) -> Iterator[Example]:
    for where, record in _records(path, sentence=str, label=str):
        yield TextExample(record["sentence"], None, _class("marc-ja", record["label"], where))


def _jcola(path: Path) -> Iterator[Example]:
    for where, record in _records(path, sentence=str, label=int):
        if record["label"] not in (0, 1):
            raise DataError(f"{where}: the label is {record['label']!r}; allowed are 0 and 1.")
        yield TextExample(record["sentence"], None, record["label"])


def _jsts(path: Path) -> Iterator[Example]:
    for where, record in _records(path, sentence1=str, sentence2=str, label=(int, float)):
        yield TextExample(record["sentence1"], record["sentence2"], _similarity(record["label"], where))


def _jnli(path: Path) -> Iterator[Example]:
    for where, record in _records(path, sentence1=str, sentence2=str, label=str):
        yield TextExample(record["sentence1"], record["sentence2"], _class("jnli", record["label"], where))


def _jcommonsenseqa(path: Path) -> Iterator[Example]:
    names = [f"choice{index}" for index in range(CHOICES)]
    for where, record in _records(path, question=str, label=int, **dict.fromkeys(names, str)):
        if not 0 <= record["label"] < CHOICES:
            raise DataError(f"{where}: the label is {record['label']}; allowed are 0 to {CHOICES - 1}.")
        yield ChoiceExample(record["question"], tuple(record[name] for name in names), record["label"])


def _jnli_neg(path: Path) -> Iterator[Example]:
    """JNLI-Neg (Yoshida et al. 2025): pairs of JNLI with added negations."""
    for where, record in _records(path, sentence1=dict, sentence2=dict, gold_label=str):
        sentences = [record[name].get("sentence") for name in ("sentence1", "sentence2")]
        if not all(isinstance(sentence, str) for sentence in sentences):
            raise DataError(f'{where}: there is no text under "sentence".')
        yield TextExample(sentences[0], sentences[1], _class("jnli", record["gold_label"], where))


def _jsick(path: Path, column: str, target: Callable[[Any, str], float]) -> Iterator[Example]:
    """JSICK (Yanaka and Mineshima 2022): the Japanese columns of the rows of its training split."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    for number, row in enumerate(rows, start=1):
        where = f"{path}, record {number}"
        if not all(row.get(name) for name in ("data", "sentence_A_Ja", "sentence_B_Ja", column)):
            raise DataError(f"{where}: expected the columns data, sentence_A_Ja, sentence_B_Ja and {column}.")
        if row["data"] == "train":
            yield TextExample(row["sentence_A_Ja"], row["sentence_B_Ja"], target(row[column], where))


_READERS: dict[str, Callable[[Path], Iterator[Example]]] = {
    "marc-ja": _marc_ja,
    "jcola": _jcola,
    "jsts": _jsts,
    "jnli": _jnli,
    "jcommonsenseqa": _jcommonsenseqa,
}
_OTHER_READERS: dict[Reader, dict[str, Callable[[Path], Iterator[Example]]]] = {
    "jnli-neg": {"jnli": _jnli_neg},
    "jsick": {
        "jnli": lambda path: _jsick(path, "entailment_label_Ja", lambda label, where: _class("jnli", label, where)),
        "jsts": lambda path: _jsick(path, "relatedness_score_Ja", _similarity),
    },
}


# --- scores --------------------------------------------------------------------------------------------------------


def measured(task: TaskName, n: int, scores: Mapping[str, float]) -> dict[str, float]:
    """The measures of a task, rounded to four places, and the number of examples as "n"."""
    return {"n": n} | {name: round(scores[name], 4) for name in TASKS[task].measures}


def score_classes(predicted: Sequence[int], wanted: Sequence[int]) -> dict[str, float]:
    """Accuracy, and Matthews' correlation coefficient, which is 0 when one side has a single class."""
    return {
        "accuracy": float(accuracy_score(wanted, predicted)),
        # scikit-learn warns when both sides hold the same single class, and returns 0.
        "mcc": float(matthews_corrcoef(wanted, predicted)) if len({*wanted, *predicted}) > 1 else 0.0,
    }


def score_similarities(predicted: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]) -> dict[str, float]:
    """Pearson's and Spearman's correlation; 0 when one side is constant and neither is defined."""
    if np.ptp(predicted) == 0 or np.ptp(wanted) == 0:
        return {"pearson": 0.0, "spearman": 0.0}
    return {
        "pearson": float(pearsonr(predicted, wanted).statistic),
        "spearman": float(spearmanr(predicted, wanted).statistic),
    }


def score_answers(predicted: Sequence[str], examples: Sequence[QuestionExample]) -> dict[str, float]:
    """Mean exact match and character F1, each the best over the references."""
    scores = [
        best_over_references(answer, [text for text, _ in example.answers])
        for answer, example in zip(predicted, examples, strict=True)
    ]
    return {"em": float(np.mean([em for em, _ in scores])), "f1": float(np.mean([f1 for _, f1 in scores]))}

"""JGLUE as a whole: fine-tune an encoder on every task, evaluate it, and print its row of the published table.

The last line of standard output is one JSON object; everything else goes to standard error. This module knows the table
and the folders, and does not know training, which is in grid_search.py.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from training.config import ConfigError, read_values
from training.data import DataError, sample
from training.jglue.config import EncoderConfig, read_encoder_config
from training.jglue.encoder import read_notes
from training.jglue.grid_search import Scores, is_first_process, open_encoder, read_valid, score_sets, tune
from training.jglue.tasks import TASK_NAMES, TASKS, Example, TaskName

DEFAULT_DATA = Path("data")

Scorer = Callable[[EncoderConfig, Path, dict[str, list[Example]]], Scores]

_HEADINGS = {"accuracy": "acc", "mcc": "MCC", "pearson": "Pearson", "spearman": "Spearman", "em": "EM", "f1": "F1"}


def is_suite_config(config: Path, overrides: list[str]) -> bool:
    """Whether a configuration is a folder of JGLUE tasks, or one JGLUE task."""
    return config.is_dir() or read_values(config, overrides).get("task") in TASKS


def finetune(args: argparse.Namespace) -> int:
    """`nagayomi finetune` for one task, or for every task of a folder of configurations, each in its own folder.

    Raises:
        NagayomiError: a configuration, the data or the folder is wrong, or training diverged.
    """
    if not args.config.is_dir():
        summary = tune(read_encoder_config(args.config, args.set), args.data, args.out)
        if is_first_process():
            print(json.dumps(summary, ensure_ascii=False))
        return 0
    files = sorted(args.config.glob("*.toml"))
    if not files:
        raise ConfigError(f"{args.config} has no TOML file.")
    for file in files:
        if read_values(file, []).get("task") not in TASKS:
            raise ConfigError(
                f"{file} is no task of JGLUE, and only those are read as a folder; name one file: --config {file}."
            )
    configs = [read_encoder_config(file, args.set) for file in files]
    configs.sort(key=lambda config: TASK_NAMES.index(config.task))
    ready = _with_data(configs, args.data, ("train", "valid", "out_of_domain"))
    results = {config.task: tune(config, args.data, args.out / config.task)["scores"] for config in ready}
    _print_results(args.out.resolve().name, results)
    return 0


def score_in_torch(config: EncoderConfig, checkpoint: Path, sets: dict[str, list[Example]]) -> Scores:
    """The measures of every set, by the prefix of their names."""
    return score_sets(open_encoder(config, str(checkpoint)), sets, config.doc_stride)


def evaluate(args: argparse.Namespace, score: Scorer) -> int:
    """`nagayomi evaluate --suite jglue` of a folder that `finetune` filled, for all tasks or for one.

    Args:
        score: gives the measures of a fine-tuned checkpoint.

    Raises:
        NagayomiError: there is nothing to evaluate, or the data cannot be read.
    """
    directory = Path(args.model)
    data = args.data or DEFAULT_DATA
    folders = {config.task: (config, folder) for folder in _checkpoints(directory) for config in [_noted(folder)]}
    if not folders:
        raise ConfigError(
            f"{directory} holds no model that was fine-tuned for a task of JGLUE. nagayomi finetune --config "
            f"training/configs/jglue --out {directory} makes one for every task."
        )
    results = {}
    for config in _with_data([config for config, _ in folders.values()], data, ("valid", "out_of_domain")):
        sets = {prefix: sample(examples, args.limit) for prefix, examples in read_valid(config, data).items()}
        results[config.task] = score(config, folders[config.task][1], sets)
    _print_results(directory.resolve().name, results)
    return 0


def _checkpoints(directory: Path) -> list[Path]:
    return [folder for folder in (directory, *(directory / name for name in TASK_NAMES)) if read_notes(folder)]


def _noted(folder: Path) -> EncoderConfig:
    """The configuration that a checkpoint was fine-tuned with."""
    try:
        return EncoderConfig.model_validate((read_notes(folder) or {})["training"])
    except (KeyError, ValidationError) as error:
        raise ConfigError(f"{folder / 'config.json'} does not say how the model was fine-tuned.") from error


def _with_data(configs: list[EncoderConfig], data: Path, keys: tuple[str, ...]) -> list[EncoderConfig]:
    """The tasks whose files exist. Prints the names of the others: MARC-ja, for example, is no longer available.

    Raises:
        DataError: there is none.
    """
    ready = []
    for config in configs:
        files = [data / getattr(config, key) for key in keys if getattr(config, key)]
        missing = [str(file) for file in files if not file.exists()]
        if missing:
            print(f"{TASKS[config.task].title} is left out: {', '.join(missing)} does not exist.", file=sys.stderr)
        else:
            ready.append(config)
    if not ready:
        raise DataError(f"{data} has no files of any task; --data is the folder that holds jglue/ and jcola/.")
    return ready


def _print_results(name: str, results: Mapping[TaskName, Scores]) -> None:
    if is_first_process():
        print(table(name, results))
        print(json.dumps({"suite": "jglue", "model": name, "results": results}, ensure_ascii=False))


def table(name: str, results: Mapping[TaskName, Mapping[str, float]]) -> str:
    """One row in the format of JGLUE's table, under its two lines of headings; a task without a result has a dash."""
    titles = ["Model", *(task.title for task in TASKS.values())]
    measures = ["", *("/".join(_HEADINGS[measure] for measure in task.measures) for task in TASKS.values())]
    row = [name]
    for task_name, task in TASKS.items():
        scores = results.get(task_name)
        row.append("-" if scores is None else "/".join(f"{scores[measure]:.3f}" for measure in task.measures))
    lines: list[list[str]] = [titles, ["---"] * len(titles), measures, row]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""The mean of the weights of two checkpoints of one run: `python -m training.average FIRST SECOND --out DIR`.

Weights before and after further training often lie in one valley of the loss, whose middle does better than either end
(model soups, Wortsman et al. 2022). Here the mean keeps the skill of the first checkpoint on long documents and that of
the second on short ones. This module knows tensors by name, and does not know their roles.
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from app.errors import InvalidInput
from app.streams import run_module
from export.checkpoint import json_object, read_config, read_weights
from export.weights_file import write_weights

# What config.json notes about the meaning of a checkpoint's inputs and outputs.
_MEANINGS = ("task", "segmenter", "normaliser", "overlap_token_type", "sentence_token_types", "sentence_weights")


def mean_of(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The mean of each weight, in fp32.

    Raises:
        InvalidInput: a weight is missing from one checkpoint, or has another shape there.
    """
    unlike = sorted(
        name
        for name in first.keys() | second.keys()
        if name not in first or name not in second or first[name].shape != second[name].shape
    )
    if unlike:
        raise InvalidInput(f"The checkpoints are not of one model: {unlike[0]} differs, and {len(unlike) - 1} more.")
    return {name: torch.lerp(first[name].float(), second[name].float(), 0.5) for name in first}


def check_alike(first: Path, second: Path) -> None:
    """Refuse checkpoints whose weights mean different things, though they have the same names and shapes.

    Raises:
        InvalidInput: the tokenizers, the labels or the way to read a text differ, or a file cannot be read.
    """
    configs = [read_config(folder) for folder in (first, second)]
    notes = [config.get("nagayomi") or {} for config in configs]
    compared: dict[str, list[Any]] = {
        "tokenizer.json": [json_object(folder / "tokenizer.json") for folder in (first, second)],
        "id2label": [config.get("id2label") for config in configs],
        **{key: [note.get(key) or None for note in notes] for key in _MEANINGS},  # older notes lack some keys
    }
    if unlike := [name for name, (one, other) in compared.items() if one != other]:
        raise InvalidInput(
            f"{first} and {second} differ in {', '.join(unlike)}; only checkpoints of one run, or of runs "
            "that go on from each other, have a mean."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.average", description=__doc__.splitlines()[0])
    parser.add_argument("first", type=Path, help="folder of a checkpoint")
    parser.add_argument(
        "second", type=Path, help="another checkpoint of the same run; config.json and tokenizer come from this one"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    args = parser.parse_args(arguments)
    if args.out.resolve() in (args.first.resolve(), args.second.resolve()):
        raise InvalidInput(f"--out {args.out} is one of the two checkpoints, and would replace it; use another folder.")
    check_alike(args.first, args.second)
    mean = mean_of(read_weights(args.first), read_weights(args.second))
    args.out.mkdir(parents=True, exist_ok=True)
    write_weights(mean, args.out)
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(args.second / name, args.out / name)
    return 0


if __name__ == "__main__":
    run_module(main)

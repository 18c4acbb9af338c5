"""`nagayomi finetune`: from a configuration file to a checkpoint that transformers and `nagayomi export` can load.

Run again with the same folder, it resumes a killed run. This module does not know serving.
"""

import argparse
import json
from pathlib import Path

from training.config import read_config
from training.finetune.loop import Run
from training.jglue import command as jglue_command
from training.runs.distributed import joined
from training.runs.trainer import flush_denormals


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        type=Path,
        required=True,
        help="TOML file of a run, as those in training/configs/; training/configs/jglue stands for all tasks of JGLUE",
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; run again to resume")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")


def run(args: argparse.Namespace) -> int:
    """Train, and print the steps and the mean loss of the last ones as one JSON object.

    Raises:
        NagayomiError: the configuration, the data or the folder is wrong, or training diverged.
    """
    flush_denormals()
    if jglue_command.is_suite_config(args.config, args.set):
        return jglue_command.finetune(args)
    config = read_config(args.config, args.set)
    with joined() as processes:
        training = Run(config, args.data, args.out, processes)
        training.resume()
        training.train()
    if processes.is_first:
        tail = training.losses[-50:]
        loss = round(sum(tail) / len(tail), 4) if tail else None
        print(json.dumps({"task": config.task, "steps": training.step, "loss": loss}))
    return 0

"""Runs of `nagayomi finetune` inside the test process."""

import argparse
from pathlib import Path

from training.finetune import command


class Killed(BaseException):
    """Stands in for a kill: nothing catches it, nothing is cleaned up."""


def train(config: Path, data: Path, out: Path, *overrides: str) -> int:
    return command.run(argparse.Namespace(config=config, data=data, out=out, set=list(overrides)))

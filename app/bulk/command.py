"""`nagayomi batch`: every line of a JSONL file through the service, on this machine or on a Ray cluster.

The same command resumes a killed run. Exit codes are those of app/cli.py; a run has failed (1) when any line failed.
This module does not know the engine's batches, which app/engine/batcher.py makes.
"""

import argparse
import asyncio
import math
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol, get_args

from tqdm import tqdm

from app.arguments import add_model_store, positive_integer
from app.bulk.lines import AnsweredLine, LineAnswerer, Place, batch_settings, read_lines
from app.bulk.output import Output, Paths
from app.bulk.source import Source
from app.errors import InvalidInput, missing_extra
from app.service import Service
from app.settings import Settings, settings_from
from app.store import model_versions, with_one_model
from app.types import GpuTarget, ServedTask

# The work that a kill may cost: lines that were answered since the last commit are answered again.
COMMIT_LINES = 100
COMMIT_S = 1.0

# Answers to lines given as number and body, in their order.
Answers = Callable[[Iterable[tuple[int, bytes | None]]], AsyncIterator[AnsweredLine]]


class Backend(Protocol):
    """Where lines are answered."""

    def versions(self) -> dict[str, str]:
        """The models that answer; see `model_versions`."""

    def open(self) -> AbstractAsyncContextManager[Answers]:
        """Load the models, and close them at the end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `nagayomi batch`."""
    parser.epilog = (
        "Failed lines go to OUT.errors.jsonl; OUT.progress.json records the progress. The same command resumes a "
        "killed run. Exit code 0: every line was answered; 1: some were not, or the run stopped."
    )
    parser.add_argument(
        "input",
        metavar="IN",
        type=Path,
        help="JSONL: each line holds the fields of a request of the HTTP interface; `file` in place of the text names "
        "a file, or several, relative to the folder of IN",
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="JSONL: the answers, in the same order")
    parser.add_argument("--task", required=True, choices=get_args(ServedTask))
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="a model of the store (default: the one a line names, or the first for the task by name)",
    )
    add_model_store(parser)
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="answer on a Ray cluster: auto, local, HOST:PORT or ray://HOST:PORT. Every machine needs this program and "
        "the models at the same path. A worker takes NAGAYOMI_INTRA_OP_THREADS cores (default: 1)",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="maximum number of workers on the Ray cluster (default: all that fit)",
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=_not_negative,
        metavar="X",
        help="GPUs of each worker on the Ray cluster, fractions allowed (default: 1 for the providers cuda and "
        "tensorrt, else 0)",
    )


def run(args: argparse.Namespace) -> int:
    """Answer every line that has no answer yet.

    Raises:
        InvalidInput: the arguments are wrong, or the files do not belong together.
        NagayomiError: the run cannot continue; its answers so far are safe.
    """
    if args.ray is None and (args.workers is not None or args.gpus_per_worker is not None):
        raise InvalidInput("--workers and --gpus-per-worker are for a cluster; give --ray.")
    given: dict[str, Any] = {} if args.model_store is None else {"model_store": args.model_store}
    settings = batch_settings(with_one_model(settings_from(given), args.task, args.model))
    paths = Paths.next_to(args.output)
    if args.input.resolve() in {path.resolve() for path in (paths.answers, paths.errors, paths.progress)}:
        raise InvalidInput("The output would overwrite the input; use another output.")
    with Source.open(args.input) as source, _backend(args, settings) as backend:
        what = {"task": args.task, "model": args.model, "models": backend.versions()}
        with Output.open(paths, what) as output:
            asyncio.run(_answer(source, output, backend, settings))
    lines, failed = output.place.requests, output.failed
    print(f"{lines - failed:,} of {lines:,} lines answered.", file=sys.stderr)
    if failed:
        print(f"{failed:,} failed; the reasons are in {paths.errors}.", file=sys.stderr)
    return 1 if failed else 0


def _not_negative(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of at least 0")
    return number


def _backend(args: argparse.Namespace, settings: Settings) -> AbstractContextManager[Backend]:
    if args.ray is None:
        return nullcontext(_Here(settings, args.task, args.model, args.input.parent))
    try:
        from app.bulk.ray_data import OnRay, Workers
    except ModuleNotFoundError as error:
        raise missing_extra(error, "ray") from error
    gpus = args.gpus_per_worker if args.gpus_per_worker is not None else float(settings.provider in get_args(GpuTarget))
    return OnRay(args.ray, Workers(args.workers, gpus), settings, args.task, args.model, args.input.parent)


async def _answer(source: Source, output: Output, backend: Backend, settings: Settings) -> None:
    lines = read_lines(source.pieces(settings.max_body_bytes + 2), output.place, settings.max_body_bytes)
    first = next(lines, None)
    if first is None:
        return  # all lines are done, so no model is loaded
    ends: deque[Place] = deque()  # of the lines that are being answered

    def numbered() -> Iterator[tuple[int, bytes | None]]:
        for line in chain([first], lines):
            ends.append(line.end)
            yield line.number, line.body

    async with backend.open() as answers:
        with _progress_bar(source, output) as bar:
            committed = time.monotonic()
            try:
                async for answer in answers(numbered()):
                    output.add(answer, ends.popleft())
                    if output.pending >= COMMIT_LINES or time.monotonic() - committed >= COMMIT_S:
                        await asyncio.to_thread(output.commit)
                        committed = time.monotonic()
                        _show(bar, output)
            finally:
                output.commit()
                _show(bar, output)


@dataclass(frozen=True)
class _Here:
    """A service in this process."""

    settings: Settings
    task: ServedTask
    model: str | None
    folder: Path  # paths of files are relative to it

    def versions(self) -> dict[str, str]:
        return model_versions(self.settings, self.task)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Answers]:
        async with Service.open(self.settings, [self.task]) as service:
            service.store.find(self.task, self.model)
            yield LineAnswerer(service, self.task, self.folder).answers


def _progress_bar(source: Source, output: Output) -> "tqdm[Any]":
    """Progress in bytes of the input: lines would have to be counted first, and their costs differ."""
    done = output.place.bytes
    return tqdm(total=source.size, initial=done, unit="B", unit_scale=True, disable=None, dynamic_ncols=True)


def _show(bar: "tqdm[Any]", output: Output) -> None:
    bar.set_postfix(lines=output.place.requests, failed=output.failed, refresh=False)
    bar.update(output.place.bytes - bar.n)

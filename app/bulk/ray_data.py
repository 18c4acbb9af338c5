"""`nagayomi batch --ray`: the lines of a batch answered on the machines of a Ray cluster, through Ray Data.

The driver reads the input and writes the output; lines go to a pool of workers, each with a service of its own, and
answers come back in order. Ray Data replaces a worker that died and gives its lines to another. Every machine needs
this program, and the models at the same path; a worker whose models are not those the run began with refuses to work.
"""

import asyncio
import logging
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import pyarrow
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext
from tqdm import tqdm

from app.bulk.lines import AnsweredLine, LineAnswerer, in_flight
from app.errors import BrokenModel, InvalidInput, Unavailable
from app.service import Service
from app.settings import Settings
from app.store import model_versions
from app.types import ServedTask

T = TypeVar("T")
Lines = Iterable[tuple[int, bytes | None]]

# Bytes of the input for one pool of workers. They stay in the object store while the pool runs, so they have a limit.
POOL_BYTES = 1_000_000_000
BLOCK_BYTES = 1_000_000

_LINES = pyarrow.schema([("number", pyarrow.int64()), ("body", pyarrow.large_binary())])


@dataclass(frozen=True)
class Workers:
    """The number of workers, and the resources of each."""

    most: int | None  # None: as many as the cluster has room for
    gpus: float  # 0 for providers without a GPU


class OnRay:
    """A backend of app/bulk/command.py. Entering connects to the cluster, or starts one on this machine for "local".

    Args:
        settings: with paths that hold on every machine of the cluster.
        folder: the folder to which paths of files are relative, on every machine.
    """

    def __init__(
        self,
        address: str,
        workers: Workers,
        settings: Settings,
        task: ServedTask,
        model: str | None,
        folder: Path = Path(),
    ) -> None:
        # A worker computes with the cores it takes, so that any number of them fits on a machine.
        self._cpus = settings.intra_op_threads or 1
        self._settings = settings.model_copy(
            update={
                "intra_op_threads": self._cpus,
                "text_threads": 1,
                "model_store": settings.model_store.absolute(),
            }
        )
        self._address = address
        self._workers = workers
        self._task: ServedTask = task
        self._model = model
        self._folder = folder.absolute()

    def __enter__(self) -> Self:
        """
        Raises:
            Unavailable: there is no cluster at the address.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray would report its use to its makers
        # Errors of a run are raised; other messages would break the progress bar. Ray keeps its own log files.
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        try:
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise Unavailable(
                f"There is no Ray cluster at {self._address!r}. `ray start --head` starts one on this machine; "
                f"`--ray local` needs none. Ray says: {error}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        ray.shutdown()

    def versions(self) -> dict[str, str]:
        """The models, as one machine of the cluster finds them; see `model_versions`."""
        ask = ray.remote(model_versions).options(num_cpus=0)
        found: dict[str, str] = ray.get(ask.remote(self._settings, self._task))
        return found

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """The function that answers lines, in order."""
        yield self._answers

    async def _answers(self, lines: Lines) -> AsyncIterator[AnsweredLine]:
        """
        Raises:
            InvalidInput: no worker fits on the cluster.
            Unavailable: the cluster cannot continue; the message says why.
        """
        blocks = _blocks(lines, in_flight(self._settings))
        versions = self.versions()
        most = self._workers.most or self._most()
        if not self._room(ray.available_resources()):
            # Ray Data waits silently, and for ever if a service holds the resources.
            tqdm.write(f"nagayomi: waiting for room on the cluster: {self._need()}.", file=sys.stderr)
        try:
            while tables := list(_some(blocks)):
                for answer in self._pool(tables, versions, most):
                    yield answer
        except ray.exceptions.RayError as error:
            raise Unavailable(f"The Ray cluster could not continue: {_reason(error)}") from error

    def _pool(self, tables: list[Any], versions: dict[str, str], most: int) -> Iterator[AnsweredLine]:
        context = DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        answered = ray.data.from_arrow_refs(tables).map_batches(
            Worker,
            fn_constructor_args=(self._settings, self._task, self._model, versions, self._folder),
            batch_size=None,  # a block of lines
            batch_format="pyarrow",
            num_cpus=self._cpus,
            num_gpus=self._workers.gpus or None,
            compute=ActorPoolStrategy(
                min_size=1,
                max_size=most,
                # The next lines arrive before the last of these are answered, so that batches stay full.
                max_concurrent_calls_per_actor=2,
                enable_true_multi_threading=True,
            ),
        )
        for row in answered.iter_rows():
            yield AnsweredLine(row["text"], row["failed"])

    def _most(self) -> int:
        """The number of workers for which the cluster has room when nothing else runs on it.

        Raises:
            InvalidInput: no worker fits.
        """
        most = self._room(ray.cluster_resources())
        if not most:
            raise InvalidInput(f"No worker fits on the cluster: {self._need()}.")
        return most

    def _room(self, resources: Mapping[str, float]) -> int:
        """The number of workers that fit into these resources, which have Ray's names."""
        rooms = [resources.get("CPU", 0) / self._cpus]
        if self._workers.gpus:
            rooms.append(resources.get("GPU", 0) / self._workers.gpus)
        return int(min(rooms))

    def _need(self) -> str:
        return f"a worker takes {self._cpus} CPUs and {self._workers.gpus:g} GPUs"


class Worker:
    """One actor of the pool: a service, and the thread in which it runs."""

    def __init__(
        self,
        settings: Settings,
        task: ServedTask,
        model: str | None,
        versions: dict[str, str],
        folder: Path = Path(),
    ) -> None:
        found = model_versions(settings, task)
        if found != versions:
            raise BrokenModel(f"The models at {settings.model_store} are not the same on all machines.")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="service", daemon=True)
        self._thread.start()
        self._held = AsyncExitStack()
        self._answerer = self._run(self._start(settings, task, model, folder))

    async def _start(self, settings: Settings, task: ServedTask, model: str | None, folder: Path) -> LineAnswerer:
        service = await self._held.enter_async_context(Service.open(settings, [task]))
        service.store.find(task, model)
        return LineAnswerer(service, task, folder)

    def __call__(self, lines: pyarrow.Table) -> pyarrow.Table:
        """Answers in the order of the lines. May be called from several threads at once."""
        pairs = zip(lines["number"].to_pylist(), lines["body"].to_pylist(), strict=True)
        answers = self._run(self._answer(pairs))
        return pyarrow.table(
            {
                "text": pyarrow.array([answer.text for answer in answers], pyarrow.large_string()),
                "failed": pyarrow.array([answer.failed for answer in answers], pyarrow.bool_()),
            }
        )

    async def _answer(self, lines: Lines) -> list[AnsweredLine]:
        return [answer async for answer in self._answerer.answers(lines)]

    def close(self) -> None:
        """End the service and its thread. The actors of a pool end without this, and their engines with them."""
        self._run(self._held.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _reason(error: BaseException) -> str:
    """The sentence of our own error, taken from Ray's error, a text with all tracebacks."""
    text = str(error).strip()
    ours = re.findall(r"^app\.errors\.\w+: (.+)$", text, re.MULTILINE)
    return ours[-1] if ours else text.splitlines()[-1]


def _blocks(lines: Lines, most: int) -> Iterator[pyarrow.Table]:
    """Lines as tables of `most` lines or about `BLOCK_BYTES`."""
    numbers: list[int] = []
    bodies: list[bytes | None] = []
    size = 0
    for number, body in lines:
        numbers.append(number)
        bodies.append(body)
        size += len(body or b"")
        if len(numbers) == most or size >= BLOCK_BYTES:
            yield pyarrow.table([numbers, bodies], schema=_LINES)
            numbers, bodies, size = [], [], 0
    if numbers:
        yield pyarrow.table([numbers, bodies], schema=_LINES)


def _some(blocks: Iterator[pyarrow.Table]) -> Iterator[Any]:
    """The next blocks, put into the object store, up to `POOL_BYTES`."""
    size = 0
    for block in blocks:
        yield ray.put(block)
        size += block.nbytes
        if size >= POOL_BYTES:
            return

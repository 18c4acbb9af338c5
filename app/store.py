"""The models of a store: each is found, checked, loaded and warmed alone, so that a broken one stops no other.

Blocking work (hashing, loading tokenizers) runs in threads. This module does not know requests.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from app.engine.process import Engine
from app.errors import BrokenModel, ModelNotFound, NagayomiError, ProviderUnavailable
from app.manifest import FILE_NAME, TOKENIZER_FILE, Manifest, sha256, verify_files
from app.packing import Document, packed_length
from app.schemas import BrokenInfo
from app.settings import Settings
from app.text.tokenizer import Tokenizer
from app.types import AnsweredTask, Task

logger = logging.getLogger("nagayomi.store")

LOADED_AT_ONCE = 1 + (os.cpu_count() or 1)  # models; loading one keeps a core busy most of the time

RunInThreads = Callable[[Callable[[], None]], Awaitable[None]]


class ThreadTokenizers:
    """One tokenizer per thread: MeCab and the Rust tokenizer keep state and are never shared."""

    def __init__(self, load: Callable[[], Tokenizer]) -> None:
        self._load = load
        self._local = threading.local()

    def get(self) -> Tokenizer:
        """The calling thread's own tokenizer, loaded at its first call."""
        tokenizer: Tokenizer | None = getattr(self._local, "tokenizer", None)
        if tokenizer is None:
            tokenizer = self._local.tokenizer = self._load()
        return tokenizer


@dataclass(frozen=True)
class Model:
    """One model, ready to run."""

    manifest: Manifest
    engine: Engine
    tokenizers: ThreadTokenizers
    load_seconds: float  # to check, load and warm it

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def provider(self) -> str:
        return self.engine.provider

    def cost(self, document: Document) -> int:
        """The cost of a document in tokens: whole blocks."""
        return packed_length(len(document.input_ids), self.manifest.block_size)


@dataclass
class Store:
    """The contents of a model store: models by name, and directories that are not served, with the reason."""

    models: dict[str, Model] = field(default_factory=dict)
    broken: list[BrokenInfo] = field(default_factory=list)

    async def close(self, *, at_once: bool = False) -> None:
        """End all engines, after the batches in them or at once."""
        await asyncio.gather(*(model.engine.close(at_once=at_once) for model in self.models.values()))

    def find(self, task: Task, name: str | None) -> Model:
        """The model of that name, or the first of the task by name.

        Raises:
            ModelNotFound: there is no such model; the message names the models there are.
            BrokenModel: the model is in the store but could not be loaded.
        """
        of_task = sorted(model.name for model in self.models.values() if model.manifest.task == task)
        if name is None and of_task:
            return self.models[of_task[0]]
        if name in of_task:
            return self.models[name]
        for broken in self.broken:
            if broken.name == name:
                raise BrokenModel(f"The model {name} is in the store but cannot be served: {broken.reason}")
        there_are = f"Models for {task}: {', '.join(of_task)}." if of_task else f"No model for {task} is served."
        if name is None:
            raise ModelNotFound(there_are)
        raise ModelNotFound(f"No model named {name!r} serves {task}. {there_are}")


async def load_store(
    settings: Settings, tasks: Collection[Task] | None = None, in_text_threads: RunInThreads = asyncio.to_thread
) -> Store:
    """Load every model of the store that the settings name, or only those of some tasks.

    Args:
        in_text_threads: calls a function in every thread that will tokenize, so that no thread loads a tokenizer
            during its first request.

    Raises:
        ProviderUnavailable: the provider of the settings cannot run here, so no model can run.
    """
    found, broken = _manifests(settings, tasks)
    if tasks is None:
        for missing in sorted(set(settings.models) - {*found, *(info.name for info in broken)}):
            error = BrokenModel(f"{settings.model_store} holds no model of that name.")
            broken.append(_broken(settings.model_store / missing, missing, error))
    if not found and not broken:
        broken.append(BrokenInfo(name=str(settings.model_store), reason=_why_empty(settings, tasks)))
    # TensorRT times kernels while it builds an engine, and other work on the GPU would mislead it.
    turns = asyncio.Semaphore(1 if settings.provider == "tensorrt" else LOADED_AT_ONCE)

    async def load(directory: Path, manifest: Manifest) -> Model | BrokenInfo:
        async with turns:
            try:
                return await load_model(directory, manifest, settings, in_text_threads)
            except ProviderUnavailable:
                raise
            except NagayomiError as error:
                return _broken(directory, manifest.name, error)
            except OSError as error:  # no process or thread can be started, or a file went away while it was read
                return _broken(directory, manifest.name, BrokenModel(f"It cannot be loaded: {error}."))

    loads: list[asyncio.Task[Model | BrokenInfo]] = []
    try:
        async with asyncio.TaskGroup() as group:
            loads += [group.create_task(load(directory, manifest)) for directory, manifest in found.values()]
    except (BaseExceptionGroup, asyncio.CancelledError) as error:
        done = [load.result() for load in loads if not load.cancelled() and load.exception() is None]
        await Store({model.name: model for model in done if isinstance(model, Model)}).close()
        if isinstance(error, BaseExceptionGroup):
            raise error.exceptions[0] from None  # the group cancelled the others at the first error
        raise
    results = [load.result() for load in loads]
    models = {result.name: result for result in results if isinstance(result, Model)}
    return Store(models, [*broken, *(result for result in results if isinstance(result, BrokenInfo))])


def _manifests(
    settings: Settings, tasks: Collection[Task] | None
) -> tuple[dict[str, tuple[Path, Manifest]], list[BrokenInfo]]:
    """The models to load, by name, with their directories; and the directories that name none."""
    found: dict[str, tuple[Path, Manifest]] = {}
    broken: list[BrokenInfo] = []
    for directory in _directories(settings.model_store):
        name = directory.name
        try:
            manifest = Manifest.read(directory)
            name = manifest.name
            if (settings.models and name not in settings.models) or (tasks is not None and manifest.task not in tasks):
                continue
            if name in found:
                raise BrokenModel(f"{directory} holds a second model named {name}; only the first one is loaded.")
            found[name] = directory, manifest
        except BrokenModel as error:
            if not settings.models or name in settings.models:
                broken.append(_broken(directory, name, error))
    return found, broken


def _why_empty(settings: Settings, tasks: Collection[Task] | None) -> str:
    if not settings.model_store.is_dir():
        return "The path is not a directory; --model-store (NAGAYOMI_MODEL_STORE) names the folder of the models."
    others, _ = _manifests(settings, None)
    if tasks is None or not others:
        return "The folder holds no model."
    task = " or ".join(tasks)
    names = ", ".join(f"{name} ({manifest.task})" for name, (_, manifest) in sorted(others.items()))
    return f"The folder holds no model for {task}, only {names}; make one with `nagayomi export --task {task}`."


def _broken(directory: Path, name: str, error: NagayomiError) -> BrokenInfo:
    logger.error("%s is not served: %s", directory, error)
    return BrokenInfo(name=name, reason=str(error))


def model_versions(settings: Settings, task: Task) -> dict[str, str]:
    """The models of a task that a service with these settings loads: names, and the SHA-256 of their manifests.

    A manifest holds the checksums of all other files, which are not read here. Directories without one are left out.
    """
    versions: dict[str, str] = {}
    for directory in _directories(settings.model_store):
        try:
            manifest = Manifest.read(directory)
        except BrokenModel:
            continue
        if manifest.task == task and (not settings.models or manifest.name in settings.models):
            versions.setdefault(manifest.name, sha256(directory / FILE_NAME))
    return versions


def with_one_model(settings: Settings, task: Task, name: str | None) -> Settings:
    """Settings that load only the named model; unchanged without a name, or when no model of the task has the name."""
    if name is None:
        return settings
    try:
        manifest = Manifest.read(settings.model_store / name)
    except BrokenModel:
        return settings
    if (manifest.name, manifest.task) != (name, task):
        return settings
    return settings.model_copy(update={"models": (name,)})


def _directories(store: Path) -> list[Path]:
    """
    Raises:
        BrokenModel: the store cannot be listed.
    """
    if not store.is_dir():
        return []
    try:
        return sorted(path for path in store.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
    except OSError as error:
        raise BrokenModel(f"{store} cannot be read: {error.strerror}.") from error


async def load_model(
    directory: Path, manifest: Manifest, settings: Settings, in_text_threads: RunInThreads = asyncio.to_thread
) -> Model:
    """Check one model, start and warm its engine, and load its tokenizers meanwhile.

    Raises:
        BrokenModel: the directory cannot be served; the message says why.
        ProviderUnavailable: see `engine.check_provider`.
    """
    begun = time.perf_counter()
    if manifest.task not in get_args(AnsweredTask):
        raise BrokenModel(f"The service does not answer the task {manifest.task}.")
    await asyncio.to_thread(verify_files, directory, manifest)
    tokenizers = ThreadTokenizers(lambda: _load_tokenizer(directory, manifest))
    engine = Engine(directory, manifest, settings)
    starting = asyncio.create_task(engine.start())
    try:
        await in_text_threads(lambda: _warm(tokenizers.get()))
        await starting
    except BaseException:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await engine.close()
        raise
    load_seconds = time.perf_counter() - begun
    logger.info("%s (%s) is ready after %.1f s", manifest.name, manifest.task, load_seconds)
    return Model(manifest, engine, tokenizers, load_seconds)


def _load_tokenizer(directory: Path, manifest: Manifest) -> Tokenizer:
    """The tokenizer of a model.

    Raises:
        BrokenModel: the tokenizer cannot be read, or has more pieces than the graph.
    """
    try:
        tokenizer = Tokenizer.load(
            directory / TOKENIZER_FILE,
            normaliser=manifest.normaliser,
            segmenter=manifest.segmenter,
            token_types=manifest.architecture.type_vocab_size,
        )
    except BrokenModel:
        raise
    except Exception as error:  # the Rust tokenizer raises bare Exception for a file it cannot read
        raise BrokenModel(f"{directory / TOKENIZER_FILE} cannot be loaded: {error}") from error
    if tokenizer.vocab_size > manifest.architecture.vocab_size:
        raise BrokenModel(
            f"The tokenizer of {manifest.name} has {tokenizer.vocab_size} pieces, its graph "
            f"{manifest.architecture.vocab_size}."
        )
    return tokenizer


def _warm(tokenizer: Tokenizer) -> None:
    tokenizer.encode("温める。")

"""Loading models: the checks before one is served, and the model that a request gets."""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.engine.process import Engine
from app.errors import BrokenModel, ModelNotFound, ProviderUnavailable
from app.manifest import Manifest, sha256, write
from app.schemas import BrokenInfo
from app.settings import Settings
from app.store import ThreadTokenizers, load_model, load_store
from app.text.tokenizer import Tokenizer


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"labels": ("a", "b", "c")}, "has 3 labels, its graph 2"),
        ({"task": "qa"}, "has no output end_logits, start_logits"),
        ({"task": "multiple-choice"}, "The service does not answer the task multiple-choice"),
        ({"attention_pattern": "random"}, r"random_plan\.npz"),
    ],
)
async def test_a_model_that_contradicts_its_manifest(
    handmade_models: Path, changes: dict[str, Any], reason: str
) -> None:
    directory = handmade_models / "hand-classify"
    manifest = Manifest.read(directory).model_copy(update=changes)
    with pytest.raises(BrokenModel, match=reason):
        await load_model(directory, manifest, Settings())


async def test_a_tokenizer_with_more_pieces_than_the_graph(handmade_models: Path) -> None:
    directory = handmade_models / "hand-classify"
    manifest = Manifest.read(directory)
    small = manifest.architecture.model_copy(update={"vocab_size": 3})
    with pytest.raises(BrokenModel, match="9 pieces, its graph 3"):
        await load_model(directory, manifest.model_copy(update={"architecture": small}), Settings())


async def test_a_tokenizer_that_cannot_be_read(handmade_store: Path) -> None:
    directory = handmade_store / "hand-classify"
    (directory / "tokenizer.json").write_bytes(b"{}")
    manifest = Manifest.read(directory)
    files = {**manifest.files, "tokenizer.json": sha256(directory / "tokenizer.json")}
    with pytest.raises(BrokenModel, match=r"tokenizer\.json cannot be loaded"):
        await load_model(directory, manifest.model_copy(update={"files": files}), Settings())


async def test_two_models_of_one_name(handmade_store: Path) -> None:
    directory = handmade_store / "hand-qa"
    write(directory, Manifest.read(directory).model_copy(update={"name": "hand-classify"}))
    store = await load_store(Settings(model_store=handmade_store))
    assert sorted(store.models) == ["hand-classify", "hand-summarize"]
    assert store.models["hand-classify"].manifest.task == "classify"
    assert "second model named hand-classify" in store.broken[0].reason
    await store.close()


async def test_the_default_is_the_first_of_its_task_by_name(handmade_store: Path) -> None:
    last = Path(shutil.copytree(handmade_store / "hand-summarize", handmade_store / "z"))
    write(last, Manifest.read(last).model_copy(update={"name": "brief"}))
    store = await load_store(Settings(model_store=handmade_store), ["summarize"])
    assert store.find("summarize", None).name == "brief"
    assert store.find("summarize", "hand-summarize").name == "hand-summarize"
    with pytest.raises(ModelNotFound, match="Models for summarize: brief, hand-summarize"):
        store.find("summarize", "hand")
    await store.close()


async def test_closing_a_store_ends_every_engine(handmade_models: Path) -> None:
    store = await load_store(Settings(model_store=handmade_models))
    assert [model.engine.state for model in store.models.values()] == ["up"] * 3
    await store.close()
    assert [(model.engine.state, model.engine.pid) for model in store.models.values()] == [("closed", None)] * 3


def test_every_thread_has_a_tokenizer_of_its_own(handmade_models: Path) -> None:
    def load() -> Tokenizer:
        return Tokenizer.load(handmade_models / "hand-qa" / "tokenizer.json", normaliser="none", segmenter="none")

    tokenizers = ThreadTokenizers(load)
    seen = [tokenizers.get(), tokenizers.get()]
    thread = threading.Thread(target=lambda: seen.append(tokenizers.get()))
    thread.start()
    thread.join()
    assert seen[0] is seen[1]
    assert seen[2] is not seen[0]


async def test_models_are_listed_in_the_order_of_their_directories(handmade_models: Path) -> None:
    store = await load_store(Settings(model_store=handmade_models))
    assert list(store.models) == ["hand-classify", "hand-qa", "hand-summarize"]
    await store.close()


async def test_a_name_that_no_model_has_is_told_to_the_log(
    handmade_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await load_store(Settings(model_store=handmade_models, models=("hand-qa", "hand-klassify")))
    await store.close()
    reason = f"{handmade_models} holds no model of that name."
    assert (list(store.models), store.broken) == (["hand-qa"], [BrokenInfo(name="hand-klassify", reason=reason)])
    assert f"{handmade_models / 'hand-klassify'} is not served: {reason}" in caplog.text


async def test_an_engine_for_which_no_process_can_be_started_stops_no_other(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Engine.start

    async def start_two(engine: Engine) -> None:
        if engine._name == "hand-qa":
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        await start(engine)

    monkeypatch.setattr(Engine, "start", start_two)
    store = await load_store(Settings(model_store=handmade_models))
    await store.close()
    reason = "It cannot be loaded: [Errno 12] Cannot allocate memory."
    assert list(store.models) == ["hand-classify", "hand-summarize"]
    assert store.broken == [BrokenInfo(name="hand-qa", reason=reason)]


async def test_a_store_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(BrokenModel) as error:
        await load_store(Settings(model_store=tmp_path))
    assert str(error.value) == f"{tmp_path} cannot be read: Permission denied."


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    """All engines that are started, by any caller."""
    engines: list[Engine] = []
    start = Engine.start

    async def note(engine: Engine) -> None:
        engines.append(engine)
        await start(engine)

    monkeypatch.setattr(Engine, "start", note)
    return engines


async def test_models_load_side_by_side(
    handmade_models: Path, started: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.LOADED_AT_ONCE", 3)
    start = Engine.start
    together = asyncio.Barrier(3)

    async def meet(engine: Engine) -> None:
        await together.wait()  # for ever, if one waits for another to be loaded
        await start(engine)

    monkeypatch.setattr(Engine, "start", meet)
    async with asyncio.timeout(60):
        store = await load_store(Settings(model_store=handmade_models))
    assert [engine.state for engine in started] == ["up"] * 3
    await store.close()


async def test_a_provider_that_cannot_run_ends_the_models_that_already_do(
    handmade_models: Path, started: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.LOADED_AT_ONCE", 3)
    start = Engine.start
    others_are_up = asyncio.Event()

    async def refuse_last(engine: Engine) -> None:
        if engine._name == "hand-summarize":
            await others_are_up.wait()
            raise ProviderUnavailable("no such driver")
        await start(engine)
        if len([engine for engine in started if engine.state == "up"]) == 2:
            others_are_up.set()

    monkeypatch.setattr(Engine, "start", refuse_last)
    async with asyncio.timeout(60):
        with pytest.raises(ProviderUnavailable, match="no such driver"):
            await load_store(Settings(model_store=handmade_models))
    assert [(engine.state, engine.pid) for engine in started] == [("closed", None)] * 2


async def test_loading_that_is_cancelled_leaves_no_engine(
    handmade_models: Path, started: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Engine.start

    async def hang(engine: Engine) -> None:
        await start(engine)
        if engine._name == "hand-summarize":
            await asyncio.Event().wait()  # else all might be up, and loading over, before it is cancelled

    monkeypatch.setattr(Engine, "start", hang)
    loading = asyncio.create_task(load_store(Settings(model_store=handmade_models)))
    async with asyncio.timeout(60):
        while not any(engine.state == "up" for engine in started):
            await asyncio.sleep(0.01)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading
    assert [engine.pid for engine in started] == [None] * len(started)


async def test_engines_for_tensorrt_are_built_one_after_another(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    running = 0

    async def start(engine: Engine) -> None:
        nonlocal running
        running += 1
        seen.append(running)
        await asyncio.sleep(0.01)
        running -= 1

    monkeypatch.setattr(Engine, "start", start)
    store = await load_store(Settings(model_store=handmade_models, provider="tensorrt"))
    assert seen == [1, 1, 1]
    await store.close()

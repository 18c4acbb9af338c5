"""Engines as real processes: results, failures of a batch, and every way in which a process can be lost."""

import asyncio
import io
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from app.engine import process as engine_module
from app.engine.process import BatchFailed, Engine, check_provider
from app.engine.protocol import Refused, encode, read
from app.errors import BrokenModel, EngineFailed, ProviderUnavailable
from app.manifest import Manifest
from app.packing import Document
from app.settings import Settings


def document(*ids: int) -> Document:
    return Document(np.array(ids, dtype=np.int32), np.zeros(len(ids), dtype=np.int32))


def engine_of(directory: Path, **changes: Any) -> Engine:
    return Engine(directory, Manifest.read(directory), Settings(intra_op_threads=1, max_batch_tokens=256, **changes))


@pytest.fixture
async def engine(handmade_models: Path) -> AsyncIterator[Engine]:
    """Of a model whose label is "up" (the first logit) for token 5 and "down" for token 6."""
    started = engine_of(handmade_models / "hand-classify")
    await started.start()
    yield started
    await started.close()
    assert started.pid is None


async def until(engine: Engine, state: str) -> None:
    async with asyncio.timeout(60):
        while engine.state != state:
            await asyncio.sleep(0.01)


def stop(engine: Engine) -> int:
    """Hold the process where it is; returns once all of its threads stand still."""
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    while any(b") T " not in stat.read_bytes() for stat in Path(f"/proc/{engine.pid}/task").glob("*/stat")):
        time.sleep(0.001)
    return engine.pid


async def test_batches_are_answered_in_turn(engine: Engine) -> None:
    batches = [[document(0, 5), document(0, 6)], [document(0, 6)], [document(0, 2, 2)]]
    results = await asyncio.gather(*(engine(batch) for batch in batches))
    logits = [[output["logits"].tolist() for output in result] for result in results]
    assert logits == [[[4, 0], [0, 4]], [[0, 4]], [[0, 0]]]
    assert (engine.state, engine.provider, engine.restarts) == ("up", "cpu", 0)


async def test_a_start_that_takes_long_is_told_to_the_log(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "_PATIENCE_S", 0.01)
    caplog.set_level(logging.INFO, "nagayomi.engine")
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    await engine.close()
    assert re.fullmatch(r"the engine of hand-classify is being loaded: \d+ s so far", caplog.messages[0])


async def test_outputs_of_tokens_are_cut_to_each_document(handmade_models: Path) -> None:
    engine = engine_of(handmade_models / "hand-qa")
    await engine.start()
    first, second = await engine([document(0, 3, 1), document(*[0] * 20, 4)])
    assert first["start_logits"].tolist() == [0, 10, 0]
    assert (second["start_logits"].shape, second["end_logits"][20]) == ((21,), 10)
    await engine.close()


async def test_a_batch_that_cannot_be_packed_fails_and_the_engine_goes_on(engine: Engine) -> None:
    crooked = Document(np.zeros(3, dtype=np.int32), np.zeros(5, dtype=np.int32))
    failing, fine = await asyncio.gather(engine([crooked]), engine([document(0, 5)]), return_exceptions=True)
    assert isinstance(failing, BatchFailed)
    assert isinstance(fine, list)
    assert engine.restarts == 0


async def test_an_allocation_that_fails_loses_its_batch_and_no_more(handmade_models: Path) -> None:
    """A batch needs more memory than the limit allows, as in a full container."""
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    assert engine.pid is not None
    before = resource.prlimit(engine.pid, resource.RLIMIT_AS)
    used = int(Path(f"/proc/{engine.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(engine.pid, resource.RLIMIT_AS, (used + 2**20, before[1]))
    large = document(*[0] * 3_000_000)
    with pytest.raises(BatchFailed, match="Error"):
        await engine([large])
    resource.prlimit(engine.pid, resource.RLIMIT_AS, before)
    assert (await engine([document(0, 5)]))[0]["logits"].tolist() == [4, 0]
    await engine.close()


async def test_a_killed_process_fails_its_batches_and_is_started_again(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    pid = stop(engine)
    running = [asyncio.create_task(engine([document(0, 5)])) for _ in range(2)]
    await asyncio.sleep(0)
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        os.kill(pid, signal.SIGKILL)
        for batch in running:
            with pytest.raises(EngineFailed, match="stopped while it held"):
                await batch
        assert engine.state == "restarting"
        # What comes meanwhile waits for the new process.
        assert (await engine([document(0, 6)]))[0]["logits"].tolist() == [0, 4]
    assert (engine.state, engine.restarts) == ("up", 1)
    assert engine.pid != pid


async def test_a_process_that_does_not_finish_is_killed(
    handmade_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_of(handmade_models / "hand-classify", batch_timeout_s=0.2)
    await engine.start()
    stop(engine)
    with caplog.at_level(logging.ERROR, "nagayomi"):
        with pytest.raises(EngineFailed):
            await engine([document(0, 5)])
        assert "has not finished a batch in 0.2 s" in caplog.text
        await until(engine, "up")
    assert engine.restarts == 1
    await engine.close()


async def test_an_engine_that_cannot_be_started_again_refuses_until_it_can(
    handmade_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(engine_module, "_LONGEST_PAUSE_S", 0.01)
    engine = engine_of(handmade_store / "hand-classify")
    await engine.start()
    graph = handmade_store / "hand-classify" / "model.onnx"
    graph.rename(graph.with_suffix(".away"))
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        os.kill(stop(engine), signal.SIGKILL)
        await until(engine, "down")
        with pytest.raises(EngineFailed, match=r"is not running: .*model\.onnx"):
            await engine([document(0, 5)])
        graph.with_suffix(".away").rename(graph)
        await until(engine, "up")
    assert (await engine([document(0, 5)]))[0]["logits"].tolist() == [4, 0]
    await engine.close()


async def test_another_model_in_its_folder_is_not_started_in_its_place(
    handmade_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its graph would run, and give answers that the tokenizer and the labels of the first one do not fit."""
    monkeypatch.setattr(engine_module, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(engine_module, "_LONGEST_PAUSE_S", 0.01)
    graph = handmade_store / "hand-classify" / "model.onnx"
    its_own = graph.read_bytes()
    engine = engine_of(graph.parent)
    await engine.start()
    onnx.save(with_labels_exchanged(onnx.load(graph)), graph)
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        os.kill(stop(engine), signal.SIGKILL)
        await until(engine, "down")
        with pytest.raises(EngineFailed, match=r"is not running: .*model\.onnx is not the file the manifest"):
            await engine([document(0, 5)])
        graph.write_bytes(its_own)
        await until(engine, "up")
    assert (await engine([document(0, 5)]))[0]["logits"].tolist() == [4, 0]
    await engine.close()


def with_labels_exchanged(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph of hand-classify for the labels "down" and "up"."""
    (labels,) = (tensor for tensor in model.graph.initializer if tensor.name == "labels")
    labels.CopyFrom(numpy_helper.from_array(np.flip(numpy_helper.to_array(labels)).copy(), "labels"))
    return model


async def test_closing_while_it_cannot_be_started(handmade_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = engine_of(handmade_store / "hand-classify")
    await engine.start()
    (handmade_store / "hand-classify" / "model.onnx").unlink()
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        os.kill(stop(engine), signal.SIGKILL)
        await until(engine, "down")
    await engine.close()
    assert engine.state == "closed"


async def test_closing_waits_for_the_batches_in_it(handmade_models: Path) -> None:
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    pid = stop(engine)
    batch = asyncio.create_task(engine([document(0, 5)]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(engine.close())
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGCONT)
    assert (await batch)[0]["logits"].tolist() == [4, 0]
    await closing


async def test_closing_at_once_does_not(handmade_models: Path) -> None:
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    stop(engine)
    batch = asyncio.create_task(engine([document(0, 5)]))
    await asyncio.sleep(0)
    await engine.close(at_once=True)
    with pytest.raises(EngineFailed):
        await batch


async def test_closing_while_a_lost_process_ends_fails_its_batches(handmade_models: Path) -> None:
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    pid = stop(engine)
    batch = asyncio.create_task(engine([document(0, 5)]))
    await asyncio.sleep(0)
    os.kill(pid, signal.SIGKILL)
    while engine.pid is not None:  # its end is not yet known, only that it sends no more
        await asyncio.sleep(0)
    await engine.close(at_once=True)
    async with asyncio.timeout(10):
        with pytest.raises(EngineFailed, match="stopped while it held"):
            await batch


async def test_closing_ends_a_process_that_hangs(handmade_models: Path) -> None:
    engine = engine_of(handmade_models / "hand-classify")
    await engine.start()
    stop(engine)
    await engine.close()
    assert engine.pid is None


async def test_a_model_that_cannot_be_loaded_says_why(handmade_store: Path) -> None:
    directory = handmade_store / "hand-qa"
    (directory / "model.onnx").write_bytes(b"no graph")
    engine = engine_of(directory)
    with pytest.raises(BrokenModel, match="ONNX Runtime cannot load"):
        await engine.start()


def test_a_provider_is_tried_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    check_provider("cpu")
    with pytest.raises(ProviderUnavailable, match="the installed ONNX Runtime offers only"):
        check_provider("cuda")


def test_a_provider_whose_libraries_crash_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_COMMAND", (sys.executable, "-c", "import os; os.abort()"))
    with pytest.raises(ProviderUnavailable) as error:
        check_provider("openvino")
    assert str(error.value) == (
        "The provider 'openvino' cannot be used here: the process that tried it ended with code -6. Its own message "
        "above says more."
    )


def test_the_service_loads_no_onnxruntime() -> None:
    code = "import sys, app.main; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3]).returncode == 0


def test_a_refusal_arrives_as_it_was_sent() -> None:
    arrived = read(io.BytesIO(encode(Refused(BrokenModel("no")))))
    assert (type(arrived), type(arrived.error), str(arrived.error)) == (Refused, BrokenModel, "no")

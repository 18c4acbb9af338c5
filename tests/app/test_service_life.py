"""The life of the service on handmade models: loading, deadlines, lost engines, draining, threads, and metrics."""

import asyncio
import logging
import os
import shutil
import signal
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from app.errors import (
    BrokenModel,
    DeadlineExceeded,
    EngineFailed,
    ModelNotFound,
    Unavailable,
)
from app.packing import Document
from app.schemas import ClassifyRequest, LabelResult, QaRequest
from app.service import Caller, Service, _is_short
from app.settings import Settings
from app.tasks.classify import CLASSIFY, PreparedLabels
from app.tasks.qa import QA
from app.types import Outputs


@pytest.fixture
async def service(handmade_models: Path) -> AsyncIterator[Service]:
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1)) as opened:
        yield opened


async def test_a_broken_model_stops_no_other(handmade_store: Path) -> None:
    with (handmade_store / "hand-qa" / "model.onnx").open("ab") as file:
        file.write(b"x")
    shutil.rmtree(handmade_store / "hand-summarize")
    async with Service.open(Settings(model_store=handmade_store, intra_op_threads=1)) as service:
        assert service.state == "ready"
        assert [broken.name for broken in service.store.broken] == ["hand-qa"]
        assert "SHA-256" in service.store.broken[0].reason
        assert (await service.answer(CLASSIFY, ClassifyRequest(text="下"))).labels[0].label == "down"
        with pytest.raises(ModelNotFound, match="No model for qa is served"):
            await service.answer(QA, QaRequest(question="何", context="文"))
        with pytest.raises(BrokenModel, match="SHA-256"):
            await service.answer(QA, QaRequest(question="何", context="文", model="hand-qa"))


async def test_no_model_at_all(tmp_path: Path, handmade_models: Path) -> None:
    with pytest.raises(BrokenModel, match=r"The folder holds no model\.$"):
        async with Service.open(Settings(model_store=tmp_path)):
            pass
    reason = r"The folder holds no model for rerank, only hand-classify \(classify\), .*export --task rerank`"
    with pytest.raises(BrokenModel, match=reason):
        async with Service.open(Settings(model_store=handmade_models), ["rerank"]):
            pass
    with pytest.raises(BrokenModel, match=r"is not a directory; --model-store \(NAGAYOMI_MODEL_STORE\)"):
        async with Service.open(Settings(model_store=tmp_path / "missing")):
            pass


async def test_only_the_requested_models_are_loaded(handmade_models: Path) -> None:
    async with Service.open(Settings(model_store=handmade_models), ["qa"]) as service:
        assert list(service.store.models) == ["hand-qa"]
    async with Service.open(Settings(model_store=handmade_models, models=("hand-qa", "x"))) as service:
        assert list(service.store.models) == ["hand-qa"]
        assert [broken.name for broken in service.store.broken] == ["x"]


async def test_before_loading_and_after_closing(handmade_models: Path) -> None:
    service = Service(Settings(model_store=handmade_models))
    with pytest.raises(Unavailable, match="still being loaded"):
        await service.answer(CLASSIFY, ClassifyRequest(text="上"))
    await service.load()
    await service.close()
    with pytest.raises(Unavailable, match="shutting down"):
        await service.answer(CLASSIFY, ClassifyRequest(text="上"))


@contextmanager
def stopped(service: Service, name: str) -> Iterator[int]:
    """The engine of a model held where it is, so that nothing it is given ends."""
    pid = service.store.models[name].engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def test_long_work_raises_its_own_deadline(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.service._TOKENS_OF_A_TIMEOUT", 256)
    settings = Settings(
        model_store=handmade_models, intra_op_threads=1, request_timeout_s=0.25, max_request_timeout_s=0.8
    )
    async with Service.open(settings, tasks=["classify"]) as service:
        with stopped(service, "hand-classify"):
            for characters, seconds in ((10, "0.25"), (250, "0.5"), (2_000, "0.8")):
                with pytest.raises(DeadlineExceeded, match=f"within {seconds} seconds"):
                    await service.answer(CLASSIFY, ClassifyRequest(text="上" * characters))
            with pytest.raises(DeadlineExceeded, match=r"within 0\.1 seconds"):
                await service.answer(CLASSIFY, ClassifyRequest(text="上" * 2_000), Caller(timeout_s=0.1))


async def test_deadline(service: Service) -> None:
    with stopped(service, "hand-classify"):
        for _ in range(2):
            with pytest.raises(DeadlineExceeded, match=r"within 0\.05 seconds"):
                await service.answer(CLASSIFY, ClassifyRequest(text="上"), Caller(timeout_s=0.05))
        assert service._batchers["hand-classify"].queued_tokens == 0, "what waited is dropped"
    assert (await service.answer(CLASSIFY, ClassifyRequest(text="上"))).labels[0].label == "up"


async def test_readiness_says_why_an_engine_cannot_be_started_again(
    handmade_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(model_store=handmade_store, models=("hand-classify",), intra_op_threads=1)
    graph = handmade_store / "hand-classify" / "model.onnx"
    with caplog.at_level(logging.CRITICAL, "nagayomi"):
        async with Service.open(settings) as service:
            engine = service.store.models["hand-classify"].engine
            assert engine.pid is not None
            graph.write_bytes(b"another model")
            os.kill(engine.pid, signal.SIGKILL)
            async with asyncio.timeout(60):
                while engine.state != "down":
                    await asyncio.sleep(0.01)
            why = f"{graph} is not the file the manifest was written for: its SHA-256 differs."
            assert (service.state, service.why_not_ready()) == (
                "recovering",
                f"The engine of hand-classify stopped and cannot be started again: {why} The model changed while the "
                "service ran; only a restart loads it.",
            )


async def test_an_engine_that_is_killed(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    """The service is not ready, running requests get 503, waiting and new ones are answered, and it is ready again."""
    with caplog.at_level(logging.CRITICAL, "nagayomi"), stopped(service, "hand-classify") as pid:
        lost = asyncio.create_task(service.answer(CLASSIFY, ClassifyRequest(text="上")))
        batcher = service._batchers["hand-classify"]
        while batcher.outstanding_tokens == batcher.queued_tokens:  # until the engine has the batch
            assert not lost.done(), lost
            await asyncio.sleep(0.01)
        waiting = asyncio.create_task(service.answer(CLASSIFY, ClassifyRequest(text="下")))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(EngineFailed, match=r"engine stopped while it held this request\. Other requests continue"):
            await lost
        assert str(service.state) == "recovering"
        assert service.why_not_ready() == "The engine of hand-classify stopped and is being started again."
        assert (await service.answer(QA, QaRequest(question="何", context="《文》"))).results[0].answers[
            0
        ].text == "《文》"
        new = asyncio.create_task(service.answer(CLASSIFY, ClassifyRequest(text="下")))
        for answer in (waiting, new):
            assert (await answer).labels[0].label == "down"
    assert service.state == "ready"
    assert 'nagayomi_engine_restarts_total{model="hand-classify"} 1.0' in service.telemetry.exposition().decode()


async def test_draining_answers_running_requests_and_refuses_new_ones(service: Service) -> None:
    with stopped(service, "hand-classify"):
        here = asyncio.create_task(service.answer(CLASSIFY, ClassifyRequest(text="上")))
        await asyncio.sleep(0)
        draining = asyncio.create_task(service.drain())
        await asyncio.sleep(0)
        assert (service.state, service.why_not_ready()) == ("draining", "The service is shutting down.")
        with pytest.raises(Unavailable, match="shutting down"):
            await service.answer(CLASSIFY, ClassifyRequest(text="上"))
        assert not draining.done()
    assert (await here).labels[0].label == "up"
    await draining


async def test_draining_ends_in_time(handmade_models: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(model_store=handmade_models, intra_op_threads=1, drain_timeout_s=0.1)
    async with Service.open(settings, ["classify"]) as service:
        pid = service.store.models["hand-classify"].engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        here = [asyncio.create_task(service.answer(CLASSIFY, ClassifyRequest(text="上"))) for _ in range(3)]
        await asyncio.sleep(0)
        with caplog.at_level(logging.ERROR, "nagayomi"):
            await service.drain()
        assert "3 requests are not answered after the drain timeout" in caplog.text
        for request in here:
            with pytest.raises((EngineFailed, Unavailable)):
                await request


@pytest.mark.parametrize(
    ("characters", "tokens", "is_short"),
    [
        (500, [500], True),
        (501, [3], False),  # what nobody sees is no token
        (200, [3_603], False),  # ﷺ, eighteen characters once normalised
        (200, [100, 100], False),
    ],
)
def test_short_is_one_window_of_few_characters_and_few_tokens(
    characters: int, tokens: list[int], is_short: bool
) -> None:
    windows = [Document(np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.int32)) for count in tokens]
    assert _is_short(characters, windows) == is_short


async def test_a_short_text_alone_is_decoded_without_a_thread(
    handmade_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long text, or any text next to another request, is decoded in a thread, so that no other request waits."""
    where: list[str] = []
    go_on = threading.Event()

    def decode(self: PreparedLabels, outputs: Sequence[Outputs]) -> list[LabelResult]:
        thread = threading.current_thread().name
        where.append(thread)
        if self.documents[0].input_ids.size > 100:
            assert thread.startswith("text")
            go_on.wait()
        return decoded(self, outputs)

    decoded = PreparedLabels.decode
    monkeypatch.setattr(PreparedLabels, "decode", decode)
    short, long = ClassifyRequest(text="上の文"), ClassifyRequest(text="上の文" * 200)
    async with Service.open(Settings(model_store=handmade_models, intra_op_threads=1, text_threads=2)) as service:
        await service.answer(CLASSIFY, short)
        assert where == ["MainThread"]
        other = asyncio.create_task(service.answer(CLASSIFY, long))
        while len(where) < 2:
            await asyncio.sleep(0.01)
        await service.answer(CLASSIFY, short)
        assert [name.split("_")[0] for name in where] == ["MainThread", "text", "text"]
        go_on.set()
        await other


async def test_metrics_of_a_request(service: Service) -> None:
    response = await service.answer(CLASSIFY, ClassifyRequest(text="上の文"))
    await asyncio.sleep(0)  # a batch is reported after its members woke
    exposition = service.telemetry.exposition().decode()
    assert f'nagayomi_tokens_total{{task="classify"}} {float(response.usage.tokens)}' in exposition
    assert 'nagayomi_batches_total{model="hand-classify",outcome="ok"} 1.0' in exposition
    assert 'nagayomi_padding_tokens_total{model="hand-classify"} 11.0' in exposition  # 5 tokens in a block of 16
    assert 'nagayomi_queue_tokens{model="hand-classify"} 0.0' in exposition

"""Checks that need a GPU; they are skipped with the reason if a provider cannot run. `make test-gpu` runs this file.

Every test opens sessions as an engine process does, on the shipped models, with model.onnx on the CPU as reference.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from app.engine.process import Engine, check_provider
from app.errors import ProviderUnavailable
from app.manifest import Manifest
from app.packing import Document, packed_length
from app.settings import Settings
from app.types import Provider
from app.worker.session import Session
from app.worker.warmup import warm

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]

STORE = Path(__file__).parents[2] / "model_store"
MODELS = sorted(path.parent.name for path in STORE.glob("*/manifest.json"))
BUDGET = 16_384
TOLERANCE = 2e-2

Open = Callable[[str, Provider], Session]


@pytest.fixture(scope="session", params=["cuda", "tensorrt"])
def provider(request: pytest.FixtureRequest) -> Provider:
    chosen: Provider = request.param
    try:
        check_provider(chosen)
    except ProviderUnavailable as error:
        pytest.skip(str(error))
    return chosen


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(engine_cache=tmp_path_factory.mktemp("engines"), max_batch_tokens=BUDGET)


@pytest.fixture(scope="session")
def opened(settings: Settings) -> Iterator[Open]:
    """Sessions that are warm, one for each model and provider."""
    sessions: dict[tuple[str, Provider], Session] = {}

    def session(model: str, provider: Provider) -> Session:
        if (model, provider) not in sessions:
            manifest = Manifest.read(STORE / model)
            new = Session(STORE / model, manifest, settings.model_copy(update={"provider": provider}))
            if provider != "cpu":
                warm(new, manifest, BUDGET)
            sessions[model, provider] = new
        return sessions[model, provider]

    yield session
    sessions.clear()


def documents(lengths: list[int], seed: int) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [
        Document(rng.integers(5, 16_000, length).astype(np.int32), np.zeros(length, np.int32), min(12, length))
        for length in lengths
    ]


def mixes(count: int) -> list[list[int]]:
    """Lengths of random batches within the budget."""
    rng = np.random.default_rng(7)
    found = []
    for _ in range(count):
        drawn = rng.choice([64, 200, 512, 704, 705, 1500, 4096], size=int(rng.integers(1, 40))).tolist()
        fitting = np.cumsum([packed_length(length, 64) for length in drawn]) <= BUDGET
        found.append([length for length, fits in zip(drawn, fitting, strict=True) if fits])
    return found


def probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    shifted = np.exp(logits.reshape(-1) - logits.max())
    return np.asarray(shifted / shifted.sum())


def device_megabytes() -> int:
    out = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, check=True
    )
    return int(out.stdout.split()[0])


@pytest.mark.parametrize("model", MODELS)
def test_probabilities_are_those_of_the_cpu(opened: Open, provider: Provider, model: str) -> None:
    gpu, cpu = opened(model, provider), opened(model, "cpu")
    for seed, lengths in enumerate([[1], [64], [4096], [705, 64, 65, 1500], [300] * 12]):
        batch = documents(lengths, seed)
        for ours, theirs in zip(gpu.run(gpu.pack(batch)), cpu.run(cpu.pack(batch)), strict=True):
            for name in theirs:
                assert np.abs(probabilities(ours[name]) - probabilities(theirs[name])).max() <= TOLERANCE


def test_a_document_does_not_depend_on_its_batch(opened: Open, provider: Provider) -> None:
    session = opened("nagayomi-small-ja-qa", provider)
    (document,) = documents([1500], 3)
    (alone,) = session.run(session.pack([document]))
    together = session.run(session.pack([document, *documents([4096, 64, 700], 4)]))[0]
    for name in alone:
        assert np.abs(probabilities(alone[name]) - probabilities(together[name])).max() <= TOLERANCE


def test_throughput_is_above_the_cpus(opened: Open, provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {}
    for where in (provider, "cpu"):
        session = opened("nagayomi-small-ja-qa", where)
        batch = session.pack(documents([1024] * (BUDGET // 1024), 5))
        session.run(batch)
        runs = 20 if where == provider else 2
        begun = time.perf_counter()
        for _ in range(runs):
            session.run(batch)
        figures[where] = round(runs * batch.tokens / (time.perf_counter() - begun))
    with capsys.disabled():
        print("\n" + json.dumps({"tokens_per_s": figures, "batch_tokens": BUDGET}))
    assert figures[provider] > figures["cpu"]


def test_memory_and_engines_stay_as_they_were_when_warm(
    opened: Open, provider: Provider, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """In any mix of requests, no engine is built again, and the device needs no more than 5 % above warm."""
    session = opened("nagayomi-small-ja-qa", provider)
    engines = {path: path.stat().st_mtime_ns for path in settings.engine_cache.rglob("*.engine")}
    warm_megabytes = device_megabytes()
    for seed, lengths in enumerate(mixes(60)):
        session.run(session.pack(documents(lengths, seed)))
    megabytes = device_megabytes()
    with capsys.disabled():
        print("\n" + json.dumps({"provider": provider, "warm_megabytes": warm_megabytes, "megabytes": megabytes}))
    assert {path: path.stat().st_mtime_ns for path in settings.engine_cache.rglob("*.engine")} == engines
    assert megabytes <= 1.05 * warm_megabytes


async def test_the_second_start_finds_the_engine_of_the_first(provider: Provider, tmp_path: Path) -> None:
    if provider != "tensorrt":
        pytest.skip("Only TensorRT keeps engines.")
    directory = STORE / "nagayomi-small-ja-classify"
    manifest = Manifest.read(directory)
    settings = Settings(provider=provider, engine_cache=tmp_path, max_batch_tokens=4096)
    seen = []
    for _ in range(2):
        engine = Engine(directory, manifest, settings)
        await engine.start()
        (first, *_) = await engine(documents([64], 1))
        assert first["logits"].shape == (len(manifest.labels),)
        await engine.close()
        seen.append({path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")})
    assert seen[0]
    assert seen[0] == seen[1]

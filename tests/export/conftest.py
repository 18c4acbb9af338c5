"""The few directories exported from tiny checkpoints that many tests read.

Tracing a graph is what takes the time here, so every export is made once for the whole session.
"""

from pathlib import Path
from typing import Any

import pytest

from app.types import Task
from export.model import BigBird
from export.to_onnx import ExportOptions, export
from tests.export.tiny import TEXT_SETTINGS, save_tiny_checkpoint, tiny_model


@pytest.fixture(scope="session")
def qa_model() -> BigBird:
    return tiny_model("qa")


@pytest.fixture(scope="session")
def qa_checkpoint(tmp_path_factory: pytest.TempPathFactory, qa_model: BigBird) -> Path:
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "qa", qa_model, TEXT_SETTINGS)


@pytest.fixture(scope="session")
def classify_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_model("classify")
    return save_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "classify", model, TEXT_SETTINGS)


@pytest.fixture(scope="session")
def packed_qa(tmp_path_factory: pytest.TempPathFactory, qa_checkpoint: Path) -> Path:
    return _exported(tmp_path_factory, qa_checkpoint, "qa", layout="packed")


@pytest.fixture(scope="session")
def packed_classify_fp16(tmp_path_factory: pytest.TempPathFactory, classify_checkpoint: Path) -> Path:
    return _exported(tmp_path_factory, classify_checkpoint, "classify", layout="packed", weights="fp16")


@pytest.fixture(scope="session")
def padded_qa(tmp_path_factory: pytest.TempPathFactory, qa_checkpoint: Path) -> Path:
    return _exported(tmp_path_factory, qa_checkpoint, "qa", layout="padded")


@pytest.fixture(scope="session")
def padded_classify(tmp_path_factory: pytest.TempPathFactory, classify_checkpoint: Path) -> Path:
    return _exported(tmp_path_factory, classify_checkpoint, "classify", layout="padded")


def _exported(factory: pytest.TempPathFactory, checkpoint: Path, task: Task, **options: Any) -> Path:
    out = factory.mktemp("exported") / "-".join((task, *options.values()))
    metadata = {"licence": "Apache-2.0", "source": "tiny"}
    export(str(checkpoint), out, ExportOptions(task=task, name=out.name, metadata=metadata, **options))
    return out

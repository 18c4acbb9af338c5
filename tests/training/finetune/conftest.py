"""A configuration of a run that takes a second, and one finished run that all tests share."""

import json
from pathlib import Path

import pytest

from tests.training.conftest import places_config
from tests.training.finetune.running import train


@pytest.fixture
def config_file(tmp_path: Path, character_tokenizer_file: Path) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    return file


@pytest.fixture(scope="session")
def whole_run(
    tmp_path_factory: pytest.TempPathFactory, character_tokenizer_file: Path, places_data: Path
) -> tuple[Path, list[float]]:
    """The folder and the losses of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    config = folder / "run.toml"
    config.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    train(config, places_data, folder / "run")
    return folder / "run", json.loads((folder / "run" / "losses.json").read_text())

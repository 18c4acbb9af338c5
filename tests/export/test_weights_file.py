"""Weights on their way to the disk."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from export.weights_file import NotWritten, write_weights


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_weights_are_those_of_torch_and_everybody_may_read_them(tmp_path: Path) -> None:
    write_weights({"a": torch.arange(6.0).reshape(2, 3).t()}, tmp_path)
    file = tmp_path / "model.safetensors"
    assert file.stat().st_mode & 0o777 == 0o644
    with safe_open(file, "pt") as weights:
        assert weights.metadata() == {"format": "pt"}
        assert weights.get_tensor("a").tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_full_disk_is_a_sentence(tmp_path: Path, full_disk: None) -> None:
    with pytest.raises(NotWritten) as caught:
        write_weights({"a": torch.zeros(9999)}, tmp_path)
    words = str(caught.value)
    assert words.startswith(f"{tmp_path / 'model.safetensors'} cannot be written; its disk has ")
    assert words.endswith(" MB left.")

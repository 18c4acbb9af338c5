from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.errors import InvalidInput
from training.average import main


def checkpoint(folder: Path, note: str, **weights: torch.Tensor) -> str:
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_text(note)
    return str(folder)


def test_the_mean_of_two_checkpoints(tmp_path: Path) -> None:
    first = checkpoint(tmp_path / "1", "first", w=torch.tensor([1.0, 2.0], dtype=torch.float16), b=torch.tensor([0.0]))
    second = checkpoint(tmp_path / "2", "second", w=torch.tensor([3.0, -2.0]), b=torch.tensor([1.0]))
    assert main([first, second, "--out", str(tmp_path / "mean")]) == 0
    mean = load_file(tmp_path / "mean" / "model.safetensors")
    assert {name: weight.tolist() for name, weight in mean.items()} == {"w": [2.0, 0.0], "b": [0.5]}
    assert (tmp_path / "mean" / "config.json").read_text() == (tmp_path / "mean" / "tokenizer.json").read_text()
    assert (tmp_path / "mean" / "config.json").read_text() == "second"


def test_a_model_that_is_stored_in_int8_is_averaged_by_its_values(tmp_path: Path) -> None:
    stored = {"w": torch.tensor([[127, -1]], dtype=torch.int8), "w.scale": torch.tensor([[2.0]])}
    first = checkpoint(tmp_path / "1", "", **stored)
    second = checkpoint(tmp_path / "2", "", w=torch.tensor([[0.0, 4.0]]))
    assert main([first, second, "--out", str(tmp_path / "mean")]) == 0
    assert load_file(tmp_path / "mean" / "model.safetensors")["w"].tolist() == [[127.0, 1.0]]


@pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"w": torch.zeros(2), "more": torch.zeros(1)}, {}])
def test_checkpoints_of_other_models(tmp_path: Path, other: dict[str, torch.Tensor]) -> None:
    first, second = checkpoint(tmp_path / "1", "", w=torch.zeros(2)), checkpoint(tmp_path / "2", "", **other)
    with pytest.raises(InvalidInput, match="are not of one model"):
        main([first, second, "--out", str(tmp_path / "mean")])
    assert not (tmp_path / "mean").exists()


def test_a_file_that_is_cut_off_is_said_in_words(tmp_path: Path) -> None:
    first, second = (checkpoint(tmp_path / name, "", w=torch.zeros(2)) for name in ("1", "2"))
    file = tmp_path / "2" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(InvalidInput, match=r"model\.safetensors cannot be read"):
        main([first, second, "--out", str(tmp_path / "mean")])

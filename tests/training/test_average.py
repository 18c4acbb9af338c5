import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.errors import InvalidInput
from tests.training.conftest import write_json
from training.average import main

NOTES: dict[str, Any] = {"task": "classify", "segmenter": "none", "normaliser": "nfkc"}
CONFIG: dict[str, Any] = {"id2label": {"0": "駅", "1": "寺"}, "nagayomi": NOTES}
TOKENIZER = {"model": {"type": "Unigram"}}


def checkpoint(folder: Path, **weights: torch.Tensor) -> str:
    folder.mkdir()
    save_file(weights, folder / "model.safetensors")
    write_json(folder / "config.json", CONFIG | {"name": folder.name})
    write_json(folder / "tokenizer.json", TOKENIZER)
    return str(folder)


def test_the_mean_of_two_checkpoints(tmp_path: Path) -> None:
    first = checkpoint(tmp_path / "1", w=torch.tensor([1.0, 2.0], dtype=torch.float16), b=torch.tensor([0.0]))
    second = checkpoint(tmp_path / "2", w=torch.tensor([3.0, -2.0]), b=torch.tensor([1.0]))
    assert main([first, second, "--out", str(tmp_path / "mean")]) == 0
    mean = load_file(tmp_path / "mean" / "model.safetensors")
    assert {name: weight.tolist() for name, weight in mean.items()} == {"w": [2.0, 0.0], "b": [0.5]}
    assert json.loads((tmp_path / "mean" / "config.json").read_text()) == CONFIG | {"name": "2"}
    assert json.loads((tmp_path / "mean" / "tokenizer.json").read_text()) == TOKENIZER


def test_a_model_that_is_stored_in_int8_is_averaged_by_its_values(tmp_path: Path) -> None:
    stored = {"w": torch.tensor([[127, -1]], dtype=torch.int8), "w.scale": torch.tensor([[2.0]])}
    first = checkpoint(tmp_path / "1", **stored)
    second = checkpoint(tmp_path / "2", w=torch.tensor([[0.0, 4.0]]))
    assert main([first, second, "--out", str(tmp_path / "mean")]) == 0
    assert load_file(tmp_path / "mean" / "model.safetensors")["w"].tolist() == [[127.0, 1.0]]


@pytest.mark.parametrize("out", ["1", "2", "2/../1"])
def test_a_mean_never_replaces_one_of_its_checkpoints(out: str, tmp_path: Path) -> None:
    folders = [checkpoint(tmp_path / name, w=torch.tensor([float(name)])) for name in ("1", "2")]
    with pytest.raises(InvalidInput, match="is one of the two checkpoints, and would replace it; use another folder"):
        main([*folders, "--out", str(tmp_path / out)])
    assert [load_file(Path(folder) / "model.safetensors")["w"].tolist() for folder in folders] == [[1.0], [2.0]]


@pytest.mark.parametrize("other", [{"w": torch.zeros(3)}, {"w": torch.zeros(2), "more": torch.zeros(1)}, {}])
def test_checkpoints_of_other_models(tmp_path: Path, other: dict[str, torch.Tensor]) -> None:
    first, second = checkpoint(tmp_path / "1", w=torch.zeros(2)), checkpoint(tmp_path / "2", **other)
    with pytest.raises(InvalidInput, match="are not of one model"):
        main([first, second, "--out", str(tmp_path / "mean")])
    assert not (tmp_path / "mean").exists()


@pytest.mark.parametrize(
    ("file", "content", "unlike"),
    [
        ("tokenizer.json", {"model": {"type": "WordPiece"}}, "tokenizer.json"),
        ("config.json", CONFIG | {"id2label": {"0": "寺", "1": "駅"}}, "id2label"),
        ("config.json", CONFIG | {"nagayomi": {"task": "classify"}}, "segmenter, normaliser"),
        ("config.json", {"id2label": CONFIG["id2label"]}, "task, segmenter, normaliser"),
        ("config.json", CONFIG | {"nagayomi": NOTES | {"sentence_weights": {"note": 1}}}, "sentence_weights"),
    ],
)
def test_weights_that_mean_different_things_have_no_mean(
    file: str, content: dict[str, Any], unlike: str, tmp_path: Path
) -> None:
    first, second = (checkpoint(tmp_path / name, w=torch.zeros(2)) for name in ("1", "2"))
    write_json(tmp_path / "2" / file, content)
    with pytest.raises(InvalidInput) as caught:
        main([first, second, "--out", str(tmp_path / "mean")])
    assert str(caught.value).startswith(f"{first} and {second} differ in {unlike}; only checkpoints of one run, ")
    assert not (tmp_path / "mean").exists()


def test_a_file_that_is_cut_off_is_said_in_words(tmp_path: Path) -> None:
    first, second = (checkpoint(tmp_path / name, w=torch.zeros(2)) for name in ("1", "2"))
    for file in ("model.safetensors", "config.json"):
        path = tmp_path / "2" / file
        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(InvalidInput, match=rf"{file} cannot be read"):
            main([first, second, "--out", str(tmp_path / "mean")])

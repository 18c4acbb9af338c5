import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from export.checkpoint import CheckpointError, locate, read_checkpoint, read_config
from export.model import BigBird
from export.weights import load_weights
from tests.export.tiny import save_tiny_checkpoint


@pytest.fixture
def checkpoint(tmp_path: Path, qa_model: BigBird) -> Path:
    return save_tiny_checkpoint(tmp_path / "checkpoint", qa_model)


def as_bin(checkpoint: Path, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Turn a safetensors checkpoint into a .bin one."""
    weights = {name: tensor.to(dtype) for name, tensor in load_file(checkpoint / "model.safetensors").items()}
    (checkpoint / "model.safetensors").unlink()
    torch.save(weights, checkpoint / "pytorch_model.bin")
    return weights


def shard(checkpoint: Path, index_name: str, save: Any, suffix: str) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    (checkpoint / "model.safetensors").unlink()
    names = sorted(weights)
    files = {f"part-1.{suffix}": names[::2], f"part-2.{suffix}": names[1::2]}
    for file, part in files.items():
        save({name: weights[name] for name in part}, checkpoint / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (checkpoint / index_name).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}), encoding="utf-8")


def assert_same_weights(checkpoint: Path, model: BigBird, atol: float = 0.0) -> None:
    config, weights = read_checkpoint(checkpoint)
    assert config.hidden_size == model.config.hidden_size
    loaded = BigBird(config, "qa")
    load_weights(loaded, weights)
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=atol, rtol=0)


def test_safetensors(checkpoint: Path, qa_model: BigBird) -> None:
    assert_same_weights(checkpoint, qa_model)


def test_layer_norms_of_tensorflow_get_the_names_of_today(checkpoint: Path, qa_model: BigBird) -> None:
    before = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(checkpoint / "model.safetensors").items()
    }
    assert any(name.endswith("gamma") for name in before)
    save_file(before, checkpoint / "model.safetensors")
    assert_same_weights(checkpoint, qa_model)


def test_an_encoder_alone_gets_the_prefix_of_one_with_a_head(checkpoint: Path) -> None:
    weights = load_file(checkpoint / "model.safetensors")
    encoder = {name: tensor for name, tensor in weights.items() if name.startswith("bert.")}
    save_file(
        {name.removeprefix("bert."): tensor for name, tensor in encoder.items()}, checkpoint / "model.safetensors"
    )
    _, read = read_checkpoint(checkpoint)
    assert read.keys() == encoder.keys()
    assert all(torch.equal(read[name], encoder[name]) for name in encoder)


def test_a_bigbird_with_full_attention_is_not_trained(checkpoint: Path) -> None:
    document = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(document | {"attention_type": "original_full"}))
    with pytest.raises(
        CheckpointError, match=r"^config\.json names the attention_type 'original_full', and only 'block"
    ):
        read_checkpoint(checkpoint)


def test_bin_is_loaded_weights_only(checkpoint: Path, qa_model: BigBird) -> None:
    as_bin(checkpoint)
    assert_same_weights(checkpoint, qa_model)


def test_bf16_bin(checkpoint: Path, qa_model: BigBird) -> None:
    as_bin(checkpoint, torch.bfloat16)
    assert_same_weights(checkpoint, qa_model, atol=2e-2)


@pytest.mark.parametrize(
    ("index", "save", "suffix"),
    [
        ("model.safetensors.index.json", save_file, "safetensors"),
        ("pytorch_model.bin.index.json", torch.save, "bin"),
    ],
)
def test_sharded_checkpoints(checkpoint: Path, qa_model: BigBird, index: str, save: Any, suffix: str) -> None:
    shard(checkpoint, index, save, suffix)
    assert_same_weights(checkpoint, qa_model)
    (checkpoint / f"part-2.{suffix}").unlink()
    with pytest.raises(CheckpointError, match=rf"names part-2\.{suffix}, which is missing"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("entry", ["../model.safetensors", "/etc/passwd", 7])
def test_an_index_may_not_point_outside_the_directory(checkpoint: Path, entry: object) -> None:
    index = {"weight_map": {"weight": entry}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(CheckpointError, match="outside its directory"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": 3}'])
def test_a_broken_index_is_named(checkpoint: Path, text: str) -> None:
    (checkpoint / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json is not the index"):
        read_checkpoint(checkpoint)


class RunsCode:
    """The content of a hostile checkpoint: unpickling it makes a directory."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_pickle_that_would_run_code_is_refused(checkpoint: Path, tmp_path: Path, writer: str) -> None:
    marker = tmp_path / "code has run"
    weights = as_bin(checkpoint)
    hostile = {**weights, "extra": RunsCode(marker)}
    if writer == "torch":
        torch.save(hostile, checkpoint / "pytorch_model.bin")
    else:
        (checkpoint / "pytorch_model.bin").write_bytes(pickle.dumps({"extra": RunsCode(marker)}, protocol=2))
    with pytest.raises(CheckpointError, match="could run code"):
        read_checkpoint(checkpoint)
    assert not marker.exists()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_broken_weights_file_is_named(checkpoint: Path, name: str) -> None:
    content = (checkpoint / "model.safetensors").read_bytes()
    if name == "pytorch_model.bin":
        as_bin(checkpoint)
        content = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=name.replace(".", r"\.")):
        read_checkpoint(checkpoint)


def test_a_bin_without_names_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    torch.save([torch.zeros(2)], checkpoint / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds a list, not named tensors"):
        read_checkpoint(checkpoint)


def test_no_weights(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        read_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, r"cannot be read: No such file or directory\."),
        ("", "cannot be read as JSON: Expecting value"),
        ("not json", "cannot be read as JSON: Expecting value"),
        ("[" * 100_000, "cannot be read as JSON: maximum recursion depth exceeded"),
    ],
)
def test_no_configuration(checkpoint: Path, text: str | None, words: str) -> None:
    (checkpoint / "config.json").unlink()
    if text is not None:
        (checkpoint / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=rf"config\.json {words}"):
        read_config(checkpoint)


@pytest.mark.parametrize(("document", "kind"), [({"model_type": "bert"}, "'bert'"), ({}, "None")])
def test_training_takes_a_bigbird_only(checkpoint: Path, document: Any, kind: str) -> None:
    (checkpoint / "config.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(CheckpointError, match=rf"holds a {kind} model, and only a big_bird can be trained"):
        read_checkpoint(checkpoint)


def test_a_configuration_is_an_object(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CheckpointError, match="does not hold a JSON object"):
        read_config(checkpoint)


def test_a_directory_is_itself(checkpoint: Path) -> None:
    assert locate(str(checkpoint)) == checkpoint


def test_a_checkpoint_that_is_neither_a_directory_nor_a_hub_id_is_named() -> None:
    with pytest.raises(CheckpointError, match="'no/such/model/anywhere' is neither"):
        locate("no/such/model/anywhere")

"""Layers that a run takes from its checkpoint (`lowest_layers`), and those that keep its weights (`frozen_layers`)."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import squad, write_json
from training.config import ConfigError
from training.finetune import command

SHAPE = "layers = 2\nhidden = 16\nheads = 2\nintermediate = 32\nmax_positions = 64\nbatch_tokens = 64\n"
DATA = {"京都": [("駅は川。", [("駅はどこにあるか。", "川")]), ("寺は山。", [("寺はどこにあるか。", "山")])]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frozen")
    write_json(folder / "data" / "train.json", squad(DATA))
    return folder


def _train(folder: Path, tokenizer: Path, out: str, text: str) -> Path:
    config = folder / f"{out}.toml"
    sets = '\n[[sets]]\nreader = "squad"\ndata = "train.json"\nmax_tokens = 32\n'
    keys = f'task = "qa"\nsegmenter = "none"\nnormaliser = "none"\ntokenizer = "{tokenizer}"\nepochs = 2.0\n'
    config.write_text(keys + SHAPE + text + sets, encoding="utf-8")
    arguments = argparse.Namespace(config=config, data=folder / "data", out=folder / out, set=[])
    assert command.run(arguments) == 0
    return folder / out


@pytest.fixture(scope="module")
def checkpoint(folder: Path, character_tokenizer_file: Path) -> Path:
    return _train(folder, character_tokenizer_file, "start", "")


def test_the_lowest_layers_and_the_embeddings_stay_as_they_are(
    folder: Path, checkpoint: Path, character_tokenizer_file: Path
) -> None:
    out = _train(folder, character_tokenizer_file, "frozen", f'checkpoint = "{checkpoint}"\nfrozen_layers = 1\n')
    before, after = (load_file(where / "model.safetensors") for where in (checkpoint, out))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    kept = ("bert.embeddings.", "bert.encoder.layer.0.")
    assert changed == {name for name in before if not name.startswith(kept)}


def test_a_run_takes_only_the_lowest_layers(folder: Path, checkpoint: Path, character_tokenizer_file: Path) -> None:
    keys = f'checkpoint = "{checkpoint}"\nlowest_layers = 1\nfrozen_layers = 1\n'
    out = _train(folder, character_tokenizer_file, "lowest", keys)
    before, after = (load_file(where / "model.safetensors") for where in (checkpoint, out))
    assert set(after) == {name for name in before if not name.startswith("bert.encoder.layer.1.")}
    kept = "bert.encoder.layer.0."
    assert all(torch.equal(before[name], after[name]) for name in after if name.startswith(kept))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frozen_layers = 1\n", "frozen_layers keeps layers of a checkpoint; this run has no checkpoint."),
        ('checkpoint = "{}"\nfrozen_layers = 3\n', "frozen_layers is 3; the model has 2 layers."),
        ("lowest_layers = 1\n", "lowest_layers takes layers of a checkpoint; this run has no checkpoint."),
        ('checkpoint = "{}"\nlowest_layers = 3\n', "lowest_layers is 3; the checkpoint has 2 layers."),
    ],
)
def test_layers_that_do_not_exist_are_refused(
    folder: Path, checkpoint: Path, character_tokenizer_file: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as failure:
        _train(folder, character_tokenizer_file, f"wrong-{len(text)}", text.format(checkpoint))
    assert str(failure.value) == message


def test_only_classifiers_have_a_pooling_layer(folder: Path, checkpoint: Path, character_tokenizer_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"pooling_layer is for the task classify, whose head reads \[CLS\]"):
        _train(folder, character_tokenizer_file, "pooling", f'checkpoint = "{checkpoint}"\npooling_layer = true\n')

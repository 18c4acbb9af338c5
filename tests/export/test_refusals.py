"""`nagayomi export` on checkpoints that it cannot use: one line, exit code 2, and no files left behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import models
from transformers import BigBirdConfig

from app.cli import main
from export import to_onnx
from export.folder import written_whole
from export.model import BigBird
from tests.export.tiny import TEXT_SETTINGS, save_tiny_checkpoint, tiny_model

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

Change = Callable[[Path], object]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save_tiny_checkpoint(tmp_path / "checkpoint", tiny_model("qa"), TEXT_SETTINGS)


def _export(checkpoint: Path | str, out: Path, *more: str) -> int:
    return main(["export", "--checkpoint", str(checkpoint), "--task", "qa", "--out", str(out), *more])


def _config(**changes: Any) -> Change:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")

    return change


def _bytes(name: str, data: bytes) -> Change:
    return lambda folder: (folder / name).write_bytes(data)


def _cut(name: str) -> Change:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def _weight(change: Callable[[dict[str, torch.Tensor]], Any]) -> Change:
    def apply(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors")

    return apply


def _pieces(vocabulary: list[str]) -> Change:
    numbered = {piece: number for number, piece in enumerate(vocabulary)}
    tokenizer = tokenizers.Tokenizer(models.WordLevel(numbered, unk_token="[UNK]"))
    return lambda folder: tokenizer.save(str(folder / "tokenizer.json"))


_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
_WORDS = "bert.embeddings.LayerNorm.bias"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_config(model_type="longformer"), "'longformer'"),
        (_config(model_type="gpt2"), "'gpt2'"),
        (_config(nagayomi={}), "Give --special-tokens"),
        (_config(hidden_size=63), "and its config.json says"),
        (_config(num_attention_heads=0), "config.json is not one of a big_bird"),
        (_config(hidden_size="wide"), "config.json is not one of a big_bird"),
        (_config(vocab_size=500), "has the shape (1000, 64), and its config.json says (500, 64)"),
        (_bytes("config.json", b"{"), "config.json cannot be read as JSON: Expecting property name"),
        (_bytes("config.json", POINTER), "config.json is a pointer of Git LFS"),
        (lambda folder: (folder / "config.json").unlink(), "config.json cannot be read: No such file or directory."),
        (_bytes("model.safetensors", POINTER), "model.safetensors is a pointer of Git LFS"),
        (_cut("model.safetensors"), "model.safetensors cannot be read"),
        (_bytes("model.safetensors", b""), "model.safetensors cannot be read"),
        (lambda folder: (folder / "model.safetensors").unlink(), "neither model.safetensors nor pytorch_model.bin"),
        (_weight(lambda weights: weights.pop(_WORDS)), "lacks 1 weights"),
        (_weight(lambda weights: weights[_WORDS].fill_(float("nan"))), f"{_WORDS} of the checkpoint holds NaN"),
        (_weight(lambda weights: weights[_WORDS].fill_(float("inf"))), f"{_WORDS} of the checkpoint holds NaN"),
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "has no tokenizer: neither tokenizer.json nor one of spm.model",
        ),
        (_bytes("tokenizer.json", POINTER), "tokenizer.json is a pointer of Git LFS"),
        (_cut("tokenizer.json"), "tokenizer.json cannot be read"),
        (_pieces([*_SPECIAL, *map(str, range(1600))]), "has 1,604 pieces, and the checkpoint embeddings for 1,000"),
        (_pieces(["[PAD]", "[UNK]", "[SEP]"]), "special tokens [CLS]"),
    ],
)
def test_a_wrong_checkpoint_gets_one_line_and_nothing_is_written(
    checkpoint: Path, change: Change, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(checkpoint)
    before = sorted(checkpoint.parent.iterdir())
    assert _export(checkpoint, checkpoint.parent / "out") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nagayomi: ")
    assert err.count("\n") == 1
    assert words in err
    assert sorted(checkpoint.parent.iterdir()) == before


def _classifier(folder: Path, labels: int, problem_type: str | None) -> Path:
    document = tiny_model("classify").config.to_dict()
    names = {number: f"LABEL_{number}" for number in range(labels)}
    own = {"id2label": names, "label2id": {name: number for number, name in names.items()}}
    config = BigBirdConfig(**{**document, **own, "problem_type": problem_type})
    return save_tiny_checkpoint(folder, BigBird(config, "classify"), TEXT_SETTINGS)


@pytest.mark.parametrize(
    ("labels", "problem_type", "words"),
    [
        (3, "multi_label_classification", "names the problem_type 'multi_label_classification', and a classifier"),
        (2, "regression", "names the problem_type 'regression', and a classifier"),
        (1, "regression", "has one label, and a classifier needs at least two"),
        (1, None, "has one label, and a classifier needs at least two"),
    ],
)
def test_scores_that_are_no_softmax_are_not_served_as_one(
    labels: int, problem_type: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = _classifier(tmp_path / "checkpoint", labels, problem_type)
    command = ["export", "--checkpoint", str(checkpoint), "--task", "classify", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert (words in err, err.count("\n")) == (True, 1), err
    assert not (tmp_path / "out").exists()
    assert main([*command, "--layout", "padded"]) == 0


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (b"{", "metadata.json is not JSON"),
        (b"[]", "metadata.json does not hold a JSON object"),
        (
            b'{"license": "MIT"}',
            "metadata.json has the unknown key 'license'; allowed are doc_stride, label_names, licence,",
        ),
        (b'{"doc_stride": 0}', "doc_stride must be greater than or equal to 1"),
        (b'{"training_data": [{"name": "x"}]}', "licence is missing"),
        (b'{"training_data": ["x"]}', "the metadata has the wrong form"),
        (b'{"metrics": [{"n": -1}]}', "must be greater than or equal to 0"),
    ],
)
def test_metadata_is_read_before_anything_is_written(
    checkpoint: Path, metadata: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metadata.json").write_bytes(metadata)
    assert _export(checkpoint, tmp_path / "out", "--metadata", str(tmp_path / "metadata.json")) == 2
    err = capsys.readouterr().err
    assert (words in err, err.count("\n")) == (True, 1), err
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "metadata.json"}


@pytest.mark.parametrize(
    ("name", "words"),
    [("./missing", "./missing does not exist"), ("/missing/too", "does not exist"), ("{file}", "is a file")],
)
def test_a_path_is_no_hub_id(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert _export(name.format(file=tmp_path / "file"), tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert (words in err, err.count("\n")) == (True, 1), err
    assert not (tmp_path / "out").exists()


def test_names_and_files_that_cannot_be_are_one_line(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _export(checkpoint, tmp_path / "模型") == 2
    assert "name must match pattern" in capsys.readouterr().err
    assert _export(checkpoint, tmp_path / "out", "--metadata", "missing.json") == 2
    assert capsys.readouterr().err == "nagayomi: missing.json cannot be read: No such file or directory.\n"
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint"}


def test_an_export_that_stops_leaves_what_was_there(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "manifest.json").write_text("{}")

    def full(model: Any, folder: Path, *_: Any) -> list[str]:
        (folder / "model.onnx").write_bytes(b"half")
        raise OSError(28, "No space left on device", "model.onnx")

    monkeypatch.setattr(to_onnx, "write_graph", full)
    assert _export(checkpoint, out) == 2
    assert capsys.readouterr().err == "nagayomi: model.onnx: No space left on device.\n"
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "out"}


def test_a_folder_takes_its_place_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    for number in ("1", "2"):
        with written_whole(out, last="last", replaced=("gone",)) as folder:
            (folder / "last").write_text(number)
            (folder / "a").write_text(number)
            assert not (out / "a").exists() or (out / "a").read_text() == "1"
        assert {path.name: path.read_text() for path in out.iterdir()} == {"last": number, "a": number}
        (out / "gone").write_text("")
    (out / "gone").unlink()
    assert [path.name for path in out.parent.iterdir()] == ["out"]

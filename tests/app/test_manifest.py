"""Manifests: written, read back, and every way in which a model directory can be broken."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import BrokenModel
from app.manifest import FILE_NAME, Manifest, Metric, TrainingData, verify_files, write


@pytest.fixture
def directory(handmade_store: Path) -> Path:
    return handmade_store / "hand-qa"


def change(directory: Path, **fields: Any) -> None:
    content = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    (directory / FILE_NAME).write_text(json.dumps(content | fields), encoding="utf-8")


def test_round_trip(directory: Path) -> None:
    manifest = Manifest.read(directory).model_copy(
        update={
            "labels": ("BDS",),
            "label_names": {"BDS": "仏教"},
            "training_data": (TrainingData(name="JaQuAD", licence="CC BY-SA 3.0", url_or_source="x"),),
            "metrics": (Metric(dataset="JSQuAD", n=3, values={"f1": 0.5}, command="nagayomi evaluate"),),
        }
    )
    write(directory, manifest)
    assert Manifest.read(directory) == manifest
    assert "仏教" in (directory / FILE_NAME).read_text(encoding="utf-8"), "people read it too"
    assert [path.name for path in directory.iterdir() if "partial" in path.name] == []


def test_a_manifest_of_before_has_bigbird_layers(directory: Path) -> None:
    assert Manifest.read(directory).layer_kinds == ()
    assert Manifest.read(directory).kinds == ("bigbird",)
    change(directory, layer_kinds=["full"], attention_pattern=None)
    assert Manifest.read(directory).kinds == ("full",)


def test_defaults(directory: Path) -> None:
    content = json.loads((directory / FILE_NAME).read_text(encoding="utf-8"))
    for name in ("overlap_token_type", "label_names", "temperature", "doc_stride", "metrics", "training_data"):
        del content[name]
    (directory / FILE_NAME).write_text(json.dumps(content), encoding="utf-8")
    manifest = Manifest.read(directory)
    assert (manifest.overlap_token_type, manifest.label_names, manifest.temperature) == (None, {}, 1.0)
    assert (manifest.doc_stride, manifest.metrics, manifest.training_data) == (2048, (), ())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"format": 2}, "format 2; this version reads format 1"),
        ({"format": None}, "format None"),
        ({"layout": "ragged"}, "layout"),
        ({"task": "translate"}, "task"),
        ({"block_size": 0}, "block_size"),
        ({"temperature": 0}, "temperature"),
        ({"overlap_token_type": 99}, "100 token types are needed, and the model has 2"),
        ({"sentence_token_types": True}, "3 token types are needed, and the model has 2"),
        ({"frequency_token_types": 6}, "frequency_token_types: Extra inputs are not permitted"),
        ({"surprise": 1}, "surprise"),
        ({"layer_kinds": ["round"]}, "layer_kinds"),
        ({"layer_kinds": ["bigbird"] * 2}, "2 layer kinds are named for 1 layers"),
        ({"layer_kinds": ["full"]}, "an attention pattern belongs to layers of the kind bigbird"),
        ({"attention_pattern": None}, "an attention pattern belongs to layers of the kind bigbird"),
        ({"name": "../x"}, "name"),
        ({"files": {"../secret": "0" * 64}}, "not a file inside"),
        ({"files": {"model.onnx": "abc"}}, "not a SHA-256"),
    ],
)
def test_a_manifest_that_is_not_understood(directory: Path, fields: dict[str, Any], reason: str) -> None:
    change(directory, **fields)
    with pytest.raises(BrokenModel, match=reason):
        Manifest.read(directory)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_not_json(directory: Path, content: bytes) -> None:
    (directory / FILE_NAME).write_bytes(content)
    with pytest.raises(BrokenModel, match=r"cannot be read as JSON|does not hold a JSON object"):
        Manifest.read(directory)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BrokenModel, match="is missing"):
        Manifest.read(tmp_path)


def test_files(directory: Path) -> None:
    manifest = Manifest.read(directory)
    verify_files(directory, manifest)
    (directory / "tokenizer.json").write_bytes((directory / "tokenizer.json").read_bytes() + b" ")
    with pytest.raises(BrokenModel, match=r"tokenizer\.json is not the file"):
        verify_files(directory, manifest)
    (directory / "tokenizer.json").unlink()
    with pytest.raises(BrokenModel, match=r"tokenizer\.json is missing"):
        verify_files(directory, manifest)
    (directory / "tokenizer.json").symlink_to("tokenizer.json")
    with pytest.raises(BrokenModel, match=r"tokenizer\.json cannot be read: Too many levels of symbolic links\."):
        verify_files(directory, manifest)
    with pytest.raises(BrokenModel, match=r"lists no checksum for model\.onnx"):
        verify_files(directory, manifest.model_copy(update={"files": {}}))

"""Which engine belongs to which model, settings and versions, and what TensorRT is told about it."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.block_tables import AttentionLayout
from app.errors import ProviderUnavailable
from app.manifest import Manifest
from app.settings import Settings
from app.worker.tensorrt import EngineCache

LAYOUT = AttentionLayout(16, 3)


def cache_of(manifest: Manifest, root: Path, version: str = "1.31.1 101601", **changes: Any) -> EngineCache:
    return EngineCache.of(manifest, LAYOUT, Settings(engine_cache=root, **changes), version)


@pytest.fixture
def manifest(handmade_models: Path) -> Manifest:
    return Manifest.read(handmade_models / "hand-qa")


def test_what_an_engine_depends_on_has_a_directory_of_its_own(manifest: Manifest, tmp_path: Path) -> None:
    retrained = manifest.model_copy(update={"files": {**manifest.files, "model.onnx": "0" * 64}})
    directories = {
        cache_of(manifest, tmp_path).directory,
        cache_of(manifest, tmp_path, max_batch_tokens=8192).directory,
        cache_of(manifest, tmp_path, "1.32.0 101601").directory,
        cache_of(retrained, tmp_path).directory,
    }
    assert len(directories) == 4
    assert {directory.parent for directory in directories} == {tmp_path}
    assert all(directory.name.startswith("hand-qa-") for directory in directories)


def test_what_an_engine_does_not_depend_on_changes_nothing(manifest: Manifest, tmp_path: Path) -> None:
    same = cache_of(manifest, tmp_path, port=9000, text_threads=1)
    assert same == cache_of(manifest, tmp_path)


def test_the_directory_says_what_the_engine_is_for(manifest: Manifest, tmp_path: Path) -> None:
    cache = cache_of(manifest, tmp_path, max_batch_tokens=512)
    cache.prepare()
    cache.prepare()
    profile = json.loads((cache.directory / "profile.json").read_text(encoding="utf-8"))
    assert profile["max"]["blocks"] == 32
    assert profile["min"] == dict.fromkeys(profile["max"], 1)


def test_a_directory_that_cannot_be_written(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProviderUnavailable, match=r"cannot be written: .*--engine-cache"):
        cache_of(manifest, tmp_path / "file").prepare()


def test_tensorrt_is_told_every_shape_of_every_input(manifest: Manifest, tmp_path: Path) -> None:
    cache = cache_of(manifest, tmp_path, max_batch_tokens=512)
    options = cache.options(["input_ids", "key_bias", "sparse_table"], LAYOUT)
    assert {name: options[name] for name in options if "profile" in name} == {
        "trt_profile_min_shapes": "input_ids:1x16,key_bias:1x16,sparse_table:1x5",
        "trt_profile_opt_shapes": "input_ids:1x512,key_bias:32x16,sparse_table:14x5",
        "trt_profile_max_shapes": "input_ids:1x512,key_bias:32x16,sparse_table:30x5",
    }
    assert options["trt_engine_cache_path"] == str(cache.directory)
    assert options["trt_timing_cache_path"] == str(tmp_path)
    assert {options[f"trt_{name}_enable"] for name in ("fp16", "engine_cache", "timing_cache")} == {"1"}

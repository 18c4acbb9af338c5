"""A run prepares its text as its checkpoint was trained, and its checkpoints survive a full disk."""

import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from export.weights_file import NotWritten
from tests.training.conftest import write_json
from training.config import ConfigError, PretrainConfig
from training.runs.folder import check_same_config, whole_checkpoint, with_words, write_checkpoint


def _config(checkpoint: Path | None, **words: Any) -> PretrainConfig:
    start: dict[str, Any] = {"checkpoint": str(checkpoint)} if checkpoint else {"tokenizer": "tokenizer.json"}
    return PretrainConfig(corpus=True, **start, **words)


def _checkpoint(folder: Path, **notes: str) -> Path:
    write_json(folder / "config.json", {"model_type": "big_bird", "nagayomi": notes})
    return folder


def _words(config: PretrainConfig) -> tuple[str | None, str | None]:
    found = with_words(config)
    return found.normaliser, found.segmenter


def test_a_run_prepares_text_as_its_checkpoint_was_trained(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, normaliser="none", segmenter="mecab-unidic-lite")
    assert _words(_config(checkpoint)) == ("none", "mecab-unidic-lite")
    assert _words(_config(checkpoint, segmenter="mecab-unidic-lite")) == ("none", "mecab-unidic-lite")


def test_what_no_checkpoint_says_is_the_configurations_or_the_default(tmp_path: Path) -> None:
    assert _words(_config(None)) == ("nfkc", "mecab-jumandic")
    assert _words(_config(None, segmenter="none")) == ("nfkc", "none")
    assert _words(_config(_checkpoint(tmp_path, segmenter="none"), normaliser="none")) == ("none", "none")
    write_json(tmp_path / "config.json", {"model_type": "big_bird"})
    assert _words(_config(tmp_path)) == ("nfkc", "mecab-jumandic")


def test_a_run_that_would_cut_other_words_than_its_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, normaliser="nfkc", segmenter="none")
    with pytest.raises(ConfigError) as caught:
        with_words(_config(checkpoint, segmenter="mecab-jumandic"))
    assert str(caught.value) == (
        f"{checkpoint} was trained with segmenter = none, not mecab-jumandic: --set segmenter=none."
    )


def test_a_checkpoint_with_an_unknown_segmenter_is_refused(tmp_path: Path) -> None:
    checkpoint = _checkpoint(tmp_path, segmenter="chasen")
    with pytest.raises(ConfigError, match=r"names the segmenter 'chasen'; known are none, mecab-jumandic, "):
        with_words(_config(checkpoint))


def test_another_encoder_is_refused_before_its_tokenizer_is_looked_for(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "bert"})  # Tohoku's has a vocab.txt, and no tokenizer.json
    with pytest.raises(ConfigError, match=r"holds a 'bert' model, .* `nagayomi warm-start` turns a BERT"):
        with_words(_config(tmp_path))


def test_what_another_run_changed_is_named_key_by_key(tmp_path: Path) -> None:
    begun = PretrainConfig(tokenizer="t", texts={"a": 1.0}, lengths={"128": 1.0}, batch_tokens=512)
    write_json(tmp_path / "config.json", {"nagayomi": {"training": begun.model_dump(mode="json")}})
    changed = begun.model_copy(update={"texts": {"a": 0.5, "b": 1.0}, "lengths": {}, "checkpoint_every": 9})
    with pytest.raises(ConfigError) as caught:
        check_same_config(changed, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds a run with another configuration: texts.a was 1.0 and is 0.5; texts.b was not set and is "
        "1.0; lengths was not set and is {}; lengths.128 was 1.0 and is not set. Use another folder, or remove "
        "this one."
    )


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    def save(folder: Path) -> None:
        folder.mkdir(parents=True)

    write_checkpoint(tmp_path, save, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(NotWritten, match=r"state\.partial cannot be written; its disk has [0-9,]+ MB left\.$"):
            write_checkpoint(tmp_path, save, {"step": 2, "moments": torch.zeros(9999)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert whole_checkpoint(tmp_path) == tmp_path / "last"
    assert torch.load(tmp_path / "last" / "state.pt") == {"step": 1}


def test_a_checkpoint_holds_the_tokenizer_so_that_it_can_be_exported(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    write_checkpoint(tmp_path, lambda folder: folder.mkdir(), {})
    assert {file.name for file in (tmp_path / "last").iterdir()} == {"state.pt", "tokenizer.json"}

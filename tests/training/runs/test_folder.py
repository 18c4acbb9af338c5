"""How a run prepares its text: as its checkpoint was trained, unless the checkpoint says nothing."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import write_json
from training.config import ConfigError, PretrainConfig
from training.runs.folder import with_words


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

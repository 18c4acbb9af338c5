"""Tiny BigBird checkpoints with sharp random attention, so that a wrong key shows in the logits."""

import json
from pathlib import Path
from typing import Any

import tokenizers
from safetensors.torch import save_file
from tokenizers import models

from app.types import Task
from export.model import BigBird
from export.sharp import sharp_model

TEXT_SETTINGS = {"segmenter": "none", "normaliser": "nfkc"}


def tiny_model(task: Task, *, layers: int = 2) -> BigBird:
    """`layers` x 64 with two heads, 4,096 positions and a vocabulary of 1,000, in eval mode."""
    model = sharp_model("big_bird", task, layers=layers)
    assert isinstance(model, BigBird)
    return model


def save_tiny_checkpoint(directory: Path, model: BigBird, own: dict[str, Any] | None = None) -> Path:
    """A transformers directory; `own` is what training notes in config.json about text."""
    directory.mkdir(parents=True, exist_ok=True)
    document = model.saved_config() | ({"nagayomi": own} if own else {})
    (directory / "config.json").write_text(json.dumps(document), encoding="utf-8")
    save_file(model.state_dict(), directory / "model.safetensors", metadata={"format": "pt"})
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "東京": 4}
    tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")).save(str(directory / "tokenizer.json"))
    return directory

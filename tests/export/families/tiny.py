"""Tiny checkpoints of every family, as a directory of transformers with a tokenizer."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from app.text.tokenizer import Tokenizer
from app.types import Task
from export.encoder import EncoderModel
from export.sharp import sharp_model

TEXT_SETTINGS = {"segmenter": "mecab-jumandic", "normaliser": "nfkc"}


def save_checkpoint(directory: Path, family: str, task: Task, tokenizer_file: Path, **changes: Any) -> EncoderModel:
    """A directory with random weights whose vocabulary is the tokenizer's."""
    tokenizer = Tokenizer.load(tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")
    model = sharp_model(
        family, task, hidden=32, vocab_size=tokenizer.vocab_size, cls_token_id=tokenizer.cls_id,
        sep_token_id=tokenizer.sep_id, **changes,
    )  # fmt: skip
    directory.mkdir(parents=True)
    document = model.saved_config() | {"nagayomi": TEXT_SETTINGS}
    (directory / "config.json").write_text(json.dumps(document), encoding="utf-8")
    save_file(model.state_dict(), directory / "model.safetensors", metadata={"format": "pt"})
    shutil.copyfile(tokenizer_file, directory / "tokenizer.json")
    return model


def save_evidence_checkpoint(directory: Path, tokenizer_file: Path) -> None:
    """An OpenProvence over a ModernBERT, with the reference to code that its checkpoints have."""
    model = save_checkpoint(directory, "modernbert", "rerank", tokenizer_file)
    weights = {f"ranking_model.{name}": tensor for name, tensor in model.state_dict().items()}
    weights["pruning_head.classifier.weight"] = torch.linspace(-1, 1, 64).reshape(2, 32)
    weights["pruning_head.classifier.bias"] = torch.zeros(2)
    document = {
        "model_type": "open_provence",
        "architectures": ["OpenProvenceForSequenceClassification"],
        "auto_map": {"AutoModel": "modeling_open_provence_standalone.OpenProvenceModel"},
        "base_model_config": model.saved_config(),
        "nagayomi": TEXT_SETTINGS,
    }
    (directory / "config.json").write_text(json.dumps(document), encoding="utf-8")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})

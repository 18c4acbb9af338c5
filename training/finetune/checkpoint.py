"""The model that a fine-tuning run starts from, and the checkpoint that it leaves.

The checkpoint loads in transformers and in `nagayomi export`. This module knows the tasks, and does not know batches or
steps.
"""

import json
from pathlib import Path

from app.text.tokenizer import Tokenizer
from app.types import SentenceFeature
from export.checkpoint import read_config
from export.model import BigBird
from export.weights_file import write_weights
from training.config import ConfigError, FinetuneConfig
from training.runs.initial_model import start_model


def new_model(config: FinetuneConfig, tokenizer: Tokenizer, labels: tuple[str, ...]) -> BigBird:
    """A BigBird of the configured shape with random weights, or the encoder of the configured checkpoint.

    Raises:
        ConfigError: the checkpoint cannot be read, or does not fit the tokenizer or the configuration.
    """
    num_labels = len(labels) if labels else (2 if config.task == "qa" else 1)
    token_types = 2
    if config.task == "qa" and config.question_overlap:
        token_types = 3
    elif config.task == "summarize":
        token_types = 3 if config.sentence_types else 2
    model = start_model(
        config,
        config.task,
        tokenizer,
        num_labels,
        token_types,
        layers=config.lowest_layers,
        pooling_layer=config.pooling_layer,
    )
    longest = max(one.max_tokens for one in config.sets)
    if longest > model.config.max_position_embeddings:
        raise ConfigError(f"max_tokens is {longest}; the model has {model.config.max_position_embeddings} positions.")
    return model


def noted_sentence_weights(config: FinetuneConfig) -> dict[SentenceFeature, float]:
    """What the summarizer that a run starts from adds for each feature of a sentence: a part of the head it brings."""
    notes = read_config(Path(config.checkpoint)).get("nagayomi") if config.checkpoint else None
    if config.task != "summarize" or not isinstance(notes, dict) or notes.get("task") != "summarize":
        return {}
    return dict(notes.get("sentence_weights") or {})


def save_checkpoint(
    directory: Path,
    model: BigBird,
    config: FinetuneConfig,
    labels: tuple[str, ...],
    sentence_weights: dict[SentenceFeature, float],
) -> None:
    """Write weights and config.json, and in it, under "nagayomi", what the exporter needs to know."""
    directory.mkdir(parents=True, exist_ok=True)
    write_weights(model.state_dict(), directory)
    shape = model.config
    if labels:
        shape.id2label = dict(enumerate(labels))
        shape.label2id = {label: index for index, label in enumerate(labels)}
    document = model.saved_config()
    document["nagayomi"] = {
        "task": config.task,
        "segmenter": config.segmenter,
        "normaliser": config.normaliser,
        "overlap_token_type": 2 if config.task == "qa" and config.question_overlap else None,
        "sentence_token_types": config.task == "summarize" and config.sentence_types,
        "sentence_weights": sentence_weights,
        "training": config.model_dump(mode="json"),
    }
    (directory / "config.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

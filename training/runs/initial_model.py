"""The model that a run of any kind starts from: random weights, or the encoder of a checkpoint.

This module knows weights and shapes, and does not know batches, steps or tasks.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from transformers import BigBirdConfig

from app.text.tokenizer import Tokenizer
from app.types import Task
from export.checkpoint import CheckpointError, read_checkpoint
from export.model import BigBird
from export.weights import initialise
from training.config import ConfigError, TrainingConfig


def start_model(
    config: TrainingConfig,
    task: Task,
    tokenizer: Tokenizer,
    num_labels: int,
    token_types: int,
    *,
    grow: bool = False,
    layers: int = 0,
    pooling_layer: bool = False,
) -> BigBird:
    """The initial model of any run.

    Args:
        grow: a checkpoint with too few token types gets copies of its first.
        layers: of a checkpoint, take only so many layers, from below; 0: all.
        pooling_layer: put one more layer on top of these, which hands the mean of all states to [CLS] at first.

    Raises:
        ConfigError: the checkpoint cannot be read, or does not fit the tokenizer or the configuration.
    """
    if config.checkpoint:
        return _from_checkpoint(
            config, task, tokenizer, num_labels, token_types, grow=grow, layers=layers, pooling_layer=pooling_layer
        )
    if layers:
        raise ConfigError("lowest_layers takes layers of a checkpoint; this run has no checkpoint.")
    if pooling_layer:
        raise ConfigError("pooling_layer goes on top of the layers of a checkpoint; this run has no checkpoint.")
    shape = BigBirdConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        hidden_act=config.activation,
        max_position_embeddings=config.max_positions,
        type_vocab_size=token_types,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        num_labels=num_labels,
        # No sequence holds it, and its row stays 0. Without it, no row does.
        pad_token_id=tokenizer.id_of("[PAD]", "<pad>"),
        cls_token_id=tokenizer.cls_id,
        bos_token_id=tokenizer.cls_id,
        eos_token_id=tokenizer.sep_id,
        sep_token_id=tokenizer.sep_id,
    )
    _check_shape(shape, tokenizer, token_types)
    model = BigBird(shape, task)
    initialise(model, config.seed)
    # The learned positions start as sinusoids (Vaswani et al. 2017): neighbours are similar at first, so positions that
    # training rarely uses behave like their neighbours.
    positions = torch.arange(config.max_positions).unsqueeze(1)
    rates = torch.exp(torch.arange(0, config.hidden, 2) * (-math.log(10_000.0) / config.hidden))
    weight = model.bert.embeddings.position_embeddings.weight.data
    weight[:, 0::2] = torch.sin(positions * rates) * shape.initializer_range * 2**0.5
    weight[:, 1::2] = torch.cos(positions * rates) * shape.initializer_range * 2**0.5
    return model


def _from_checkpoint(
    config: TrainingConfig,
    task: Task,
    tokenizer: Tokenizer,
    num_labels: int,
    token_types: int,
    *,
    grow: bool,
    layers: int,
    pooling_layer: bool,
) -> BigBird:
    try:
        shape, weights = read_checkpoint(Path(config.checkpoint))
    except CheckpointError as error:
        raise ConfigError(f"The checkpoint cannot be used: {error}") from error
    if layers > shape.num_hidden_layers:
        raise ConfigError(f"lowest_layers is {layers}; the checkpoint has {shape.num_hidden_layers} layers.")
    shape.num_hidden_layers = (layers or shape.num_hidden_layers) + pooling_layer
    shape.num_labels = num_labels
    shape.hidden_dropout_prob = shape.attention_probs_dropout_prob = config.dropout
    if grow and shape.type_vocab_size < token_types:
        weights = _with_token_types(weights, token_types)
        shape.type_vocab_size = token_types
    _check_shape(shape, tokenizer, token_types)
    model = BigBird(shape, task)
    initialise(model, config.seed)
    if pooling_layer:
        top = f"bert.encoder.layer.{shape.num_hidden_layers - 1}."
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(top)}
        random = model.bert.encoder.layer[-1].state_dict()
        weights |= {top + name: tensor for name, tensor in _pooling_layer(random).items()}
    _take_over(model, weights, config.checkpoint)
    return model


def _pooling_layer(random: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a layer that adds the mean of the states it sees to each state, and learns from there.

    Queries of 0 weigh all tokens alike. The keys stay random, because queries get no gradient from keys of 0.
    """
    own = dict(random)
    for name in ("attention.self.value", "attention.output.dense"):
        own[f"{name}.weight"] = torch.eye(len(own[f"{name}.weight"]))
    for name in ("attention.self.query", "output.dense"):
        own[f"{name}.weight"] = torch.zeros_like(own[f"{name}.weight"])
    return own


def _with_token_types(weights: Mapping[str, Tensor], token_types: int) -> dict[str, Tensor]:
    """The weights with more rows of token types, copies of the first row, so that all types behave alike at first."""
    name = "bert.embeddings.token_type_embeddings.weight"
    if name not in weights:  # `_take_over` reports it by name
        return dict(weights)
    rows = weights[name]
    return {**weights, name: torch.cat([rows, rows[:1].expand(token_types - len(rows), -1)])}


def _check_shape(shape: BigBirdConfig, tokenizer: Tokenizer, token_types: int) -> None:
    """Refuse settings that would otherwise fail with an index error in the middle of a run."""
    if tokenizer.vocab_size > shape.vocab_size:
        raise ConfigError(f"The tokenizer has {tokenizer.vocab_size} pieces, the checkpoint {shape.vocab_size}.")
    if token_types > shape.type_vocab_size:
        raise ConfigError(
            f"The checkpoint has {shape.type_vocab_size} token types and {token_types} are needed: "
            "set question_overlap = false for qa, or sentence_types = false for summarize."
        )


def _take_over(model: BigBird, weights: Mapping[str, Tensor], checkpoint: str) -> None:
    """Load the weights that fit by name and shape. Heads may be new; the encoder must come from the checkpoint."""
    own = model.state_dict()
    fitting = {
        name: weights[name].float() for name in own if name in weights and weights[name].shape == own[name].shape
    }
    # Masked language models come without the pooler, and no task here reads it.
    unfit = sorted(
        name for name in own.keys() - fitting.keys() if name.startswith("bert.") and not name.startswith("bert.pooler.")
    )
    if unfit:
        raise ConfigError(
            f"The checkpoint {checkpoint} lacks {len(unfit)} weights of the encoder, or has them in another shape; "
            f"the first is {unfit[0]}."
        )
    model.load_state_dict(own | fitting)

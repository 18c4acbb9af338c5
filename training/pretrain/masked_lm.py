"""The masked language model: the encoder and the head of transformers' BigBirdForMaskedLM, over block tables.

This module knows weights and shapes, and does not know text, masks or steps.
"""

import json
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import BigBirdConfig

from app.text.tokenizer import Tokenizer
from export.attention import BlockTables
from export.checkpoint import read_checkpoint
from export.encoder import activation
from export.model import Encoder
from export.weights_file import write_weights
from training.config import ConfigError, PretrainConfig
from training.runs.initial_model import start_model

FINETUNING_DROPOUT = 0.1  # the default of transformers


class Transform(nn.Module):
    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config.hidden_act)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, hidden: Tensor) -> Tensor:
        normed: Tensor = self.LayerNorm(self.activation(self.dense(hidden)))
        return normed


class Predictions(nn.Module):
    """Logits over the vocabulary. The projection is the table of the word embeddings; only its bias is here."""

    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.transform = Transform(config)
        self.bias = nn.Parameter(Tensor(config.vocab_size).zero_())

    def forward(self, hidden: Tensor, words: Tensor) -> Tensor:
        return F.linear(self.transform(hidden), words, self.bias)


class Head(nn.Module):
    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.predictions = Predictions(config)


class MaskedLanguageModel(nn.Module):
    """An encoder and the head. The pooler is kept untrained, because transformers expects one."""

    def __init__(self, config: BigBirdConfig, encoder: Encoder) -> None:
        super().__init__()
        self.config = config
        self.bert = encoder
        self.cls = Head(config)

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor, tables: BlockTables, masked: Tensor
    ) -> Tensor:
        """Logits (M, vocabulary) of the M places `masked` on the token axis.

        Only these go through the head: over all tokens, it would cost more than a small encoder.
        """
        hidden = self.bert(input_ids, token_type_ids, position_ids, tables)[0]  # (T, hidden)
        logits: Tensor = self.cls.predictions(
            hidden.index_select(0, masked), self.bert.embeddings.word_embeddings.weight
        )
        return logits


def new_masked_lm(config: PretrainConfig, tokenizer: Tokenizer) -> MaskedLanguageModel:
    """An encoder with random weights, or that of the configured checkpoint with its head, if it has one.

    Raises:
        ConfigError: the checkpoint cannot be read, or does not fit the tokenizer or the configuration.
    """
    # A classifier has a pooler; its head is dropped.
    start = start_model(config, "classify", tokenizer, 1, config.token_types, grow=True)
    longest = max(map(int, config.lengths))
    if longest > start.config.max_position_embeddings:
        raise ConfigError(
            f"lengths asks for {longest} tokens; the model has {start.config.max_position_embeddings} positions."
        )
    model = MaskedLanguageModel(start.config, start.bert)
    model.cls.predictions.transform.dense.weight.data.normal_(0.0, start.config.initializer_range)
    model.cls.predictions.transform.dense.bias.data.zero_()
    if config.checkpoint:
        _, weights = read_checkpoint(Path(config.checkpoint))
        head = {name: weights[name].float() for name in model.state_dict() if name in weights and "cls." in name}
        model.load_state_dict(head, strict=False)
    else:
        start.config.hidden_dropout_prob = start.config.attention_probs_dropout_prob = FINETUNING_DROPOUT
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = config.dropout
    return model


def save_masked_lm(directory: Path, model: MaskedLanguageModel, config: PretrainConfig) -> None:
    """Write a checkpoint for BigBirdForMaskedLM of transformers and for `nagayomi finetune`."""
    directory.mkdir(parents=True, exist_ok=True)
    write_weights(model.state_dict(), directory)
    document = model.config.to_dict()
    document["architectures"] = ["BigBirdForMaskedLM"]
    document["nagayomi"] = {
        "task": "masked-lm",
        "segmenter": config.segmenter,
        "normaliser": config.normaliser,
        "training": config.model_dump(mode="json"),
    }
    (directory / "config.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")

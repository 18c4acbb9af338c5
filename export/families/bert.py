"""BERT, whose layers all attend to the whole document: dense rows only. RoBERTa and LUKE are made of the same parts.

Its layers are those of export/model.py; the embeddings, the pooler and the heads are its own. Shapes: T tokens
of a packed batch, D documents.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BertConfig, PretrainedConfig

from app.types import Task
from export.attention import Tables, wide
from export.encoder import PER_DOCUMENT, EncoderModel
from export.model import Layers


class Embeddings(nn.Module):
    """Sums of word, token type and position; a model with one token type has no input for it.

    `first_position` is the row of the first token's position: RoBERTa reserves the rows up to the padding token's.
    """

    def __init__(self, config: PretrainedConfig, first_position: int) -> None:
        super().__init__()
        self.first_position = first_position
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, input_ids: Tensor, position_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        words = self.word_embeddings(input_ids)
        if token_type_ids is None:
            types = self.token_type_embeddings.weight[0]
        else:
            types = self.token_type_embeddings(token_type_ids)
        summed = words + types + self.position_embeddings(position_ids + self.first_position)
        normed: Tensor = self.LayerNorm(wide(summed))
        return normed.to(words.dtype)  # (1, T, hidden)


class Pooler(nn.Module):
    """The state of a document's first token, for the heads that read it."""

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, first: Tensor) -> Tensor:
        return torch.tanh(self.dense(first))  # (D, hidden)


class Encoder(nn.Module):
    def __init__(self, config: PretrainedConfig, first_position: int, *, pooler: bool) -> None:
        super().__init__()
        self.embeddings = Embeddings(config, first_position)
        self.encoder = Layers(config)
        self.pooler = Pooler(config) if pooler else None

    def forward(self, input_ids: Tensor, position_ids: Tensor, token_type_ids: Tensor | None, tables: Tables) -> Tensor:
        hidden: Tensor = self.encoder(self.embeddings(input_ids, position_ids, token_type_ids), tables)
        return hidden  # (1, T, hidden)


class Bert(EncoderModel):
    """Encoder and the head of one task.

    Args:
        first_position: the row of the position embeddings that the first token gets.
    """

    config_class: ClassVar[type[PretrainedConfig]] = BertConfig
    architectures: ClassVar[Mapping[Task, str]] = {
        "qa": "BertForQuestionAnswering",
        "classify": "BertForSequenceClassification",
        "rerank": "BertForSequenceClassification",
        "multiple-choice": "BertForMultipleChoice",
        "token-classification": "BertForTokenClassification",
        "summarize": "BertForTokenClassification",
    }
    encoder_name = "bert"  # of its weights in a checkpoint
    pooled_tasks: ClassVar[tuple[Task, ...]] = PER_DOCUMENT

    def __init__(self, config: Any, task: Task, first_position: int = 0) -> None:
        super().__init__()
        if getattr(config, "position_embedding_type", "absolute") != "absolute":
            raise ValueError(
                f"The checkpoint has {config.position_embedding_type!r} positions; only absolute ones are supported."
            )
        self.config = config
        self.task = task
        self.layer_kinds = ("full",) * config.num_hidden_layers
        self.max_tokens = config.max_position_embeddings - first_position
        self.add_module(self.encoder_name, Encoder(config, first_position, pooler=task in self.pooled_tasks))
        if task == "qa":
            self.qa_outputs = nn.Linear(config.hidden_size, 2)
        else:
            self.classifier = self.build_classifier(config, task)

    def build_classifier(self, config: PretrainedConfig, task: Task) -> nn.Module:
        return nn.Linear(config.hidden_size, 1 if task == "multiple-choice" else config.num_labels)

    @property
    def embedding_inputs(self) -> tuple[str, ...]:
        types = ("token_type_ids",) if self.config.type_vocab_size > 1 else ()
        return ("input_ids", *types, "position_ids")

    @property
    def encoder(self) -> Encoder:
        encoder = self.get_submodule(self.encoder_name)
        assert isinstance(encoder, Encoder)
        return encoder

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        tables = self.tables(inputs)["full"]
        states: Tensor = self.encoder(inputs["input_ids"], inputs["position_ids"], inputs.get("token_type_ids"), tables)
        return states

    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        if self.task == "qa":
            logits = self.qa_outputs(wide(states))
            return logits[..., 0], logits[..., 1]
        if self.task in PER_DOCUMENT:
            first, pooler = self.pooled(states, inputs), self.encoder.pooler  # (D, hidden)
            return (self.classifier(wide(first if pooler is None else pooler(first))),)
        return (self.classifier(wide(states)),)

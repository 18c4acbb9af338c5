"""BigBird in torch over block tables, with the parameter names of transformers, so that its checkpoints load unchanged.

One encoder and its heads, over packed batches (app.packing), for export and training; its layers are those of BERT's
family too. This module does not know text, files or (B, L) batches: `export.padded` makes tables for those.

Shapes: T tokens of a packed batch, N = T / b blocks, D documents, H heads, d head size.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from transformers import BigBirdConfig, PretrainedConfig

from app.block_tables import ROW_KINDS
from app.types import AttentionPattern, Task
from export.attention import BlockTables, Tables, block_attention, rows_of, wide
from export.encoder import PER_DOCUMENT, EncoderModel, activation

# The class of transformers that reads the same checkpoint. A summariser is a token classifier with one label, the
# logit of keeping the token in a summary.
ARCHITECTURES: dict[Task, str] = {
    "qa": "BigBirdForQuestionAnswering",
    "classify": "BigBirdForSequenceClassification",
    "rerank": "BigBirdForSequenceClassification",
    "multiple-choice": "BigBirdForMultipleChoice",
    "token-classification": "BigBirdForTokenClassification",
    "summarize": "BigBirdForTokenClassification",
}
TABLE_INPUTS = (
    *(f"{kind}_{part}" for kind in ROW_KINDS for part in ("rows", "table", "bias")),
    "merge",
)


def packed_inputs(task: Task, attention_pattern: str) -> tuple[str, ...]:
    """Names of the graph inputs of a packed model, in order."""
    head = {"qa": ("question_mask",), **dict.fromkeys(PER_DOCUMENT, ("cls_index",))}
    random = ("random_table",) if attention_pattern == "random" else ()
    return ("input_ids", "token_type_ids", "position_ids", "key_bias", *TABLE_INPUTS, *random, *head.get(task, ()))


class Embeddings(nn.Module):
    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.scale = config.hidden_size**0.5 if config.rescale_embeddings else 1.0

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor) -> Tensor:
        words = self.word_embeddings(input_ids)
        if self.scale != 1.0:
            words = words * self.scale
        summed = words + self.token_type_embeddings(token_type_ids) + self.position_embeddings(position_ids)
        normed: Tensor = self.LayerNorm(wide(self.dropout(summed)))
        return normed.to(words.dtype)  # (1, T, hidden)


class SelfAttention(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        bias = getattr(config, "use_bias", True)  # only BigBird's configuration names it
        self.query = nn.Linear(config.hidden_size, config.hidden_size, bias=bias)
        self.key = nn.Linear(config.hidden_size, config.hidden_size, bias=bias)
        self.value = nn.Linear(config.hidden_size, config.hidden_size, bias=bias)

    def forward(self, hidden: Tensor, tables: Tables, layer: int) -> Tensor:
        shape = (1, hidden.shape[1], self.heads, self.head_size)
        q = (self.query(hidden) * self.head_size**-0.5).reshape(shape)  # (1, T, H, d)
        k = self.key(hidden).reshape(shape)
        v = self.value(hidden).reshape(shape)
        return block_attention(q, k, v, tables, layer)


class ResidualOutput(nn.Module):
    """Dense, dropout, add, LayerNorm: transformers calls them SelfOutput and Output."""

    def __init__(self, width: int, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, hidden: Tensor, residual: Tensor) -> Tensor:
        summed: Tensor = self.LayerNorm(wide(self.dropout(self.dense(hidden))) + wide(residual))
        return summed.to(residual.dtype)


class Intermediate(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.activation = activation(config.hidden_act)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.activation(self.dense(hidden))


class Attention(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config.hidden_size, config)

    def forward(self, hidden: Tensor, tables: Tables, layer: int) -> Tensor:
        attended: Tensor = self.output(self.self(hidden, tables, layer), hidden)
        return attended


class Layer(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config.intermediate_size, config)

    def forward(self, hidden: Tensor, tables: Tables, layer: int) -> Tensor:
        attended = self.attention(hidden, tables, layer)
        out: Tensor = self.output(self.intermediate(attended), attended)
        return out


class Layers(nn.Module):
    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))

    def forward(self, hidden: Tensor, tables: Tables) -> Tensor:
        for index, layer in enumerate(self.layer):
            hidden = layer(hidden, tables, index)
        return hidden


class Encoder(nn.Module):
    """Embeddings and layers; `pooler` only for the heads that read it, as in transformers."""

    def __init__(self, config: BigBirdConfig, *, pooler: bool) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size) if pooler else None

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, position_ids: Tensor, tables: BlockTables) -> Tensor:
        hidden: Tensor = self.encoder(self.embeddings(input_ids, token_type_ids, position_ids), tables)
        return hidden  # (1, T, hidden)


class QuestionAnsweringHead(nn.Module):
    """BigBirdForQuestionAnswering's own head: a feed-forward block of its own before the two logits."""

    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config.intermediate_size, config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        logits: Tensor = self.qa_outputs(wide(self.output(self.intermediate(self.dropout(hidden)), hidden)))
        return logits  # (1, T, 2)


class ClassificationHead(nn.Module):
    def __init__(self, config: BigBirdConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config.hidden_act)
        dropout = config.hidden_dropout_prob if config.classifier_dropout is None else config.classifier_dropout
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, cls: Tensor) -> Tensor:
        logits: Tensor = self.out_proj(wide(self.dropout(self.activation(self.dense(self.dropout(cls))))))
        return logits  # (D, labels)


class BigBird(EncoderModel):
    """Encoder and the head of one task."""

    config_class = BigBirdConfig
    architectures = ARCHITECTURES

    def __init__(self, config: BigBirdConfig, task: Task) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.layer_kinds = ("bigbird",) * config.num_hidden_layers
        self.max_tokens = config.max_position_embeddings
        self.block_size, self.num_random_blocks = config.block_size, config.num_random_blocks
        # transformers builds the pooler for classification too, unread: keep the checkpoint interchangeable.
        self.bert = Encoder(config, pooler=task in PER_DOCUMENT)
        if task == "qa":
            self.qa_classifier = QuestionAnsweringHead(config)
        elif task in ("classify", "rerank"):
            self.classifier: nn.Module = ClassificationHead(config)
        elif task == "multiple-choice":
            self.classifier = nn.Linear(config.hidden_size, 1)
        else:
            self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def packed_inputs(self, pattern: AttentionPattern = "hf-eval") -> tuple[str, ...]:
        return packed_inputs(self.task, pattern)

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        embedded = (inputs[name] for name in self.embedding_inputs)
        states: Tensor = self.bert(*embedded, tables_from(inputs))
        return states

    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return self._head(states, inputs.get("question_mask"), inputs.get("cls_index"))

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor,
        position_ids: Tensor,
        tables: BlockTables,
        question_mask: Tensor | None = None,
        cls_index: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Logits of the head: two (1, T) for qa, (D, labels) for classify and multiple-choice, else (1, T, labels)."""
        return self._head(self.bert(input_ids, token_type_ids, position_ids, tables), question_mask, cls_index)

    def _head(self, hidden: Tensor, question_mask: Tensor | None, cls_index: Tensor | None) -> tuple[Tensor, ...]:
        if self.task == "qa":
            logits = self.qa_classifier(hidden)
            start, end = logits[..., 0], logits[..., 1]
            if question_mask is not None:
                start, end = start - question_mask * 1e6, end - question_mask * 1e6
            return start, end
        if self.task in PER_DOCUMENT:
            assert cls_index is not None
            cls = hidden[0].index_select(0, cls_index)  # (D, hidden)
            if self.bert.pooler is not None and self.task == "multiple-choice":
                cls = wide(self.dropout(torch.tanh(self.bert.pooler(cls))))
            return (self.classifier(cls),)
        return (self.classifier(wide(self.dropout(hidden))),)


def tables_from(inputs: Mapping[str, Tensor]) -> BlockTables:
    """Block tables as tensors from the packed inputs."""
    key_bias = inputs["key_bias"]
    dense, global_, sparse = (
        rows_of(inputs[f"{kind}_rows"], inputs[f"{kind}_table"], inputs[f"{kind}_bias"], key_bias) for kind in ROW_KINDS
    )
    random_table = inputs.get("random_table")
    random_bias = None
    if random_table is not None:
        layers, heads, count, _ = random_table.shape
        flat = random_table.reshape(-1)
        random_bias = key_bias.index_select(0, flat).reshape(layers, heads, count, -1)  # (layers, H, R, r * b)
    return BlockTables(dense, global_, sparse, inputs["merge"], key_bias.shape[1], random_table, random_bias)

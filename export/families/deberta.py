"""DeBERTa v2 and v3: BERT's layers, with scores that also depend on the distance between two tokens.

    score(i, j) = (Q_i.K_j + Q_i.PK[c(i - j)] + K_j.PQ[c(i - j)]) / sqrt(3 d),   c(r) = clamp(bucket(r) + 256, 0, 511)

PK and PQ have a row for each bucket. Here they are laid out over distances, in segments of a block: the products of all
queries with PK, and of all keys with PQ, are two more matrix products, of which a pair of blocks needs two neighbouring
segments (`distance_rows`, `distance_keys` of app/block_tables.py), shifted by one place from row to row: a slice and a
reshape, no gather of single scores. PK and PQ follow from weights alone, so ONNX Runtime folds them when it loads.

v2's convolution over three tokens, after the first layer, reads the embeddings and stops at the edges of a document.

Shapes: T tokens of a packed batch, N blocks of b, W key blocks of a row, H heads, d head size, G segments.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import DebertaV2Config, PretrainedConfig

from app.block_tables import MASKED
from app.types import Task
from export.attention import Rows, probabilities, wide
from export.encoder import LONGEST_TABLE, PER_DOCUMENT, EncoderModel, activation
from export.model import Intermediate, ResidualOutput


def bucket(distance: Tensor, buckets: int, longest: int) -> Tensor:
    """Distances up to half of `buckets` have a bucket each. Greater ones share buckets on a logarithmic scale.

    The result is rounded as in transformers.
    """
    if buckets <= 0:
        return distance
    middle = buckets // 2
    size = torch.where(distance.abs() < middle, torch.tensor(middle - 1), distance.abs())
    share = torch.log(size / middle) / torch.log(torch.tensor((longest - 1) / middle))
    far = (torch.ceil(share * (middle - 1)) + middle) * distance.sign()
    return torch.where(size <= middle, distance.to(far.dtype), far).to(torch.int64)


class Distances:
    """The row of PK and PQ at each distance, for documents of up to `blocks` blocks."""

    def __init__(self, config: Any, blocks: int, size: int) -> None:
        longest = config.max_relative_positions if config.max_relative_positions > 0 else config.max_position_embeddings
        buckets = getattr(config, "position_buckets", -1)
        self.rows = 2 * (buckets if buckets > 0 else longest)  # of the embeddings of distances
        self.blocks = blocks
        key_less_query = torch.arange(-blocks * size, blocks * size)  # (G * b,)

        def index(distance: Tensor) -> Tensor:
            return (bucket(distance, buckets, longest) + self.rows // 2).clamp(0, self.rows - 1).to(torch.int32)

        self.for_keys = index(-key_less_query)  # of PK, by the key's place less the query's
        self.for_queries = index(key_less_query)  # of PQ, by the query's place less the key's


def of_pairs(products: Tensor, left: Tensor) -> Tensor:
    """From products with all distances to those of pairs of blocks.

    Args:
        products: (H, N, b, G * b), by token and distance.
        left: (N, W), for each pair the first of its two segments, counted over all blocks.

    Returns:
        (H, N, W, b, b), by token of the block and token of the other.
    """
    heads, _, size, _ = products.shape
    count, width = left.shape
    segments = products.reshape(heads, -1, size, products.shape[-1] // size, size).transpose(2, 3)  # (H, N, G, b, b)
    segments = segments.reshape(heads, -1, size, size)  # (H, N * G, b, b)
    both = torch.cat(
        [
            segments.index_select(1, index.reshape(-1)).reshape(heads, count, width, size, size)
            for index in (left, left + 1)
        ],
        dim=-1,
    )  # (H, N, W, b, 2b)
    # Row i needs the b places from b - i on: laid flat, and cut into rows that are one place shorter, they start there.
    flat = both.reshape(heads, count, width, 2 * size * size)[..., size : size + size * (2 * size - 1)]
    # (H, N, W, b * (2b - 1)) -> (H, N, W, b, b)
    return flat.reshape(heads, count, width, size, 2 * size - 1)[..., :size]


def _in_rows(pairs: Tensor) -> Tensor:
    """(H, N, W, b, b) -> (H, N, b, W * b)."""
    heads, count, width, size, _ = pairs.shape
    return pairs.transpose(2, 3).reshape(heads, count, size, width * size)


class SelfAttention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        kinds = config.pos_att_type or []
        self.reads_keys, self.reads_queries = "c2p" in kinds, "p2c" in kinds
        self.scale = (self.head_size * (1 + self.reads_keys + self.reads_queries)) ** -0.5
        self.query_proj, self.key_proj, self.value_proj = (
            nn.Linear(config.hidden_size, config.hidden_size) for _ in range(3)
        )
        self.shares = getattr(config, "share_att_key", False)
        if not self.shares and self.reads_keys:
            self.pos_key_proj = nn.Linear(config.hidden_size, config.hidden_size)
        if not self.shares and self.reads_queries:
            self.pos_query_proj = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, hidden: Tensor, rows: Rows, inputs: Mapping[str, Tensor], embedded: Tensor, at: Distances
    ) -> Tensor:
        size, heads, head_size = rows.block_size, self.heads, self.head_size
        count, width = rows.table.shape

        def blocks(x: Tensor) -> Tensor:
            return x.reshape(-1, size, heads, head_size).permute(2, 0, 1, 3)  # (H, N, b, d)

        def by_distance(projected: Tensor, index: Tensor) -> Tensor:  # (H, 1, d, G * b)
            return projected.index_select(0, index).reshape(-1, heads, head_size).permute(1, 2, 0).unsqueeze(1)

        q = blocks(self.query_proj(hidden) * self.scale)
        k, v = blocks(self.key_proj(hidden)), blocks(self.value_proj(hidden))
        table = rows.table.reshape(-1)  # (N * W,)
        keys = k.index_select(1, table).reshape(heads, count, width * size, head_size)  # (H, N, W * b, d)
        values = v.index_select(1, table).reshape(heads, count, width * size, head_size)  # (H, N, W * b, d)
        scores = wide(torch.matmul(q, keys.transpose(-1, -2))) + rows.bias.unsqueeze(0).unsqueeze(2)
        if self.reads_keys:
            projected = (self.key_proj if self.shares else self.pos_key_proj)(embedded)
            products = torch.matmul(q, by_distance(projected, at.for_keys))  # (H, N, b, G * b)
            scores = scores + wide(_in_rows(of_pairs(products, inputs["distance_rows"])))
        if self.reads_queries:
            projected = (self.query_proj if self.shares else self.pos_query_proj)(embedded) * self.scale
            products = torch.matmul(k, by_distance(projected, at.for_queries))
            scores = scores + wide(_in_rows(of_pairs(products, inputs["distance_keys"]).transpose(-1, -2)))
        context = torch.matmul(probabilities(scores).to(values.dtype), values)  # (H, N, b, d)
        return context.permute(1, 2, 0, 3).reshape(1, -1, heads * head_size)  # (1, T, H * d)


class Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config.hidden_size, config)


class Layer(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config.intermediate_size, config)

    def forward(self, hidden: Tensor, *about: Any) -> Tensor:
        attended = self.attention.output(self.attention.self(hidden, *about), hidden)
        out: Tensor = self.output(self.intermediate(attended), attended)
        return out


class Convolution(nn.Module):
    """Over a token and its two neighbours in the document, written out as three products."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        if config.conv_kernel_size != 3 or getattr(config, "conv_groups", 1) != 1:
            raise ValueError("Only a convolution over three tokens, in one group, is supported.")
        self.conv = nn.Conv1d(config.hidden_size, config.hidden_size, 3, padding=1)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        name = getattr(config, "conv_act", "tanh")
        self.activation = torch.tanh if name == "tanh" else activation(name)

    def forward(self, embedded: Tensor, hidden: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        dtype = embedded.dtype
        real = (1.0 + inputs["key_bias"].reshape(1, -1, 1) / -MASKED).to(dtype)  # (1, T, 1)
        follows = (inputs["position_ids"] > 0).to(dtype).unsqueeze(-1)  # 0 for a first token, and for padding
        embedded = embedded * real
        none = embedded[:, :1] * 0
        before = torch.cat([none, embedded[:, :-1]], dim=1) * follows
        after = torch.cat([(embedded * follows)[:, 1:], none], dim=1)
        weight = self.conv.weight.to(dtype)  # (out, in, 3)
        summed = sum(x @ weight[:, :, place].transpose(0, 1) for place, x in enumerate((before, embedded, after)))
        assert self.conv.bias is not None
        out = self.activation((summed + self.conv.bias) * real)
        normed: Tensor = self.LayerNorm(wide(hidden + out)).to(dtype)
        return normed * real


class Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width = getattr(config, "embedding_size", config.hidden_size)
        self.word_embeddings = nn.Embedding(config.vocab_size, width, padding_idx=config.pad_token_id)
        if config.position_biased_input:
            self.position_embeddings = nn.Embedding(config.max_position_embeddings, width)
        if config.type_vocab_size > 0:
            self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width)
        if width != config.hidden_size:
            self.embed_proj = nn.Linear(width, config.hidden_size, bias=False)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        summed = self.word_embeddings(inputs["input_ids"])
        dtype = summed.dtype
        if hasattr(self, "position_embeddings"):
            summed = summed + self.position_embeddings(inputs["position_ids"])
        if hasattr(self, "token_type_embeddings"):
            types = inputs.get("token_type_ids")
            weight = self.token_type_embeddings.weight
            summed = summed + (weight[0] if types is None else self.token_type_embeddings(types))
        if hasattr(self, "embed_proj"):
            summed = self.embed_proj(summed)
        normed: Tensor = self.LayerNorm(wide(summed))
        return normed.to(dtype)


class Layers(nn.Module):
    def __init__(self, config: Any, distances: Distances) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.rel_embeddings = nn.Embedding(distances.rows, config.hidden_size)
        if "layer_norm" in getattr(config, "norm_rel_ebd", "none").lower():
            self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        if getattr(config, "conv_kernel_size", 0) > 0:
            self.conv = Convolution(config)

    def forward(self, embedded: Tensor, rows: Rows, inputs: Mapping[str, Tensor], distances: Distances) -> Tensor:
        relative = self.rel_embeddings.weight
        if hasattr(self, "LayerNorm"):
            relative = self.LayerNorm(wide(relative)).to(embedded.dtype)
        hidden = embedded
        for index, layer in enumerate(self.layer):
            hidden = layer(hidden, rows, inputs, relative, distances)
            if index == 0 and hasattr(self, "conv"):
                hidden = self.conv(embedded, hidden, inputs)
        return hidden


class Encoder(nn.Module):
    def __init__(self, config: Any, distances: Distances) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config, distances)


class Pooler(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config.pooler_hidden_act)

    def forward(self, first: Tensor) -> Tensor:
        return self.activation(self.dense(first))


class DebertaV2(EncoderModel):
    """Encoder and the head of one task."""

    config_class: ClassVar[type[PretrainedConfig]] = DebertaV2Config
    architectures: ClassVar[Mapping[Task, str]] = {
        "qa": "DebertaV2ForQuestionAnswering",
        "classify": "DebertaV2ForSequenceClassification",
        "rerank": "DebertaV2ForSequenceClassification",
        "multiple-choice": "DebertaV2ForMultipleChoice",
        "token-classification": "DebertaV2ForTokenClassification",
        "summarize": "DebertaV2ForTokenClassification",
    }
    reads_distances = True

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__()
        if not config.relative_attention:
            raise ValueError("Only a DeBERTa with relative attention is supported.")
        if config.max_position_embeddings > LONGEST_TABLE:
            raise ValueError(f"A DeBERTa of more than {LONGEST_TABLE} positions is not supported.")
        self.config = config
        self.task = task
        self.layer_kinds = ("full",) * config.num_hidden_layers
        self.max_tokens = config.max_position_embeddings
        self.distances = Distances(config, -(-self.max_tokens // self.block_size), self.block_size)
        self.deberta = Encoder(config, self.distances)
        if task in PER_DOCUMENT:
            self.pooler = Pooler(config)
        if task == "qa":
            self.qa_outputs = nn.Linear(config.hidden_size, 2)
        else:
            self.classifier = nn.Linear(config.hidden_size, 1 if task == "multiple-choice" else config.num_labels)

    @property
    def embedding_inputs(self) -> tuple[str, ...]:
        types = ("token_type_ids",) if self.config.type_vocab_size > 1 else ()
        needs_places = self.config.position_biased_input or getattr(self.config, "conv_kernel_size", 0) > 0
        return ("input_ids", *types, *(("position_ids",) if needs_places else ()))

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        rows = self.tables(inputs)["full"]
        assert isinstance(rows, Rows)
        embedded = self.deberta.embeddings(inputs)
        states: Tensor = self.deberta.encoder(embedded, rows, inputs, self.distances)
        return states

    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        if self.task == "qa":
            logits = self.qa_outputs(wide(states))
            return logits[..., 0], logits[..., 1]
        if self.task in PER_DOCUMENT:
            return (self.classifier(wide(self.pooler(self.pooled(states, inputs)))),)
        return (self.classifier(wide(states)),)

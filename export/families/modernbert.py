"""ModernBERT: pre-norm layers with rotary positions, every third of them full and the others local.

Local layers attend 64 tokens to each side, exactly: the table [i-1, i, i+1] with one constant (64, 192) bias for all
rows. Full ones read up to 8,192 tokens in spans (export/spans.py), or head by head in graphs for GPUs. Layers have no
biases and norms a weight only; a head of its own stands before the classifier, on the first token, on the mean of all
tokens, or on every token. Shapes: T tokens of a packed batch, N blocks of b, D documents, H heads, d head size.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import ModernBertConfig, PretrainedConfig

from app.block_tables import MASKED
from app.types import LayerKind, Task
from export.attention import Rows, Tables, block_attention, parts, wide
from export.encoder import PER_DOCUMENT, EncoderModel, activation

_NAMES: dict[str, LayerKind] = {"full_attention": "full", "sliding_attention": "local"}  # of transformers 5


def layer_kinds(config: Any) -> tuple[LayerKind, ...]:
    """The kinds of layers, from `layer_types` (transformers 5) or `global_attn_every_n_layers`."""
    if types := getattr(config, "layer_types", None):
        return tuple(_NAMES[name] for name in types)
    every = config.global_attn_every_n_layers
    return tuple("full" if layer % every == 0 else "local" for layer in range(config.num_hidden_layers))


def rope_thetas(config: Any) -> dict[LayerKind, float]:
    """The base of the rotary positions, from `rope_parameters` (transformers 5) or the two `*_rope_theta`.

    Raises:
        ValueError: positions are scaled in some way.
    """
    if parameters := getattr(config, "rope_parameters", None):
        for one in parameters.values():
            if one.get("rope_type", "default") != "default":
                raise ValueError(
                    f"Rotary positions of the type {one['rope_type']!r} are not supported, only 'default'."
                )
        return {_NAMES[name]: float(one["rope_theta"]) for name, one in parameters.items()}
    local = config.local_rope_theta
    return {"full": config.global_rope_theta, "local": config.global_rope_theta if local is None else local}


class Rotation:
    """Rotary positions of one kind of layer: cosines and sines of every token, always in fp32."""

    def __init__(self, theta: float, head_size: int) -> None:
        self.frequencies = 1.0 / theta ** (
            torch.arange(0, head_size, 2, dtype=torch.int64).float() / head_size
        )  # (d/2,)

    def angles(self, position_ids: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        angles = position_ids.to(torch.float32).reshape(-1, 1) * self.frequencies.to(position_ids.device)  # (T, d/2)
        return angles.cos().to(dtype).unsqueeze(1), angles.sin().to(dtype).unsqueeze(1)  # (T, 1, d/2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x (T, H, d), whose first and second half are the two parts of each pair."""
    first, second = parts(x, 2)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.head_size = config.hidden_size // config.num_attention_heads
        self.Wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=config.attention_bias)
        self.Wo = nn.Linear(config.hidden_size, config.hidden_size, bias=config.attention_bias)

    def forward(self, hidden: Tensor, tables: Tables, angles: tuple[Tensor, Tensor]) -> Tensor:
        shape = (-1, self.heads, self.head_size)
        q, k, v = (x.reshape(shape) for x in parts(self.Wqkv(hidden), 3))  # (T, H, d)
        q, k = rotate(q, *angles) * self.head_size**-0.5, rotate(k, *angles)
        attended: Tensor = self.Wo(block_attention(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), tables, 0))
        return attended


class Mlp(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.Wi = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.mlp_bias)
        self.activation = activation(config.hidden_activation)
        self.Wo = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)

    def forward(self, hidden: Tensor) -> Tensor:
        inner, gate = parts(self.Wi(hidden), 2)
        out: Tensor = self.Wo(self.activation(inner) * gate)
        return out


def _norm(config: Any) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)


class Layer(nn.Module):
    def __init__(self, config: Any, *, first: bool) -> None:
        super().__init__()
        self.attn_norm = nn.Identity() if first else _norm(config)
        self.attn = Attention(config)
        self.mlp_norm = _norm(config)
        self.mlp = Mlp(config)

    def forward(self, hidden: Tensor, tables: Tables, angles: tuple[Tensor, Tensor]) -> Tensor:
        """One layer. The residual stream is summed in fp32 if the model is in fp16."""
        dtype = self.attn.Wo.weight.dtype
        hidden = hidden + wide(self.attn(self.attn_norm(wide(hidden)).to(dtype), tables, angles))
        return hidden + wide(self.mlp(self.mlp_norm(wide(hidden)).to(dtype)))


class Embeddings(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.norm = _norm(config)

    def forward(self, input_ids: Tensor) -> Tensor:
        normed: Tensor = self.norm(wide(self.tok_embeddings(input_ids)))
        return normed  # (1, T, hidden)


class Encoder(nn.Module):
    def __init__(self, config: Any, kinds: tuple[LayerKind, ...]) -> None:
        super().__init__()
        self.kinds = kinds
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, first=index == 0) for index in range(config.num_hidden_layers))
        self.final_norm = _norm(config)
        head_size = config.hidden_size // config.num_attention_heads
        self.rotations = {kind: Rotation(theta, head_size) for kind, theta in rope_thetas(config).items()}

    def forward(self, input_ids: Tensor, position_ids: Tensor, tables: Mapping[LayerKind, Tables]) -> Tensor:
        """The state before the final norm, in fp32: (1, T, hidden)."""
        hidden: Tensor = self.embeddings(input_ids)
        dtype = self.embeddings.tok_embeddings.weight.dtype
        angles = {kind: self.rotations[kind].angles(position_ids, dtype) for kind in tables}
        for kind, layer in zip(self.kinds, self.layers, strict=True):
            hidden = layer(hidden, tables[kind], angles[kind])
        return hidden


class PredictionHead(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.classifier_bias)
        self.activation = activation(config.classifier_activation)
        self.norm = _norm(config)

    def forward(self, hidden: Tensor) -> Tensor:
        normed: Tensor = self.norm(wide(self.activation(self.dense(hidden))))
        return normed


def window_bias(window: int, size: int) -> Tensor:
    """(b, 3b): switches off the keys of three blocks that are more than `window` tokens from a query of the middle."""
    distance = (torch.arange(size).unsqueeze(1) + size - torch.arange(3 * size)).abs()
    return torch.where(distance > window, MASKED, 0.0)


class ModernBert(EncoderModel):
    """Encoder and the head of one task."""

    config_class: ClassVar[type[PretrainedConfig]] = ModernBertConfig
    architectures: ClassVar[Mapping[Task, str]] = {
        "qa": "ModernBertForQuestionAnswering",
        "classify": "ModernBertForSequenceClassification",
        "rerank": "ModernBertForSequenceClassification",
        "multiple-choice": "ModernBertForMultipleChoice",
        "token-classification": "ModernBertForTokenClassification",
        "summarize": "ModernBertForTokenClassification",
    }

    def __init__(self, config: Any, task: Task) -> None:
        super().__init__()
        self.config = config
        self.task = task
        self.layer_kinds = layer_kinds(config)
        self.max_tokens = config.max_position_embeddings
        self.window = config.local_attention // 2
        if self.window > self.block_size:
            raise ValueError(
                f"Local layers attend {self.window} tokens to each side; at most {self.block_size} are supported."
            )
        self.pools_means = task in PER_DOCUMENT and config.classifier_pooling == "mean"
        self.window_bias = window_bias(self.window, self.block_size)
        self.model = Encoder(config, self.layer_kinds)
        self.head = PredictionHead(config)
        labels = {"qa": 2, "multiple-choice": 1}.get(task, config.num_labels)
        self.classifier = nn.Linear(config.hidden_size, labels)

    @property
    def embedding_inputs(self) -> tuple[str, ...]:
        return ("input_ids", "position_ids")

    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        tables = self.tables(inputs)
        if isinstance(local := tables.get("local"), Rows):
            tables["local"] = replace(local, within=self.window_bias)
        states: Tensor = self.model(inputs["input_ids"], inputs["position_ids"], tables)
        return states

    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        dtype = self.head.dense.weight.dtype
        hidden = self.model.final_norm(states)
        if self.task in PER_DOCUMENT:
            hidden = self.pooled(hidden, inputs)  # (D, hidden)
        logits = self.classifier(wide(self.head(hidden.to(dtype))))
        return (logits[..., 0], logits[..., 1]) if self.task == "qa" else (logits,)

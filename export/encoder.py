"""The interface of a model for the export, for all families: tasks, graph inputs and outputs, one packed forward pass.

A family (export/model.py for BigBird, export/families for the others) is a subclass of `EncoderModel` that keeps the
parameter names of transformers, so that its checkpoints load unchanged. This module does not know files or text.

Shapes: T tokens of a packed batch, N = T / b blocks, D documents, H heads, d head size.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig

from app.block_tables import MASKED
from app.types import AttentionPattern, LayerKind, Task
from export.attention import Tables, rows_of
from export.spans import Spans

# The tasks for which transformers has a head. A reranker is a classifier with one label; evidence has a reranker's
# label, and two labels for every token.
TASKS: tuple[Task, ...] = ("qa", "classify", "multiple-choice", "token-classification", "summarize")
LONGEST_TABLE = 1024  # tokens of a document up to which full layers gather its keys by a table
PER_DOCUMENT: tuple[Task, ...] = (
    "classify",
    "multiple-choice",
    "rerank",
)  # others have outputs for every token


def output_names(task: Task) -> tuple[str, ...]:
    """`token_logits` of evidence are always (1, T, 2)."""
    names: dict[Task, tuple[str, ...]] = {"qa": ("start_logits", "end_logits"), "evidence": ("logits", "token_logits")}
    return names.get(task, ("logits",))


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activations that checkpoints name. gelu_new and its variants are the same formula, with tanh."""
    if name in ("gelu_new", "gelu_fast", "gelu_pytorch_tanh"):
        return lambda x: F.gelu(x, approximate="tanh")
    if name == "gelu":
        return F.gelu
    if name == "relu":
        return F.relu
    raise ValueError(f"The checkpoint has the activation {name!r}; gelu, gelu_new and relu are supported.")


class EncoderModel(nn.Module):
    """An encoder and the head of one task.

    `architectures` names, for every task for which transformers has a head, its class that reads the same checkpoint.
    """

    config_class: ClassVar[type[PretrainedConfig]]
    architectures: ClassVar[Mapping[Task, str]]

    config: Any  # of `config_class`
    task: Task
    layer_kinds: tuple[LayerKind, ...]  # one for each layer
    max_tokens: int
    block_size: int = 64
    num_random_blocks: int = 0
    for_gpus: bool = False  # its graph is for GPUs, see export/gpu_graph.py
    pools_means: bool = False  # its head reads the mean state of each document
    reads_distances: bool = False  # its scores depend on how far two tokens are apart

    def __init__(self, *_: Any) -> None:
        super().__init__()

    @property
    def encoder_config(self) -> Any:
        """The configuration that has the numbers of the encoder."""
        return self.config

    @property
    def kinds(self) -> tuple[LayerKind, ...]:
        return tuple(sorted(set(self.layer_kinds)))

    @property
    def embedding_inputs(self) -> tuple[str, ...]:
        """The inputs of the embeddings; a family without token types has no such input."""
        return ("input_ids", "token_type_ids", "position_ids")

    def packed_inputs(self, pattern: AttentionPattern = "hf-eval") -> tuple[str, ...]:
        """Names of the inputs of the packed graph, in order: only those of the kinds of layers that the model has."""
        parts = dict.fromkeys(self.kinds, ("table", "bias"))
        if self.takes_spans:
            parts["full"] = ("spans", "merge")
        tables = tuple(f"{kind}_{part}" for kind in self.kinds for part in parts[kind])
        if self.reads_distances:
            tables += ("distance_rows", "distance_keys")
        head: tuple[str, ...] = ()
        if self.task in (*PER_DOCUMENT, "evidence"):
            head = ("mean_weights",) if self.pools_means else ("cls_index",)
        return (*self.embedding_inputs, "key_bias", *tables, *head)

    @property
    def takes_spans(self) -> bool:
        """Whether full layers read spans instead of gathering keys, see export/spans.py."""
        return "full" in self.kinds and self.max_tokens > LONGEST_TABLE and not self.for_gpus

    def tables(self, inputs: Mapping[str, Tensor]) -> dict[LayerKind, Tables]:
        """The tables of each kind of layer whose rows are the blocks in their order."""
        key_bias = inputs["key_bias"]
        found: dict[LayerKind, Tables] = {}
        for kind in self.kinds:
            if kind == "full" and self.takes_spans:
                merge = inputs["full_merge"]
                found[kind] = Spans(inputs["full_spans"], merge, key_bias.reshape(-1), key_bias.shape[1])
            else:
                rows = rows_of(None, inputs[f"{kind}_table"], inputs[f"{kind}_bias"], key_bias)
                found[kind] = replace(rows, by_head=kind == "full" and self.max_tokens > LONGEST_TABLE)
        return found

    def pooled(self, hidden: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """(1, T, hidden) -> (D, hidden): the first token of each document, or the mean of all its tokens."""
        if not self.pools_means:
            return hidden[0].index_select(0, inputs["cls_index"])
        real = 1.0 + inputs["key_bias"] / -MASKED  # (N, b) 1 for tokens, 0 for padding
        blocks = hidden.reshape(*real.shape, -1) * real.unsqueeze(-1)  # (N, b, hidden)
        return inputs["mean_weights"] @ blocks.sum(1)

    @abstractmethod
    def states(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The states of the last layer for a packed batch, before any final norm: (1, T, hidden)."""

    @abstractmethod
    def logits(self, states: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The logits of the head: two (1, T) for qa, (D, labels) for tasks over documents, else (1, T, labels)."""

    def run(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The outputs of a packed batch, see `output_names`."""
        return self.logits(self.states(inputs), inputs)

    def saved_config(self) -> dict[str, Any]:
        """config.json of a checkpoint of this model, with which transformers loads it."""
        return {**self.config.to_dict(), "architectures": [self.architectures[self.task]]}


class PackedModel(nn.Module):
    """The layout that the service runs: one token axis, block tables as inputs."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> tuple[Tensor, ...]:
        """Takes the inputs that `model.packed_inputs` names."""
        return self.model.run(inputs)

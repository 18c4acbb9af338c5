"""The padded layout: ordinary (B, L) batches, as optimum passes them, over the model of packed batches.

The graph itself makes the tables, from L alone. This module does not know heads or weights.

Shapes: B documents of L tokens, n blocks of b tokens a document, D dense and S sparse rows a document.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from app.block_tables import LOCAL_WIDTH, MASKED, SPAN_BLOCKS
from export.attention import BlockTables, Rows, rows_of
from export.encoder import PER_DOCUMENT, EncoderModel
from export.model import BigBird


def padded_inputs(model: EncoderModel) -> tuple[str, ...]:
    """Names of the inputs of the padded graph, in order: those of the tokenizers of transformers."""
    types = ("token_type_ids",) if "token_type_ids" in model.embedding_inputs else ()
    return ("input_ids", "attention_mask", *types)


class Padded(nn.Module):
    """The layout optimum expects: (B, L) inputs, or (examples, choices, L) for the logits (examples, choices)."""

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        if input_ids.dim() == 2:
            return self.outputs(input_ids, attention_mask, token_type_ids)
        types = None if token_type_ids is None else token_type_ids.flatten(0, 1)
        (logits,) = self.outputs(input_ids.flatten(0, 1), attention_mask.flatten(0, 1), types)
        return (logits.reshape(input_ids.shape[:2]),)

    @abstractmethod
    def outputs(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None
    ) -> tuple[Tensor, ...]: ...


class PaddedModel(Padded):
    """Of a model whose layers are full or local: the tables follow from L."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model

    def outputs(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> tuple[Tensor, ...]:
        model, size = self.model, self.model.block_size
        documents, length = input_ids.shape
        blocks = (length + size - 1) // size  # n, blocks of a document
        packed = _Packing(length, blocks * size)
        device = input_ids.device
        real = packed(attention_mask)  # (1, B * n * b)
        each = torch.arange(blocks, device=device)  # (n,)
        first = (torch.arange(documents, device=device) * blocks).reshape(-1, 1, 1)  # (B, 1, 1)
        positions = torch.arange(blocks * size, device=device).clamp(max=model.max_tokens - 1)
        inputs = {
            "input_ids": packed(input_ids),
            "position_ids": positions.repeat(documents).unsqueeze(0) * real,
            "key_bias": (1.0 - real.to(torch.float32)).reshape(-1, size) * MASKED,  # (N, b)
        }
        if token_type_ids is not None:
            inputs["token_type_ids"] = packed(token_type_ids)
        if "full" in model.kinds and model.takes_spans:
            inputs |= _spans(documents, blocks, size, each, first)
        elif "full" in model.kinds:
            table = first + each.reshape(1, 1, -1) + each.reshape(1, -1, 1) * 0  # (B, n, n)
            inputs["full_table"] = table.flatten(0, 1)
            inputs["full_bias"] = (inputs["full_table"] * 0).to(torch.float32)
        if "local" in model.kinds:
            places = each.reshape(1, -1, 1) + torch.arange(LOCAL_WIDTH, device=device) - 1 + first * 0  # (B, n, 3)
            inside = (places >= 0) & (places < blocks)
            inputs["local_table"] = torch.where(inside, first + places, 0).flatten(0, 1)
            inputs["local_bias"] = torch.where(inside, 0.0, MASKED).flatten(0, 1)
        if model.reads_distances:
            longest = -(-model.max_tokens // size)
            apart = (each - each.unsqueeze(1)).clamp(1 - longest, longest - 1)  # (n, n) blocks
            apart = (apart.unsqueeze(0) + first * 0).flatten(0, 1) + longest - 1
            rows = (first.squeeze(-1) + each).reshape(-1, 1)  # (B * n, 1)
            inputs["distance_rows"] = rows * (2 * longest) + apart
            inputs["distance_keys"] = inputs["full_table"] * (2 * longest) - apart + 2 * (longest - 1)
        inputs["cls_index"] = torch.arange(documents, device=device) * blocks * size
        if model.pools_means:
            tokens = attention_mask.to(torch.float32).sum(1).reshape(-1, 1)  # (B, 1)
            owner = (first.squeeze(-1) + each * 0).reshape(1, -1)  # (1, B * n)
            inputs["mean_weights"] = (owner == first.squeeze(-1)).to(torch.float32) / tokens
        outputs = model.run(inputs)
        return outputs if model.task in PER_DOCUMENT else _kept(outputs, documents, length, blocks * size)


class _Packing:
    """(B, L) -> (1, B * n * b)."""

    def __init__(self, length: int, padded: int) -> None:
        self._padding = padded - length

    def __call__(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self._padding)).reshape(1, -1)


def _kept(outputs: Sequence[Tensor], documents: int, length: int, padded: int) -> tuple[Tensor, ...]:
    """Outputs for every token without those of the padding to whole blocks: (B, L, ...).

    They are selected by index: for torch.export the length of a slice would be Min(length, 64 * ceil(length / 64)).
    """
    kept = torch.arange(length, device=outputs[0].device)
    # (1, B * padded, ...) -> (B, L, ...)
    return tuple(x.reshape(documents, padded, *x.shape[2:]).index_select(1, kept) for x in outputs)


def _spans(documents: int, blocks: int, size: int, each: Tensor, first: Tensor) -> dict[str, Tensor]:
    """Spans of every document, as `app.packing.pack` has them."""
    count = (blocks + SPAN_BLOCKS - 1) // SPAN_BLOCKS
    numbers = torch.arange(count, device=each.device).unsqueeze(0)  # (1, S)
    start = first.squeeze(-1)  # (B, 1)
    query = start + numbers * SPAN_BLOCKS
    bounds = torch.stack([query, query + SPAN_BLOCKS, start + numbers * 0, start + numbers * 0 + blocks], dim=-1)
    document = torch.arange(documents, device=each.device).unsqueeze(1)
    return {
        "full_spans": (bounds.reshape(-1, 4) * size).to(torch.int32),  # (B * S, 4)
        "full_merge": (document * count * SPAN_BLOCKS + each).reshape(-1),  # (N,)
    }


class PaddedBigBird(Padded):
    """Of a BigBird. Pattern "hf-eval" only.

    The rule "full attention up to 5 + 2r blocks" is decided by the data: rows are picked with `nonzero`, so a short
    batch has no sparse rows and a long one has two dense rows a document. How many rows that gives is unknown to
    torch.export: `merge` is computed from the blocks and not from the rows, so that those sizes stay inside attention
    and every layer begins with sizes that are known.
    """

    def __init__(self, model: BigBird, sep_token_id: int) -> None:
        super().__init__()
        self.model = model
        self.sep_token_id = sep_token_id

    def outputs(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None) -> tuple[Tensor, ...]:
        assert token_type_ids is not None
        config = self.model.config
        size, r = config.block_size, config.num_random_blocks
        documents, length = input_ids.shape
        blocks = (length + size - 1) // size  # n, blocks of a document
        packed = _Packing(length, blocks * size)
        key_bias = (1.0 - packed(attention_mask).to(torch.float32)).reshape(-1, size) * MASKED  # (N, b)
        positions = torch.arange(blocks * size, device=input_ids.device)
        positions = positions.clamp(max=config.max_position_embeddings - 1).repeat(documents).unsqueeze(0)

        each = torch.arange(blocks, device=input_ids.device)  # (n,)
        is_edge = (each == 0) | (each == blocks - 1)
        is_dense = is_edge | ((each * 0 + blocks) <= 5 + 2 * r)
        dense, sparse = is_dense.nonzero().reshape(-1), (~is_dense).nonzero().reshape(-1)  # (D,), (S,)
        first = (torch.arange(documents, device=input_ids.device) * blocks).reshape(-1, 1, 1)  # (B, 1, 1)
        dense_table = (first + each.reshape(1, 1, -1) + dense.reshape(1, -1, 1) * 0).flatten(0, 1)  # (B * D, n)
        dense_rows = (first.squeeze(-1) + dense).reshape(-1)  # (B * D,)
        columns = torch.stack([sparse * 0, sparse - 1, sparse, sparse + 1, sparse * 0 + blocks - 1], dim=1)  # (S, 5)
        sparse_table = (first + columns.unsqueeze(0)).flatten(0, 1)  # (B * S, 5)
        sparse_rows = (first.squeeze(-1) + sparse).reshape(-1)  # (B * S,)
        again_first = (sparse == 1).to(torch.float32) * MASKED
        again_last = (sparse == blocks - 2).to(torch.float32) * MASKED
        zero = again_first * 0
        log_count = zero + torch.log(torch.tensor(1.0 + r))
        sparse_bias = torch.stack([log_count, again_first, zero, again_last, zero], dim=1)  # (S, 5)
        sparse_bias = (sparse_bias.unsqueeze(0) + first.to(torch.float32) * 0).flatten(0, 1)  # (B * S, 5)

        # Dense rows of all documents come first, then sparse rows: where block i of document j stands among them.
        counted = is_dense.to(torch.int64)  # ONNX sums no booleans
        dense_count = counted.sum()
        document = torch.arange(documents, device=input_ids.device).unsqueeze(1)  # (B, 1)
        among_dense = document * dense_count + counted.cumsum(0) - 1  # (B, n)
        among_sparse = documents * dense_count + document * (blocks - dense_count) + (1 - counted).cumsum(0) - 1
        merge = torch.where(is_dense, among_dense, among_sparse).reshape(-1)  # (N,)
        # The first and last row of a document are dense rows here.
        none = Rows(dense_rows[:0], dense_table[:0, :1], key_bias[:0], size)
        tables = BlockTables(
            rows_of(dense_rows, dense_table, (dense_table * 0).to(torch.float32), key_bias),
            none,
            rows_of(sparse_rows, sparse_table, sparse_bias, key_bias),
            merge,
            size,
        )
        cls_index = torch.arange(documents, device=input_ids.device) * blocks * size
        question_mask = None
        if self.model.task == "qa":
            # transformers' own rule: the question ends at the first [SEP]; [CLS] stays, because it is the null answer.
            separator = (input_ids == self.sep_token_id).to(torch.int64)
            first_separator = torch.argmax(separator, dim=1, keepdim=True)  # (B, 1)
            place = torch.arange(length, device=input_ids.device).unsqueeze(0)  # (1, L)
            question_mask = packed(((place <= first_separator) & (place > 0)).to(torch.float32))
        outputs = self.model(packed(input_ids), packed(token_type_ids), positions, tables, question_mask, cls_index)
        if self.model.task in PER_DOCUMENT:
            return tuple(outputs)
        return _kept(outputs, documents, length, blocks * size)

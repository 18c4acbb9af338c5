"""Packed batches: documents one after another on a single token axis, each rounded up to whole blocks.

app/block_tables.py builds the tables that say which key blocks every block attends to. This module does not know text,
models or ONNX.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from app.block_tables import MASKED, AttentionLayout, block_tables
from app.errors import ImpossibleTable
from app.types import IntArray


@dataclass(frozen=True)
class Document:
    """One sequence for the engine. Arrays have shape (tokens,); `question_length`: [CLS] question [SEP], or 0."""

    input_ids: IntArray
    token_type_ids: IntArray
    question_length: int = 0


@dataclass(frozen=True)
class PackedBatch:
    """One batch on one token axis T = block_size * blocks, as graph inputs."""

    inputs: dict[str, npt.NDArray[Any]]
    documents: tuple[slice, ...]  # the places of each document's tokens on the token axis
    tokens: int
    padded_tokens: int


def packed_length(tokens: int, block_size: int) -> int:
    """Tokens rounded up to whole blocks: the cost of a document in a batch."""
    return -(-tokens // block_size) * block_size


def pack(documents: Sequence[Document], layout: AttentionLayout) -> PackedBatch:
    """Lay documents on one token axis and build the block tables of the batch.

    The inputs, with T tokens, N = T / block_size blocks and D documents:
        input_ids, token_type_ids, position_ids int32 (1, T); key_bias float32 (N, block_size), 0 or -1e4 for padding;
        full_table int32 (N, W), full_bias float32 (N, W); or full_spans int32 (S, 4): first query token and the one
        after the last, first key token and the one after the last, full_merge int32 (N,): the place of block i among
        the blocks of all spans; local_table int32 (N, 3), local_bias float32 (N, 3);
        distance_rows, distance_keys int32 (N, W): see app/block_tables.py;
        mean_weights float32 (D, N): 1 / tokens of the document for its own blocks;
        {dense,global,sparse}_rows int32 (R,), _table int32 (R, W), _bias float32 (R, W); merge int32 (N,): the place
        of block i's result among the dense, global and sparse rows, put one after another;
        random_table int32 (layers, heads, sparse R, r), pattern "random" only;
        question_mask float32 (1, T): 1 on the tokens of a question except [CLS]; cls_index int32 (D,).

    Raises:
        ImpossibleTable: no document, an empty one, arrays of unequal lengths, or a table that names a block outside its
            document.
    """
    if not documents:
        raise ImpossibleTable("A batch needs at least one document.")
    if (layout.pattern == "random") != (layout.random_plan is not None):
        raise ImpossibleTable('The pattern "random" needs a random plan, and no other pattern takes one.')
    size = layout.block_size
    lengths = [len(document.input_ids) for document in documents]
    for document, length in zip(documents, lengths, strict=True):
        if length == 0 or len(document.token_type_ids) != length or not 0 <= document.question_length <= length:
            raise ImpossibleTable("A document must have at least one token, and a token type for each.")
    block_counts = [packed_length(length, size) // size for length in lengths]
    *first_blocks, blocks = itertools.accumulate(block_counts, initial=0)
    padded = blocks * size

    input_ids = np.zeros(padded, dtype=np.int32)
    token_type_ids = np.zeros(padded, dtype=np.int32)
    position_ids = np.zeros(padded, dtype=np.int32)
    key_bias = np.full(padded, MASKED, dtype=np.float32)
    question_mask = np.zeros(padded, dtype=np.float32)
    slices = []
    for document, length, first in zip(documents, lengths, first_blocks, strict=True):
        here = slice(first * size, first * size + length)
        input_ids[here] = document.input_ids
        token_type_ids[here] = document.token_type_ids
        position_ids[here] = np.arange(length)
        key_bias[here] = 0.0
        question_mask[here.start + 1 : here.start + document.question_length] = 1.0
        slices.append(here)

    inputs: dict[str, npt.NDArray[Any]] = {
        "input_ids": input_ids[None],
        "token_type_ids": token_type_ids[None],
        "position_ids": position_ids[None],
        "key_bias": key_bias.reshape(blocks, size),  # (N, b)
        "question_mask": question_mask[None],
        "cls_index": np.array([here.start for here in slices], dtype=np.int32),
    }
    if layout.means:
        owner = np.repeat(np.arange(len(lengths)), block_counts)  # (N,)
        weights = (owner == np.arange(len(lengths))[:, None]) / np.array(lengths)[:, None]
        inputs["mean_weights"] = weights.astype(np.float32)
    inputs |= {name: table.copy() for name, table in _block_tables(tuple(block_counts), layout).items()}
    return PackedBatch(inputs, tuple(slices), sum(lengths), padded)


@lru_cache(maxsize=64)  # a lone document has one of a few sizes, and its tables take as long to build as all the rest
def _block_tables(block_counts: tuple[int, ...], layout: AttentionLayout) -> dict[str, npt.NDArray[Any]]:
    return block_tables(block_counts, layout)

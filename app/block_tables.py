"""Block tables: which key blocks every query block of a batch attends to, built and checked in numpy.

A row is one query block; its row of a block table lists the key blocks it attends to. Layers attend in one of three
ways, the kind of a layer, and every kind that a model has comes with tables of its own:

    full     every block of a document attends to all its blocks; one row for each block, in order. For documents so
             long that a table would copy too many keys: spans of query blocks, and the keys of their document
    local    every block attends to itself and its two neighbours; one row for each block, in order
    bigbird  three kinds of rows, each with a table of its own width:
             dense   every block of a document of at most 5 + 2r blocks: full attention, the rule of transformers
             global  first and last block of a longer document: all its blocks
             sparse  the blocks between: 0, i-1, i, i+1, n-1 (and r random blocks per head and layer, pattern "random")

A table index out of range is a silent zero on some providers, so every table is validated here before one runs it.
This module does not know documents, tokens, text or ONNX: app/packing.py lays documents on the token axis.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from app.errors import BrokenModel, ImpossibleTable
from app.types import AttentionPattern, FloatArray, IntArray, LayerKind

# Switches a key off: exp(-1e4) is 0 in fp32, and unlike finfo.min it fits fp16 and can be added twice.
RANDOM_PLAN_FILE = "random_plan.npz"  # next to the graph of a model with the pattern "random"
MASKED = -1e4
SPARSE_WIDTH = 5
LOCAL_WIDTH = 3
SPAN_BLOCKS = 4  # query blocks of a span, see docs/decisions/0032
ROW_KINDS = ("dense", "global", "sparse")  # of the layer kind "bigbird"


@dataclass(frozen=True, eq=False)
class RandomPlan:
    """For every number of blocks n: the random key blocks of the middle rows, (layers, heads, n - 2, r)."""

    blocks: dict[int, IntArray]


@dataclass(frozen=True)
class AttentionLayout:
    """The attention of one model: the kinds of its layers, and for "bigbird" its random blocks and its pattern.

    `spans`: layers of the kind "full" take spans instead of a table; `means`: the head reads means over documents.
    `random_plan` belongs to the pattern "random" and only to it.
    """

    block_size: int = 64
    num_random_blocks: int = 3
    pattern: AttentionPattern = "hf-eval"
    random_plan: RandomPlan | None = field(default=None, repr=False)
    kinds: tuple[LayerKind, ...] = ("bigbird",)
    spans: bool = False
    means: bool = False
    distances: int = 0  # blocks of the longest document, if scores depend on distances, else 0

    def is_dense(self, blocks: int) -> bool:
        """Whether a document of so many blocks has no layer with global and sparse rows."""
        return "bigbird" not in self.kinds or blocks <= 5 + 2 * self.num_random_blocks


def load_random_plan(path: Path) -> RandomPlan:
    """Read the plan that the exporter stored with a model (`RANDOM_PLAN_FILE`, no pickles)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return RandomPlan({int(name): arrays[name].astype(np.int32) for name in arrays.files})
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise BrokenModel(f"{path.name} cannot be read: {error}") from error


@dataclass(frozen=True)
class _DocumentRows:
    """Rows of one document, in blocks counted from its own first block."""

    dense: IntArray  # (rows,)
    dense_table: IntArray  # (rows, n)
    global_: IntArray
    global_table: IntArray
    sparse: IntArray
    sparse_table: IntArray  # (rows, 5)
    sparse_bias: FloatArray  # (rows, 5)


@lru_cache(maxsize=512)
def _document_rows(blocks: int, dense: bool, first_block_bias: float) -> _DocumentRows:
    every = np.arange(blocks, dtype=np.int32)
    none = np.zeros(0, dtype=np.int32)
    if dense:
        no_sparse = np.zeros((0, SPARSE_WIDTH), dtype=np.int32)
        table = np.tile(every, (blocks, 1))
        return _DocumentRows(
            every, table, none, np.zeros((0, 0), np.int32), none, no_sparse, no_sparse.astype(np.float32)
        )
    middle = every[1:-1]
    table = np.stack([np.zeros_like(middle), middle - 1, middle, middle + 1, np.full_like(middle, blocks - 1)], axis=1)
    bias = np.zeros(table.shape, dtype=np.float32)
    bias[:, 0] = first_block_bias
    bias[0, 1] = MASKED  # i = 1: block i-1 is block 0, named already
    bias[-1, 3] = MASKED  # i = n-2: block i+1 is block n-1, named again in the last column
    ends = np.array([0, blocks - 1], dtype=np.int32)
    return _DocumentRows(none, np.zeros((0, 0), np.int32), ends, np.tile(every, (2, 1)), middle, table, bias)


def _stack(
    parts: list[tuple[IntArray, IntArray, FloatArray | None]], width: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Stack tables of different widths; a missing key block is block 0 of the batch, switched off by its bias.

    A kind without rows gets one idle row, whose result nothing reads: some providers fail on empty tensors.
    """
    count = max(1, sum(len(rows) for rows, _, _ in parts))
    width = max(1, width)
    rows = np.zeros(count, dtype=np.int32)
    table = np.zeros((count, width), dtype=np.int32)
    bias = np.full((count, width), MASKED, dtype=np.float32)
    at = 0
    for part_rows, part_table, part_bias in parts:
        end = at + len(part_rows)
        rows[at:end] = part_rows
        table[at:end, : part_table.shape[1]] = part_table
        bias[at:end, : part_table.shape[1]] = 0.0 if part_bias is None else part_bias
        at = end
    return rows, table, bias


def block_tables(block_counts: Sequence[int], layout: AttentionLayout) -> dict[str, npt.NDArray[Any]]:
    """The tables of every kind of layer, for documents of so many blocks each; see `app.packing.pack`."""
    inputs: dict[str, npt.NDArray[Any]] = {}
    if "full" in layout.kinds:
        inputs |= (
            _spans(block_counts, layout.block_size)
            if layout.spans
            else _in_order("full", block_counts, np.arange(max(block_counts)))
        )
    if layout.distances:
        inputs |= _distances(inputs["full_table"], block_counts, layout.distances)
    if "local" in layout.kinds:
        inputs |= _in_order("local", block_counts, np.arange(LOCAL_WIDTH) - 1, around=True)
    if "bigbird" in layout.kinds:
        inputs |= _bigbird_tables(block_counts, layout)
    validate_tables(inputs, block_counts)
    return inputs


def _in_order(
    kind: LayerKind, block_counts: Sequence[int], columns: npt.NDArray[np.int64], *, around: bool = False
) -> dict[str, npt.NDArray[Any]]:
    """A row for each block, in order: the blocks at `columns`, counted from the document's first or around its own.

    A key block that the document does not have is block 0 of the batch, switched off by its bias.
    """
    counts = np.repeat(block_counts, block_counts)[:, None]  # (N, 1) blocks of the document of each block
    firsts = np.repeat(np.cumsum(block_counts) - block_counts, block_counts)[:, None]
    own = np.arange(len(counts))[:, None] - firsts if around else 0
    places = own + columns  # (N, W)
    inside = (places >= 0) & (places < counts)
    return {
        f"{kind}_table": np.where(inside, firsts + places, 0).astype(np.int32),
        f"{kind}_bias": np.where(inside, 0.0, MASKED).astype(np.float32),
    }


def _distances(table: IntArray, block_counts: Sequence[int], longest: int) -> dict[str, npt.NDArray[Any]]:
    """For each key block of a row, the first of the two segments of distances that the pair needs.

    A block's products with all distances lie in 2 * `longest` segments of a block each, from -longest blocks on;
    segments are numbered over all blocks. `distance_rows`: products of the row's queries, by the key's place less the
    query's; `distance_keys`: products of the keys, by the query's place less the key's.
    """
    segments = 2 * longest
    own = np.arange(len(table)) - np.repeat(np.cumsum(block_counts) - block_counts, block_counts)
    # Columns that a document does not have are switched off; their segments only have to exist.
    apart = np.clip(np.arange(table.shape[1]) - own[:, None], 1 - longest, longest - 1)  # (N, W) blocks
    rows = np.arange(len(table))[:, None] * segments + apart + longest - 1
    keys = table * segments - apart + longest - 1
    return {"distance_rows": rows.astype(np.int32), "distance_keys": keys.astype(np.int32)}


def _spans(block_counts: Sequence[int], size: int) -> dict[str, npt.NDArray[Any]]:
    """Spans of `SPAN_BLOCKS` query blocks of one document; results of the last one past its end are not read."""
    spans: list[tuple[int, int, int, int]] = []
    merge: list[int] = []
    first = 0
    for count in block_counts:
        merge += [len(spans) * SPAN_BLOCKS + block for block in range(count)]
        for block in range(first, first + count, SPAN_BLOCKS):
            spans.append((block, block + SPAN_BLOCKS, first, first + count))
        first += count
    return {
        "full_spans": np.array(spans, dtype=np.int32) * np.int32(size),
        "full_merge": np.array(merge, dtype=np.int32),
    }


def _bigbird_tables(block_counts: Sequence[int], layout: AttentionLayout) -> dict[str, npt.NDArray[Any]]:
    first_block_bias = float(np.log(1 + layout.num_random_blocks)) if layout.pattern == "hf-eval" else 0.0
    dense: list[tuple[IntArray, IntArray, FloatArray | None]] = []
    global_: list[tuple[IntArray, IntArray, FloatArray | None]] = []
    sparse: list[tuple[IntArray, IntArray, FloatArray | None]] = []
    random_blocks: list[IntArray] = []
    first = 0
    for count in block_counts:
        rows = _document_rows(count, layout.is_dense(count), first_block_bias)
        if layout.is_dense(count):
            dense.append((rows.dense + first, rows.dense_table + first, None))
        else:
            global_.append((rows.global_ + first, rows.global_table + first, None))
            sparse.append((rows.sparse + first, rows.sparse_table + first, rows.sparse_bias))
            if layout.random_plan is not None:
                random_blocks.append(_planned(layout.random_plan, count) + first)
        first += count
    inputs: dict[str, npt.NDArray[Any]] = {}
    for kind, parts in (("dense", dense), ("global", global_), ("sparse", sparse)):
        width = SPARSE_WIDTH if kind == "sparse" else max((table.shape[1] for _, table, _ in parts), default=1)
        inputs[f"{kind}_rows"], inputs[f"{kind}_table"], inputs[f"{kind}_bias"] = _stack(parts, width)
    inputs["merge"] = _merge_order(
        inputs, [sum(len(rows) for rows, _, _ in parts) for parts in (dense, global_, sparse)], first
    )
    if layout.random_plan is not None:
        if random_blocks:
            inputs["random_table"] = np.concatenate(random_blocks, axis=2)  # (layers, heads, R, r)
        else:
            layers, heads, _, r = next(iter(layout.random_plan.blocks.values())).shape
            inputs["random_table"] = np.zeros((layers, heads, 1, r), dtype=np.int32)
    return inputs


def _planned(plan: RandomPlan, blocks: int) -> IntArray:
    try:
        return plan.blocks[blocks]
    except KeyError:
        longest = max(plan.blocks)
        raise ImpossibleTable(
            f"The model has no random blocks for {blocks} blocks; its longest plan has {longest}."
        ) from None


def _merge_order(inputs: dict[str, npt.NDArray[Any]], real: list[int], blocks: int) -> IntArray:
    """For every block, the position of its row in [dense rows, global rows, sparse rows] (idle rows counted)."""
    merge = np.full(blocks, -1, dtype=np.int32)
    offset = 0
    for kind, count in zip(ROW_KINDS, real, strict=True):
        merge[inputs[f"{kind}_rows"][:count]] = offset + np.arange(count, dtype=np.int32)
        offset += len(inputs[f"{kind}_rows"])
    return merge


def validate_tables(inputs: dict[str, npt.NDArray[Any]], block_counts: Sequence[int]) -> None:
    """Refuse tables that a provider would read wrongly.

    Raises:
        ImpossibleTable: a block has no row, an index lies outside the batch, or a row attends to another document.
    """
    blocks = sum(block_counts)
    owner = np.repeat(np.arange(len(block_counts)), block_counts)
    if (merge := inputs.get("merge")) is not None:
        rows_in_all = sum(len(inputs[f"{kind}_rows"]) for kind in ROW_KINDS)
        if len(merge) != blocks or len(np.unique(merge)) != blocks or merge.min() < 0 or merge.max() >= rows_in_all:
            raise ImpossibleTable("Every block needs exactly one row.")
    if (spans := inputs.get("full_spans")) is not None:
        _validate_spans(spans, inputs["full_merge"], block_counts)
    for kind in ("full", "local", *ROW_KINDS):
        if f"{kind}_table" not in inputs:
            continue
        table, bias = inputs[f"{kind}_table"], inputs[f"{kind}_bias"]
        rows = inputs.get(f"{kind}_rows", np.arange(blocks))
        if table.shape != bias.shape or len(table) != len(rows):
            raise ImpossibleTable(f"The {kind} rows, table and bias differ in shape.")
        if rows.min() < 0 or rows.max() >= blocks or table.min() < 0 or table.max() >= blocks:
            raise ImpossibleTable(f"The {kind} table names a block outside the batch of {blocks} blocks.")
        attended = bias > MASKED
        if np.any((owner[table] != owner[rows][:, None]) & attended):
            raise ImpossibleTable(f"The {kind} table lets a document attend to another.")
    random_table = inputs.get("random_table")
    if random_table is not None:
        sparse_rows, sparse_bias = inputs["sparse_rows"], inputs["sparse_bias"]
        if random_table.shape[2] != len(sparse_rows) or random_table.min() < 0 or random_table.max() >= blocks:
            raise ImpossibleTable("The random table names a block outside the batch or misses a row.")
        if np.any(sparse_bias > MASKED) and np.any(owner[random_table] != owner[sparse_rows][:, None]):
            raise ImpossibleTable("The random table lets a document attend to another.")


def _validate_spans(spans: IntArray, merge: IntArray, block_counts: Sequence[int]) -> None:
    wanted = _spans(block_counts, int(spans[0, 1] - spans[0, 0]) // SPAN_BLOCKS)
    if not np.array_equal(spans, wanted["full_spans"]) or not np.array_equal(merge, wanted["full_merge"]):
        raise ImpossibleTable("The spans do not cover every block of every document once, over its own keys.")

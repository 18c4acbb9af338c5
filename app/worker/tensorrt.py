"""How large a packed batch can become, and the few shapes that batches are rounded up to for engines built for shapes.

A TensorRT engine is built for ranges of shapes; a batch outside them would have it built again, for minutes, while
requests wait. The ranges follow from the limits of packing, so no batch that the scheduler may form lies outside.
Within them, sizes are rounded up to a ladder of at most a quarter more, so that an engine soon has seen every shape.
What is added does nothing: rows that nothing reads, keys switched off, tokens that no row attends to. Knows numbers
and numpy arrays; nothing of ONNX or TensorRT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.packing import MASKED, SPARSE_WIDTH, AttentionLayout, PackedBatch, block_tables, packed_length

Inputs = Mapping[str, npt.NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]

KINDS = ("dense", "global", "sparse")


@dataclass(frozen=True)
class Sizes:
    """Every size of a packed batch that varies. None is ever 0: a kind without rows has an idle one."""

    blocks: int
    documents: int
    dense_rows: int
    dense_width: int
    global_rows: int
    global_width: int
    sparse_rows: int

    @classmethod
    def of(cls, inputs: Inputs) -> "Sizes":
        return cls(
            blocks=len(inputs["merge"]),
            documents=len(inputs["cls_index"]),
            dense_rows=len(inputs["dense_rows"]),
            dense_width=inputs["dense_table"].shape[1],
            global_rows=len(inputs["global_rows"]),
            global_width=inputs["global_table"].shape[1],
            sparse_rows=len(inputs["sparse_rows"]),
        )

    def shapes(self, layout: AttentionLayout) -> Shapes:
        """The shape of every input of a packed graph."""
        tokens = (1, self.blocks * layout.block_size)
        shapes: Shapes = {
            "input_ids": tokens,
            "token_type_ids": tokens,
            "position_ids": tokens,
            "question_mask": tokens,
            "key_bias": (self.blocks, layout.block_size),
            "merge": (self.blocks,),
            "cls_index": (self.documents,),
        }
        for kind, rows, width in (
            ("dense", self.dense_rows, self.dense_width),
            ("global", self.global_rows, self.global_width),
            ("sparse", self.sparse_rows, SPARSE_WIDTH),
        ):
            shapes |= {f"{kind}_rows": (rows,), f"{kind}_table": (rows, width), f"{kind}_bias": (rows, width)}
        if layout.random_plan is not None:
            layers, heads, _, r = next(iter(layout.random_plan.blocks.values())).shape
            shapes["random_table"] = (layers, heads, self.sparse_rows, r)
        return shapes


@dataclass(frozen=True)
class Profile:
    """The shapes an engine is built for: the smallest, those it is tuned for, and the largest."""

    least: Sizes
    best: Sizes
    most: Sizes


def profile(layout: AttentionLayout, max_tokens: int, max_batch_tokens: int) -> Profile:
    """What the scheduler can form: whole blocks up to `max_batch_tokens`, or one window of `max_tokens` alone.

    Tuned for a full batch that is half one long document and half short ones.
    """
    size = layout.block_size
    longest = packed_length(max_tokens, size) // size
    blocks = max(max_batch_tokens // size, longest)
    dense = max(n for n in range(1, longest + 1) if layout.is_dense(n))
    has_long = longest > dense
    most = Sizes(
        blocks=blocks,
        documents=blocks,
        dense_rows=blocks,
        dense_width=dense,
        global_rows=2 * (blocks // (dense + 1)) if has_long else 1,
        global_width=longest if has_long else 1,
        sparse_rows=blocks - 2 if has_long else 1,
    )
    long = min(longest, max(blocks // 2, min(dense + 1, longest)))
    short, rest = divmod(blocks - long, dense)
    counts = [long, *[dense] * short, *[rest] * (rest > 0)]
    best = Sizes.of({**block_tables(counts, layout), "cls_index": np.zeros(len(counts))})
    return Profile(Sizes(1, 1, 1, 1, 1, 1, 1), rounded_up(best, most), most)


def ladder(most: int) -> list[int]:
    """The sizes up to `most` that are used: all up to 8, then four to each doubling, and `most` itself."""
    steps = [n for n in range(1, most) if n <= 8 or n % (1 << (n.bit_length() - 3)) == 0]
    return [*steps, most]


def rounded_up(sizes: Sizes, most: Sizes) -> Sizes:
    """Each size at its next step.

    Raises:
        ValueError: a size lies above the most there may be.
    """
    return Sizes(*(_next(size, limit) for size, limit in zip(astuple(sizes), astuple(most), strict=True)))


def _next(size: int, most: int) -> int:
    if size > most:
        raise ValueError(f"A batch has a size of {size} where the engine was built for {most} at most.")
    return next(step for step in ladder(most) if step >= size)


def fill(batch: PackedBatch, sizes: Sizes) -> PackedBatch:
    """The same batch in larger sizes; results of its documents are the same, and what is added has none."""
    old = Sizes.of(batch.inputs)
    inputs = dict(batch.inputs)
    merge = inputs["merge"]
    ends = np.cumsum([len(inputs[f"{kind}_rows"]) for kind in KINDS])
    for kind, rows, width in zip(
        KINDS,
        (sizes.dense_rows, sizes.global_rows, sizes.sparse_rows),
        (sizes.dense_width, sizes.global_width, SPARSE_WIDTH),
        strict=True,
    ):
        inputs[f"{kind}_rows"] = _grown(inputs[f"{kind}_rows"], (rows,))
        inputs[f"{kind}_table"] = _grown(inputs[f"{kind}_table"], (rows, width))
        inputs[f"{kind}_bias"] = _grown(inputs[f"{kind}_bias"], (rows, width), MASKED)
    # Rows that come after added ones have moved.
    added = np.array([0, sizes.dense_rows - old.dense_rows, sizes.global_rows - old.global_rows], dtype=np.int32)
    merge = merge + np.cumsum(added, dtype=np.int32)[np.searchsorted(ends, merge, side="right")]
    # Blocks that are added take over some row's result: nothing attends to them, and nobody reads them.
    inputs["merge"] = _grown(merge, (sizes.blocks,), merge[0])
    size = inputs["key_bias"].shape[1]
    inputs["key_bias"] = _grown(inputs["key_bias"], (sizes.blocks, size), MASKED)
    for name in ("input_ids", "token_type_ids", "position_ids", "question_mask"):
        inputs[name] = _grown(inputs[name], (1, sizes.blocks * size))
    inputs["cls_index"] = _grown(inputs["cls_index"], (sizes.documents,))
    if (table := inputs.get("random_table")) is not None:
        layers, heads, _, r = table.shape
        inputs["random_table"] = _grown(table, (layers, heads, sizes.sparse_rows, r))
    return PackedBatch(inputs, batch.documents, batch.tokens, sizes.blocks * size)


def _grown(array: npt.NDArray[Any], shape: Sequence[int], value: float = 0) -> npt.NDArray[Any]:
    grown = np.full(shape, value, dtype=array.dtype)
    grown[tuple(slice(0, length) for length in array.shape)] = array
    return grown

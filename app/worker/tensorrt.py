"""TensorRT: the profile of shapes that an engine is built for, batches rounded up to it, and the cache of engines.

A TensorRT engine is built for ranges of shapes; a batch outside them would have it built again, for minutes, while
requests wait. The ranges follow from the limits of packing, so no batch that the scheduler may form lies outside.
Within them, sizes are rounded up to a ladder of at most a quarter more, so that an engine soon has seen every shape.
What is added does nothing: rows that nothing reads, keys switched off, tokens that no row attends to.

An engine fits one graph with its weights, one set of shapes and one version of the libraries, so each combination has a
directory of its own; a directory that fits nothing any more may be deleted. Building takes minutes, loading seconds.
The timing cache is shared: it makes the next build shorter. This module knows numbers, numpy arrays and files, and does
not know sessions.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.block_tables import LOCAL_WIDTH, MASKED, ROW_KINDS, SPARSE_WIDTH, AttentionLayout, block_tables
from app.errors import ProviderUnavailable
from app.manifest import Manifest
from app.packing import PackedBatch, packed_length
from app.settings import Settings

Inputs = Mapping[str, npt.NDArray[Any]]
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Sizes:
    """Every size of a packed batch that varies. None is ever 0: a kind without rows has an idle one.

    Those of a kind of layer that the model does not have are 1.
    """

    blocks: int
    documents: int
    dense_rows: int = 1
    dense_width: int = 1
    global_rows: int = 1
    global_width: int = 1
    sparse_rows: int = 1
    full_width: int = 1

    @classmethod
    def of(cls, inputs: Inputs) -> "Sizes":
        sizes = {"blocks": len(inputs["key_bias"]), "documents": len(inputs["cls_index"])}
        sizes |= {f"{kind}_rows": len(inputs[f"{kind}_rows"]) for kind in ROW_KINDS if f"{kind}_rows" in inputs}
        for kind in ("dense", "global", "full"):
            if (table := inputs.get(f"{kind}_table")) is not None:
                sizes[f"{kind}_width"] = table.shape[1]
        return cls(**sizes)

    def shapes(self, layout: AttentionLayout) -> Shapes:
        """The shape of every input of a packed graph."""
        tokens = (1, self.blocks * layout.block_size)
        shapes: Shapes = {
            "input_ids": tokens,
            "token_type_ids": tokens,
            "position_ids": tokens,
            "question_mask": tokens,
            "key_bias": (self.blocks, layout.block_size),
            "cls_index": (self.documents,),
        }
        if layout.distances:
            shapes |= dict.fromkeys(("distance_rows", "distance_keys"), (self.blocks, self.full_width))
        if layout.means:
            shapes["mean_weights"] = (self.documents, self.blocks)
        for kind, width in (("full", self.full_width), ("local", LOCAL_WIDTH)):
            if kind in layout.kinds:
                shapes |= {f"{kind}_{part}": (self.blocks, width) for part in ("table", "bias")}
        if "bigbird" not in layout.kinds:
            return shapes
        shapes["merge"] = (self.blocks,)
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

    min: Sizes
    opt: Sizes
    max: Sizes


def profile(layout: AttentionLayout, max_tokens: int, max_batch_tokens: int) -> Profile:
    """The batches that the scheduler can form: whole blocks up to `max_batch_tokens`, or one window of `max_tokens`.

    Engines are tuned for a full batch of which one long document is half and short documents are the other half.
    """
    size = layout.block_size
    longest = packed_length(max_tokens, size) // size
    blocks = max(max_batch_tokens // size, longest)
    dense = max(n for n in range(1, longest + 1) if layout.is_dense(n))
    has_long = longest > dense
    full_width = longest if "full" in layout.kinds else 1
    largest = Sizes(blocks=blocks, documents=blocks, full_width=full_width)
    if "bigbird" in layout.kinds:
        largest = replace(
            largest,
            dense_rows=blocks,
            dense_width=dense,
            global_rows=2 * (blocks // (dense + 1)) if has_long else 1,
            global_width=longest if has_long else 1,
            sparse_rows=blocks - 2 if has_long else 1,
        )
    long = min(longest, max(blocks // 2, min(dense + 1, longest)))
    short, rest = divmod(blocks - long, dense)
    counts = [long, *[dense] * short, *[rest] * (rest > 0)]
    sizes = {"cls_index": np.zeros(len(counts)), "key_bias": np.zeros((blocks, size))}
    tuned = Sizes.of(block_tables(counts, layout) | sizes)
    return Profile(Sizes(1, 1), rounded_up(tuned, largest), largest)


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
    inputs = dict(batch.inputs)
    for kind, width in (("full", sizes.full_width), ("local", LOCAL_WIDTH)):
        if f"{kind}_table" in inputs:
            inputs[f"{kind}_table"] = _grown(inputs[f"{kind}_table"], (sizes.blocks, width))
            inputs[f"{kind}_bias"] = _grown(inputs[f"{kind}_bias"], (sizes.blocks, width), MASKED)
    for name in ("distance_rows", "distance_keys"):
        if name in inputs:
            inputs[name] = _grown(inputs[name], (sizes.blocks, sizes.full_width))
    if "merge" in inputs:
        _fill_bigbird(inputs, Sizes.of(batch.inputs), sizes)
    size = inputs["key_bias"].shape[1]
    inputs["key_bias"] = _grown(inputs["key_bias"], (sizes.blocks, size), MASKED)
    for name in ("input_ids", "token_type_ids", "position_ids", "question_mask"):
        inputs[name] = _grown(inputs[name], (1, sizes.blocks * size))
    inputs["cls_index"] = _grown(inputs["cls_index"], (sizes.documents,))
    if "mean_weights" in inputs:
        inputs["mean_weights"] = _grown(inputs["mean_weights"], (sizes.documents, sizes.blocks))
    if (table := inputs.get("random_table")) is not None:
        layers, heads, _, r = table.shape
        inputs["random_table"] = _grown(table, (layers, heads, sizes.sparse_rows, r))
    return PackedBatch(inputs, batch.documents, batch.tokens, sizes.blocks * size)


def _fill_bigbird(inputs: dict[str, npt.NDArray[Any]], old: Sizes, sizes: Sizes) -> None:
    merge = inputs["merge"]
    ends = np.cumsum([len(inputs[f"{kind}_rows"]) for kind in ROW_KINDS])
    for kind, rows, width in zip(
        ROW_KINDS,
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


def _grown(array: npt.NDArray[Any], shape: Sequence[int], value: float = 0) -> npt.NDArray[Any]:
    grown = np.full(shape, value, dtype=array.dtype)
    grown[tuple(slice(0, length) for length in array.shape)] = array
    return grown


@dataclass(frozen=True)
class EngineCache:
    """The cache of one model under one set of settings."""

    root: Path
    directory: Path
    profile: Profile

    @classmethod
    def of(cls, manifest: Manifest, layout: AttentionLayout, settings: Settings, version: str) -> "EngineCache":
        """`version` is that of the libraries that build engines; another version builds another engine."""
        shapes = profile(layout, manifest.max_tokens, settings.max_batch_tokens)
        key = json.dumps([manifest.files, asdict(shapes), version], sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return cls(settings.engine_cache, settings.engine_cache / f"{manifest.name}-{digest}", shapes)

    def prepare(self) -> None:
        """Make the directory, and write into it what the engine is for.

        Raises:
            ProviderUnavailable: nothing can be written there.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            content = json.dumps(asdict(self.profile), indent=2) + "\n"
            (self.directory / "profile.json").write_text(content, encoding="utf-8")
        except OSError as error:
            raise ProviderUnavailable(
                f"The provider 'tensorrt' keeps its engines in {self.root}, which cannot be written: {error.strerror}. "
                "Name another directory with --engine-cache."
            ) from error

    def options(self, inputs: Collection[str], layout: AttentionLayout) -> dict[str, str]:
        """Options of TensorRT's execution provider for a graph with these inputs."""
        return {
            "trt_fp16_enable": "1",  # allows fp16; the types in the graph decide which tensors are fp16
            "trt_layer_norm_fp32_fallback": "1",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(self.directory),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(self.root),
            "trt_profile_min_shapes": _shapes(self.profile.min, inputs, layout),
            "trt_profile_opt_shapes": _shapes(self.profile.opt, inputs, layout),
            "trt_profile_max_shapes": _shapes(self.profile.max, inputs, layout),
        }


def _shapes(sizes: Sizes, inputs: Collection[str], layout: AttentionLayout) -> str:
    """`name:1x64,...`, as ONNX Runtime reads them."""
    shapes = sizes.shapes(layout)
    return ",".join(f"{name}:{'x'.join(map(str, shapes[name]))}" for name in inputs)

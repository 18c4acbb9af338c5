"""Graph files of a model: tracing in torch, and weights that stay outside.

The graph keeps no weights of its own: its initializers point into model.safetensors, so that every weight exists once
and one file serves transformers, CPUs and GPUs alike. This module does not know checkpoints, tokenizers or manifests.
"""

import json
import logging
import struct
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper
from torch import Tensor

from app.block_tables import RANDOM_PLAN_FILE, AttentionLayout
from app.manifest import MODEL_FILE, Graph
from app.packing import Document, pack
from app.types import AttentionPattern, Layout
from export.checkpoint import CheckpointError
from export.encoder import EncoderModel, output_names
from export.gpu_graph import mixed_precision, settle_shapes
from export.model import BigBird
from export.padded import PaddedBigBird, PaddedModel, padded_inputs
from export.random_plan import random_plan, save_random_plan
from export.spans import expand
from export.stored_weights import SCALE, WeightType, to_stored
from export.weights_file import WEIGHTS_FILE, write_weights

OPSET = 20  # the first with Gelu; the standard Attention op of 23 is 30 % slower on CPU than the MatMuls written out
GPU_FILE = "model.fp16.onnx"
GPU_PRECISION = "fp16; layer norms, softmaxes and logits fp32"
Shape = dict[int, Any]  # the dimensions of an input that vary
_SAFETENSORS_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "I8": TensorProto.INT8}


def write_graph(
    model: EncoderModel, out: Path, layout: Layout, pattern: AttentionPattern = "hf-eval", weights: WeightType = "fp32"
) -> list[str]:
    """Write model.onnx and the weights next to it (and random_plan.npz). Returns the names of the files."""
    write_weights(to_stored(model.state_dict(), weights), out)
    files = [MODEL_FILE, WEIGHTS_FILE]
    if layout == "packed":
        attention = attention_layout(model, pattern)
        if attention.random_plan is not None:
            save_random_plan(attention.random_plan, out / RANDOM_PLAN_FILE)
            files.append(RANDOM_PLAN_FILE)
        graph = trace_packed(model, attention)
    else:
        graph = _trace_padded(model)
    point_weights_at(graph, out / WEIGHTS_FILE)
    onnx.save_model(graph, out / MODEL_FILE)
    return files


def write_gpu_graph(model: EncoderModel, out: Path, pattern: AttentionPattern = "hf-eval") -> Graph:
    """Write the packed graph in mixed precision over the stored weights. Returns its entry for the manifest."""
    mixed = mixed_precision(model)
    graph = trace_packed(mixed, attention_layout(mixed, pattern), settle_shapes)
    point_weights_at(graph, out / WEIGHTS_FILE)
    onnx.save_model(graph, out / GPU_FILE)
    inputs = mixed.packed_inputs(pattern)
    return Graph(
        file=GPU_FILE, precision=GPU_PRECISION, inputs=() if inputs == model.packed_inputs(pattern) else inputs
    )


def attention_layout(model: EncoderModel, pattern: AttentionPattern) -> AttentionLayout:
    """The layout of batches of a model with this pattern, with its random plan."""
    plan = random_plan(model.config, model.max_tokens) if pattern == "random" else None
    return AttentionLayout(
        model.block_size,
        model.num_random_blocks,
        pattern,
        plan,
        model.kinds,
        spans=model.takes_spans,
        means=model.pools_means,
        distances=-(-model.max_tokens // model.block_size) if model.reads_distances else 0,
    )


def trace_packed(
    model: EncoderModel, layout: AttentionLayout, rewrite: Callable[[onnx_ir.Model], None] | None = None
) -> onnx.ModelProto:
    """The packed graph of a model, still with weights of its own; `rewrite` may change it before it is written."""
    size = layout.block_size
    longest = 5 + 2 * layout.num_random_blocks + 2  # blocks of a document that gets all kinds of rows

    def document(tokens: int) -> Document:
        return Document(np.zeros(tokens, np.int32), np.zeros(tokens, np.int32))

    batch = pack([document(size + 1), document(longest * size), document((longest + 1) * size)], layout)
    names = model.packed_inputs(layout.pattern)
    blocks = torch.export.Dim("blocks", min=1)
    documents = torch.export.Dim("documents", min=1)
    tokens = size * blocks
    shapes: dict[str, Shape] = {
        "input_ids": {1: tokens},
        "token_type_ids": {1: tokens},
        "position_ids": {1: tokens},
        "question_mask": {1: tokens},
        "key_bias": {0: blocks},
        "merge": {0: blocks},
        "cls_index": {0: documents},
        "full_spans": {0: torch.export.Dim("spans", min=1)},
        "full_merge": {0: blocks},
        "mean_weights": {0: documents, 1: blocks},
        "local_table": {0: blocks},
        "local_bias": {0: blocks},
    }
    full_width = torch.export.Dim("full_width", min=1)
    of_pairs = ("full_table", "full_bias", "distance_rows", "distance_keys")
    shapes |= {name: {0: blocks, 1: full_width} for name in of_pairs}
    for kind in ("dense", "global", "sparse"):
        rows = torch.export.Dim(f"{kind}_row_count", min=1)
        width = {} if kind == "sparse" else {1: torch.export.Dim(f"{kind}_width", min=1)}
        shapes |= {f"{kind}_rows": {0: rows}, f"{kind}_table": {0: rows, **width}, f"{kind}_bias": {0: rows, **width}}
        if kind == "sparse":
            shapes["random_table"] = {2: rows}
    return _trace(
        _Packed(model),
        {"inputs": {name: torch.from_numpy(batch.inputs[name]) for name in names}},
        names,
        {"inputs": {name: shapes[name] for name in names}},
        output_names(model.task),
        rewrite,
    )


class _Packed(torch.nn.Module):
    """`PackedModel` with its inputs in one dictionary: torch.export cannot trace ** with names that a model decides."""

    def __init__(self, model: EncoderModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
        return self.model.run(inputs)


def _trace_padded(model: EncoderModel) -> onnx.ModelProto:
    module: torch.nn.Module = PaddedModel(model)
    if isinstance(model, BigBird):
        separator = model.config.sep_token_id
        if separator is None:
            raise CheckpointError(
                "config.json has no sep_token_id: the padded layout finds the end of the question by it."
            )
        module = PaddedBigBird(model, separator)
    sizes: tuple[str, ...] = ("documents", "length")
    shape: tuple[int, ...] = (2, min(1000, model.max_tokens - 1))
    if model.task == "multiple-choice":
        shape, sizes = (2, *shape), ("examples", "choices", "length")
    inputs = {name: torch.full(shape, int(name != "token_type_ids")) for name in padded_inputs(model)}
    varying = {axis: torch.export.Dim(size, min=1) for axis, size in enumerate(sizes)}
    return _trace(module, inputs, list(inputs), dict.fromkeys(inputs, varying), output_names(model.task))


def _trace(
    module: torch.nn.Module,
    inputs: Mapping[str, Tensor | Mapping[str, Tensor]],
    names: Sequence[str],
    shapes: Mapping[str, Shape | Mapping[str, Shape]],
    outputs: tuple[str, ...],
    rewrite: Callable[[onnx_ir.Model], None] | None = None,
) -> onnx.ModelProto:
    # It logs for every operator of torchvision that torchvision is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals (deprecated calls of torch and onnxscript, names of dimensions that it
        # derives itself), which no caller can change. Parity is tested.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (),
            kwargs=dict(inputs),
            input_names=list(names),
            output_names=list(outputs),
            dynamic_shapes=dict(shapes),
            dynamo=True,
            opset_version=OPSET,
            optimize=False,  # folding would copy transposed weights into the graph; ONNX Runtime folds at load
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program.")
    if rewrite is not None:
        rewrite(program.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        program.save(str(path), external_data=True)
        graph = onnx.load(path)
    expand(graph)
    # The exporter notes a stack trace on every node, with paths of the machine, which no reader of the model needs.
    del graph.metadata_props[:]
    for part in (
        *graph.graph.node,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.initializer,
        *graph.graph.value_info,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.graph.metadata_props[:]
    return graph


def point_weights_at(graph: onnx.ModelProto, weights: Path) -> None:
    """Make every parameter an external tensor in a safetensors file, and bring it to the type the graph computes in.

    ONNX Runtime folds these nodes when it loads a graph. A parameter stored in another float type is cast; one in int8
    is cast and multiplied by its scales (not DequantizeLinear, which ONNX Runtime leaves in the graph).
    safetensors: 8 bytes of header length, a JSON header with data_offsets, then the raw little-endian tensors.
    """
    with weights.open("rb") as file:
        (header_length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_length))

    def stored(entry_name: str, name: str) -> TensorProto:
        entry = header[entry_name]
        begin, end = entry["data_offsets"]
        tensor = TensorProto(
            name=name,
            data_type=_SAFETENSORS_TYPES[entry["dtype"]],
            dims=entry["shape"],
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", weights.name), ("offset", 8 + header_length + begin), ("length", end - begin)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor

    kept: list[TensorProto] = []
    made: list[onnx.NodeProto] = []
    for tensor in graph.graph.initializer:
        name, own = tensor.name, tensor.name.removeprefix("model.")
        if own not in header:
            kept.append(tensor)
        elif header[own]["dtype"] == "I8":
            kept += [stored(own, f"{name}.int8"), stored(own + SCALE, f"{name}.scale")]
            made += [
                helper.make_node("Cast", [f"{name}.{part}"], [f"{name}.{part}.cast"], name=f"cast_{name}.{part}", to=1)
                for part in ("int8", "scale")
            ]
            product = name if tensor.data_type == TensorProto.FLOAT else f"{name}.fp32"
            factors = [f"{name}.int8.cast", f"{name}.scale.cast"]
            made.append(helper.make_node("Mul", factors, [product], name=f"scale_{name}"))
            if product != name:
                made.append(helper.make_node("Cast", [product], [name], name=f"cast_{name}", to=tensor.data_type))
        else:
            whole = stored(own, name)
            if whole.data_type != tensor.data_type:
                whole.name = f"{name}.{'fp16' if whole.data_type == TensorProto.FLOAT16 else 'fp32'}"
                made.append(helper.make_node("Cast", [whole.name], [name], name=f"cast_{name}", to=tensor.data_type))
            kept.append(whole)
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*made, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)

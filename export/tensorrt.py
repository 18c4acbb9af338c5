"""`nagayomi engine check`: whether TensorRT can take a model's graph for GPUs, without a GPU.

Every operator is looked up in TensorRT's own table with the types that it is used with, every dimension of the inputs
that varies must be in the profile, and the graph must hold nothing that makes an engine slow or impossible: shapes that
depend on data, computed shapes, 64-bit indices. The check does not measure the speed of an engine and does not find
the faults of a version: docs/gpu-checklist.md is for that.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import TensorProto

from app.block_tables import AttentionLayout
from app.errors import BrokenModel
from app.manifest import Manifest
from app.worker.session import attention_layout, graph_file
from app.worker.tensorrt import Profile, Shapes, profile

# The operators that graphs of this program may hold, with TensorRT's types for each: the rows of
# https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md for TensorRT 10.15, opsets 9 to 24.
OPSETS = range(9, 25)
_FLOATS = frozenset({"FLOAT", "FLOAT16", "BFLOAT16"})
_NUMBERS = _FLOATS | {"INT32", "INT64"}
_ANY = _NUMBERS | {"BOOL"}
OPERATORS: dict[str, frozenset[str]] = {
    "Add": _NUMBERS,
    "Cast": _ANY | {"UINT8"},
    "Concat": _ANY,
    "Constant": _ANY,
    "Cos": _FLOATS,
    "Div": _NUMBERS,
    "Gather": _ANY,
    "Gelu": _NUMBERS,
    "Gemm": _FLOATS,
    "Greater": _NUMBERS,
    "Identity": _ANY,
    "LayerNormalization": _FLOATS,
    "MatMul": _FLOATS,
    "Mul": _NUMBERS,
    "ReduceSum": _NUMBERS,
    "Relu": _NUMBERS,
    "Reshape": _ANY,
    "Sin": _FLOATS,
    "Slice": _ANY,
    "Softmax": _FLOATS,
    "Split": _ANY,
    "Squeeze": _ANY,
    "Sub": _NUMBERS,
    "Tanh": _FLOATS,
    "Transpose": _ANY,
    "Unsqueeze": _ANY,
}
# Operators that TensorRT supports and a graph for GPUs must not have, with the reason or the replacement.
AVOIDED = {
    "NonZero": "its output's size depends on data",
    "ScatterND": "results are put back with a Gather",
    "Shape": "shapes are constants, with 0 and -1 for sizes that vary",
}


def check(graph: onnx.ModelProto, layout: AttentionLayout, shapes: Profile) -> list[str]:
    """The parts that TensorRT would refuse, one sentence each; empty when it takes the graph."""
    return [*_operators(graph), *_dimensions(graph.graph, layout, shapes)]


# The operators that bring stored weights to the type that a graph computes in (export.trace.point_weights_at).
FOLDED = ("Cast", "Mul")


def _operators(model: onnx.ModelProto) -> Iterator[str]:
    for opset in model.opset_import:
        if opset.domain:
            yield f"The graph uses operators of {opset.domain}, which TensorRT does not know."
        elif opset.version not in OPSETS:
            yield f"The graph is of opset {opset.version}; TensorRT 10 reads {OPSETS.start} to {OPSETS.stop - 1}."
    types = _types(model)
    constant = {tensor.name for tensor in model.graph.initializer}
    constant |= {name for node in model.graph.node if node.op_type == "Constant" for name in node.output}
    seen: set[str] = set()
    for node in model.graph.node:
        if node.op_type in FOLDED and all(name in constant for name in node.input):
            # Computed from stored weights alone: ONNX Runtime folds it when it loads the graph, before TensorRT sees
            # it.
            constant |= set(node.output)
            continue
        for problem in _node(node, types, constant):
            if problem not in seen:
                seen.add(problem)
                yield problem


def _node(node: onnx.NodeProto, types: dict[str, str], constant: set[str]) -> Iterator[str]:
    if node.domain:
        return  # reported with its domain
    if node.op_type in AVOIDED:
        yield f"{node.op_type} ({node.name}): {AVOIDED[node.op_type]}."
        return
    if node.op_type not in OPERATORS:
        yield f"{node.op_type} ({node.name}) is not among the operators that TensorRT takes from such a graph."
        return
    data = types.get(node.input[0] if node.input else node.output[0])
    if data is not None and data not in OPERATORS[node.op_type]:
        yield f"{node.op_type} of {data}: TensorRT takes {', '.join(sorted(OPERATORS[node.op_type]))}."
    if node.op_type == "Reshape" and node.input[1] not in constant:
        yield f"Reshape ({node.name}) has a shape that is computed."
    if node.op_type == "Gather" and types.get(node.input[1]) == "INT64":
        yield f"Gather ({node.name}) has 64-bit indices; use 32 bits."


def _types(model: onnx.ModelProto) -> dict[str, str]:
    """The type of every value, as far as inference finds it."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    found |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    return {name: TensorProto.DataType.Name(number) for name, number in found.items()}


def _dimensions(graph: onnx.GraphProto, layout: AttentionLayout, shapes: Profile) -> Iterator[str]:
    smallest, tuned, largest = (sizes.shapes(layout) for sizes in (shapes.min, shapes.opt, shapes.max))
    for value in graph.input:
        if value.name not in smallest:
            yield f"The input {value.name} has no shapes in the profile."
            continue
        dimensions = value.type.tensor_type.shape.dim
        if len(dimensions) != len(smallest[value.name]):
            yield f"The input {value.name} has {len(dimensions)} dimensions, its profile {len(smallest[value.name])}."
            continue
        for place, dimension in enumerate(dimensions):
            low, usual, high = (one[value.name][place] for one in (smallest, tuned, largest))
            if dimension.HasField("dim_value"):
                if not low == usual == high == dimension.dim_value:
                    yield f"Dimension {place} of {value.name} is {dimension.dim_value}, its profile {low} to {high}."
            elif not 1 <= low <= usual <= high:
                yield f"Dimension {place} of {value.name} has a profile that is not in order: {low}, {usual}, {high}."


def lines(graph: onnx.GraphProto, layout: AttentionLayout, shapes: Profile) -> Iterator[str]:
    """A table for people: operators with their number, and inputs with the shapes for which an engine is built."""
    counts: dict[str, int] = {}
    for node in graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    yield "operators  " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    columns: list[Shapes] = [sizes.shapes(layout) for sizes in (shapes.min, shapes.opt, shapes.max)]
    yield f"{'input':<16}{'min':>16}{'opt':>16}{'max':>16}"
    for value in graph.input:
        cells = ("x".join(map(str, column.get(value.name, ()))) for column in columns)
        yield f"{value.name:<16}" + "".join(f"{cell:>16}" for cell in cells)


def run(args: argparse.Namespace) -> int:
    """Print the table and the parts that TensorRT would refuse; return 1 if there are any.

    Raises:
        BrokenModel: there is no such model, or it has no graph for GPUs.
    """
    directory: Path = args.model_store / args.model
    manifest = Manifest.read(directory)
    file = graph_file(manifest, "tensorrt")
    path = directory / file
    if not path.is_file():
        raise BrokenModel(f"{path} is missing.")
    graph = onnx.load(path, load_external_data=False)
    layout = attention_layout(directory, manifest, file)
    shapes = profile(layout, manifest.max_tokens, args.max_batch_tokens)
    for line in lines(graph.graph, layout, shapes):
        print(line)
    problems = check(graph, layout, shapes)
    for problem in problems:
        print(f"refused: {problem}")
    if not problems:
        print(f"{manifest.name}: TensorRT takes every operator, and the profile covers every size that varies.")
    return 1 if problems else 0

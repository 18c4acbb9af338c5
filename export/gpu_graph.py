"""The changes that fit a model and its graph for GPUs: mixed precision, and no computed shapes in the graph.

Precision is decided in torch, before the trace. Shapes are settled in the graph: torch.export writes sizes out, as
Shape, Concat and Mul on 64-bit integers before every Reshape, and a flattened copy of every block table before its
Gather. ONNX Runtime puts such nodes on the CPU, in the middle of the work of a GPU, and TensorRT needs a shape tensor
for each. Here a Reshape gets a constant shape (0 keeps a dimension, -1 takes the rest), and a Gather takes its table
unchanged, two-dimensional and 32 bits wide. The results are the same to the bit.
"""

import copy
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import IdentityEliminationPass, RemoveUnusedNodesPass
from torch import nn

from export.encoder import EncoderModel

Dimension = int | ir.SymbolicDim
ModelT = TypeVar("ModelT", bound=EncoderModel)


TO_LOGITS = ("qa_outputs", "out_proj", "classifier")  # the last projection of each head


def mixed_precision(model: ModelT) -> ModelT:
    """A copy in fp16, except for the layer norms and the projection to logits, which `export.attention.wide` feeds."""
    mixed = copy.deepcopy(model).half()
    for name, module in mixed.named_modules():
        if isinstance(module, EncoderModel):
            module.for_gpus = True
        to_logits = isinstance(module, nn.Linear) and name.rpartition(".")[2] in TO_LOGITS
        if isinstance(module, nn.LayerNorm) or to_logits:
            module.float()
    return mixed


def settle_shapes(model: ir.Model) -> None:
    """Rewrite a graph in place.

    Raises:
        ValueError: a Reshape has two sizes that no constant can express.
    """
    for node in list(model.graph):
        if node.op_type == "Gather":
            _gather_as_it_is(model.graph, node)
        elif node.op_type == "Reshape":
            _reshape_by_constant(model.graph, node)
    IdentityEliminationPass()(model)
    RemoveUnusedNodesPass()(model)


def _gather_as_it_is(graph: ir.Graph, gather: ir.Node) -> None:
    """Give a Gather the table that its indices were flattened from; its output gets the table's dimensions."""
    data, indices = gather.inputs
    assert data is not None
    assert indices is not None
    constant = ir.convenience.get_const_tensor(indices)
    if constant is not None:
        gather.replace_input_with(1, _constant(graph, np.asarray(constant.numpy(), dtype=np.int32)))
        return
    table = indices
    while (maker := table.producer()) is not None and maker.op_type in ("Cast", "Reshape"):
        source = maker.inputs[0]
        assert source is not None
        table = source
    if table is indices:
        return
    axis = gather.attributes.get_int("axis", 0)
    gather.replace_input_with(1, table)
    before = _dimensions(data)
    gather.outputs[0].shape = ir.Shape([*before[:axis], *_dimensions(table), *before[axis + 1 :]])


def _reshape_by_constant(graph: ir.Graph, reshape: ir.Node) -> None:
    data, output = reshape.inputs[0], reshape.outputs[0]
    if data is None or data.shape is None or output.shape is None:
        return  # part of a shape computation that nothing will use
    before, after = _dimensions(data), _dimensions(output)
    if before == after and not output.is_graph_output():
        ir.convenience.replace_all_uses_with(output, data)
        return
    target = [
        size if isinstance(size, int) else 0 if place < len(before) and before[place] == size else -1
        for place, size in enumerate(after)
    ]
    if target.count(-1) > 1:
        raise ValueError(f"{reshape.name}: no constant shape leads from {before} to {after}.")
    reshape.replace_input_with(1, _constant(graph, np.array(target, dtype=np.int64)))
    reshape.attributes.clear()


def _dimensions(value: ir.Value) -> Sequence[Dimension]:
    if value.shape is None:
        raise ValueError(f"{value.name} has no known shape.")
    return tuple(value.shape.dims)


def _constant(graph: ir.Graph, array: np.ndarray) -> ir.Value:
    """An initializer; equal ones are kept once."""
    shape = "x".join(map(str, array.shape))
    name = "_".join(["constant", str(array.dtype), shape, *map(str, array.reshape(-1))]).replace("-", "minus")
    if name not in graph.initializers:
        value = ir.Value(name=name, const_value=ir.tensor(array, name=name))
        value.shape, value.dtype = ir.Shape(array.shape), ir.DataType.from_numpy(array.dtype)
        graph.register_initializer(value)
    return graph.initializers[name]

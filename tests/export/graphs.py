"""Runs a graph with every intermediate tensor as an output, to see which of their axes grow with the input."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort

Inputs = dict[str, np.ndarray[Any, Any]]


def session(model: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def quadratic_tensors(model: Path, short: Inputs, long: Inputs, scratch: Path) -> dict[str, tuple[int, ...]]:
    """Tensors with two axes or more that are larger for the long input than for the short one, and their long shape."""
    # Tensors inside functions and branches would stay hidden.
    graph = onnx.inliner.inline_local_functions(onnx.load(model, load_external_data=False))
    if any(attribute.type == onnx.AttributeProto.GRAPH for node in graph.graph.node for attribute in node.attribute):
        raise ValueError("The graph has branches or loops, into which this check does not look.")
    outputs = [name for node in graph.graph.node for name in node.output if name]
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in outputs)
    scratch.mkdir()
    for file in model.parent.glob("*.safetensors"):
        shutil.copyfile(file, scratch / file.name)
    onnx.save_model(graph, scratch / "model.onnx")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # every tensor, none fused away
    everything = ort.InferenceSession(str(scratch / "model.onnx"), options, providers=["CPUExecutionProvider"])
    shapes = [[out.shape for out in everything.run(outputs, inputs)] for inputs in (short, long)]
    found = {}
    for name, before, after in zip(outputs, *shapes, strict=True):
        if len(before) != len(after):
            raise ValueError(f"{name} has the ranks {len(before)} and {len(after)}.")
        if sum(b < a for b, a in zip(before, after, strict=True)) >= 2:
            found[name] = after
    return found

"""The graph for GPUs: the same numbers, nothing that computes a shape, and one copy of the weights."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import pytest
import torch
from onnx import TensorProto
from safetensors.torch import save_file

from app.block_tables import AttentionLayout
from app.manifest import Manifest, verify_files
from app.packing import pack
from app.types import Task
from export.check_gpu_graph import TOLERANCE, probabilities
from export.check_parity import document
from export.checkpoint import CheckpointError
from export.encoder import EncoderModel, PackedModel
from export.gpu_graph import mixed_precision, settle_shapes
from export.model import BigBird, packed_inputs
from export.sharp import sharp_model
from export.to_onnx import ExportOptions, add_gpu_graph, export
from export.trace import GPU_FILE, attention_layout, point_weights_at, trace_packed, write_gpu_graph
from export.weights_file import WEIGHTS_FILE
from tests.export.graphs import Inputs, session

TOGETHER = (705, 64, 65, 1500)


@pytest.fixture(scope="session")
def gpu_qa(tmp_path_factory: pytest.TempPathFactory, qa_checkpoint: Path) -> Path:
    out = tmp_path_factory.mktemp("exported") / "gpu-qa"
    export(str(qa_checkpoint), out, ExportOptions(task="qa", name="gpu-qa", weights="fp16", target="tensorrt"))
    return out


def test_both_graphs_share_the_weights(gpu_qa: Path, qa_model: BigBird) -> None:
    manifest = Manifest.read(gpu_qa)
    verify_files(gpu_qa, manifest)
    assert {name: graph.file for name, graph in manifest.graphs.items()} == {"tensorrt": GPU_FILE}
    assert manifest.graphs["tensorrt"].precision == "fp16; layer norms, softmaxes and logits fp32"
    assert {file.name for file in gpu_qa.iterdir()} == {*manifest.files, "manifest.json"}
    graph = onnx.load(gpu_qa / GPU_FILE, load_external_data=False).graph
    weights = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    assert len(weights) == len(qa_model.state_dict())
    assert {tensor.data_type for tensor in weights} == {TensorProto.FLOAT16}
    assert {entry.value for tensor in weights for entry in tensor.external_data if entry.key == "location"} == {
        "model.safetensors"
    }


def test_no_weight_of_a_product_is_cast(gpu_qa: Path) -> None:
    """Stored in fp16 and used in fp16; only layer norms and the last projection read theirs in fp32."""
    graph = onnx.load(gpu_qa / GPU_FILE, load_external_data=False).graph
    cast = [node.output[0] for node in graph.node if node.op_type == "Cast" and node.input[0].endswith(".fp16")]
    assert cast
    assert all("LayerNorm" in name or "qa_outputs" in name for name in cast)


def test_nothing_computes_a_shape(gpu_qa: Path) -> None:
    model = onnx.load(gpu_qa / GPU_FILE, load_external_data=False)
    operators = Counter(node.op_type for node in model.graph.node)
    assert operators.keys() == {
        *("Add", "Cast", "Concat", "Constant", "Gather", "Gelu", "LayerNormalization", "MatMul", "Mul", "Reshape"),
        *("Softmax", "Sub", "Transpose", "Unsqueeze"),
    }
    assert operators["Softmax"] == 2 * 3  # layers, kinds of rows
    constants = {tensor.name for tensor in model.graph.initializer}
    assert all(node.input[1] in constants for node in model.graph.node if node.op_type == "Reshape")
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    wide = {name for name, kind in types.items() if kind == TensorProto.INT64}
    assert wide <= constants | {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    for kind in ("LayerNormalization", "Softmax"):
        results = [types[node.output[0]] for node in model.graph.node if node.op_type == kind]
        assert set(results) == {TensorProto.FLOAT}
    products = Counter(types[node.output[0]] for node in model.graph.node if node.op_type == "MatMul")
    assert products[TensorProto.FLOAT16] == operators["MatMul"] - 1  # and the projection to logits


def test_settled_shapes_change_no_bit(gpu_qa: Path, qa_model: BigBird, tmp_path: Path) -> None:
    """The fp32 graph, with its shapes settled, against itself."""
    shutil.copyfile(gpu_qa / "model.safetensors", tmp_path / "model.safetensors")
    graph = trace_packed(qa_model, attention_layout(qa_model, "hf-eval"), settle_shapes)
    point_weights_at(graph, tmp_path / "model.safetensors")
    onnx.save_model(graph, tmp_path / "model.onnx")
    plain, settled = session(gpu_qa / "model.onnx"), session(tmp_path / "model.onnx")
    for group in ((1,), (4096,), TOGETHER):
        batch = pack([document(tokens, "qa") for tokens in group], AttentionLayout())
        inputs = {name: batch.inputs[name] for name in packed_inputs("qa", "hf-eval")}
        for ours, theirs in zip(settled.run(None, inputs), plain.run(None, inputs), strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("task", "pattern"),
    [("qa", "hf-eval"), ("classify", "hf-eval"), ("multiple-choice", "hf-eval"), ("summarize", "random")],
)
def test_mixed_precision_gives_the_same_probabilities(task: Task, pattern: Any, tmp_path: Path) -> None:
    model = sharp_model("big_bird", task, layers=1, std=0.04)
    save_file(model.state_dict(), tmp_path / WEIGHTS_FILE)
    write_gpu_graph(model, tmp_path, pattern)
    batch = pack([document(tokens, task) for tokens in TOGETHER], attention_layout(model, pattern))
    inputs = {name: batch.inputs[name] for name in packed_inputs(task, pattern)}
    reference, rounded = (_in_torch(one, inputs) for one in (model, mixed_precision(model)))
    for fp32, fp16, torch16 in zip(reference, session(tmp_path / GPU_FILE).run(None, inputs), rounded, strict=True):
        assert fp16.dtype == torch16.dtype == np.float32
        for ours in (fp16, torch16):
            difference = np.abs(probabilities(ours.reshape(-1)) - probabilities(fp32.reshape(-1)))
            assert 0 < difference.max() <= TOLERANCE


@torch.no_grad()
def _in_torch(model: EncoderModel, inputs: Inputs) -> list[np.ndarray]:
    outputs = PackedModel(model)(**{name: torch.from_numpy(array) for name, array in inputs.items()})
    return [value.numpy() for value in outputs]


def test_masked_tokens_stay_masked(gpu_qa: Path) -> None:
    """-1e6 lies outside fp16: the logits are fp32 before the question is taken out of them."""
    batch = pack([document(705, "qa")], AttentionLayout())
    inputs = {name: batch.inputs[name] for name in packed_inputs("qa", "hf-eval")}
    for logits in session(gpu_qa / GPU_FILE).run(None, inputs):
        np.testing.assert_array_equal(logits < -1e5, inputs["question_mask"] == 1)
        assert np.isfinite(logits).all()


def test_a_gpu_graph_is_added_to_a_model_that_is_there(packed_classify_fp16: Path, tmp_path: Path) -> None:
    directory = tmp_path / packed_classify_fp16.name
    shutil.copytree(packed_classify_fp16, directory)
    before = {file.name: file.read_bytes() for file in directory.iterdir()}
    manifest = add_gpu_graph(directory, "cuda")
    verify_files(directory, manifest)
    after = {file.name: file.read_bytes() for file in directory.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {GPU_FILE, "manifest.json"}
    assert Manifest.read(directory) == manifest
    assert manifest.model_copy(
        update={"graphs": {}, "files": Manifest.read(packed_classify_fp16).files}
    ) == Manifest.read(packed_classify_fp16)


def test_the_padded_layout_is_not_for_gpus(padded_qa: Path, qa_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="shapes that depend on data"):
        add_gpu_graph(padded_qa, "cuda")
    options = ExportOptions(task="qa", name="x", layout="padded", target="cuda")
    with pytest.raises(CheckpointError, match="shapes that depend on data"):
        export(str(qa_checkpoint), tmp_path / "out", options)


def test_a_reshape_that_no_constant_can_say_is_an_error() -> None:
    data = onnx_ir.val("x", dtype=onnx_ir.DataType.FLOAT, shape=["a", "b"])
    shape = onnx_ir.val("shape", dtype=onnx_ir.DataType.INT64, shape=[2])
    node = onnx_ir.node("Reshape", [data, shape])
    node.outputs[0].shape = onnx_ir.Shape(["c", "d"])
    graph = onnx_ir.Graph([data, shape], [node.outputs[0]], nodes=[node], opset_imports={"": 20}, name="g")
    with pytest.raises(ValueError, match="no constant shape"):
        settle_shapes(onnx_ir.Model(graph, ir_version=10))

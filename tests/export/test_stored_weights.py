"""Stored weights, and graphs that compute with exactly these."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from safetensors.torch import load_file, save_file

from app.block_tables import AttentionLayout
from app.manifest import Manifest
from app.packing import pack
from export.check_parity import cut, difference, document
from export.checkpoint import CheckpointError, read_checkpoint
from export.encoder import PackedModel
from export.model import BigBird, packed_inputs
from export.stored_weights import SCALE, from_stored, to_stored
from export.to_onnx import ExportOptions, export
from tests.export.tiny import tiny_model


@pytest.fixture(scope="module")
def int8_qa(tmp_path_factory: pytest.TempPathFactory, qa_checkpoint: Path) -> Path:
    out = tmp_path_factory.mktemp("exported") / "qa-int8"
    metadata = {"licence": "Apache-2.0", "source": "tiny"}
    export(str(qa_checkpoint), out, ExportOptions(task="qa", name="qa-int8", weights="int8", metadata=metadata))
    return out


@given(
    rows=st.lists(
        st.lists(st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False), min_size=3, max_size=3)
        | st.just([0.0, 0.0, 0.0]),
        min_size=1,
        max_size=4,
    )
)
def test_no_weight_in_int8_is_off_by_more_than_half_a_step(rows: list[list[float]]) -> None:
    weight = torch.tensor(rows, dtype=torch.float32)
    stored = to_stored({"w": weight}, "int8")
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"w": torch.int8, "w" + SCALE: torch.float32}
    assert stored["w" + SCALE].shape == (len(rows), 1)
    step = weight.abs().amax(1, keepdim=True) / 127
    error = (from_stored(stored)["w"] - weight).abs()
    assert bool((error <= step * 0.5001 + 1e-37).all())


def test_only_matrices_are_stored_in_int8() -> None:
    weights = {"w": torch.full((2, 3), 0.3), "w.scale.bias": torch.tensor([0.3, 1e-9]), "conv": torch.ones(2, 2, 2)}
    stored = to_stored(weights, "int8")
    assert {name: tensor.dtype for name, tensor in stored.items()} == {
        "w": torch.int8,
        "w" + SCALE: torch.float32,
        "w.scale.bias": torch.float32,
        "conv": torch.float32,
    }
    assert torch.equal(from_stored(stored)["w.scale.bias"], weights["w.scale.bias"])


@pytest.mark.parametrize(("kind", "dtype"), [("fp32", torch.float32), ("fp16", torch.float16)])
def test_other_types_hold_every_weight_as_it_is(kind: str, dtype: torch.dtype) -> None:
    weights = {"w": torch.tensor([[0.5, -2.0]]), "w.scale": torch.tensor([2.0])}
    stored = to_stored(weights, kind)  # type: ignore[arg-type]
    assert {name: tensor.dtype for name, tensor in stored.items()} == {"w": dtype, "w.scale": dtype}
    back = from_stored(stored)
    assert back.keys() == weights.keys(), "a parameter may be named like the scale of another"
    assert all(torch.equal(back[name].float(), weights[name]) for name in weights)


def test_int8_without_its_scales_is_refused(tmp_path: Path, qa_checkpoint: Path) -> None:
    weights = to_stored(load_file(qa_checkpoint / "model.safetensors"), "int8")
    name = "bert.encoder.layer.1.output.dense.weight"
    del weights[name + SCALE]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((qa_checkpoint / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=f"{name} is stored as int8, and its scales are missing"):
        read_checkpoint(tmp_path)


def test_a_file_of_int8_is_a_quarter_of_fp32(int8_qa: Path, qa_checkpoint: Path) -> None:
    whole = (qa_checkpoint / "model.safetensors").stat().st_size
    assert (int8_qa / "model.safetensors").stat().st_size < 0.32 * whole
    assert (int8_qa / "model.onnx").stat().st_size < 250_000
    assert Manifest.read(int8_qa).precision == "fp32 (weights stored as int8)"


@pytest.mark.parametrize("tokens", [65, 705, 1500])
def test_an_int8_model_answers_like_its_dequantized_weights(tokens: int, int8_qa: Path) -> None:
    config, weights = read_checkpoint(int8_qa)
    model = BigBird(config, "qa")
    model.load_state_dict({name: weights[name] for name in model.state_dict()})
    packed = PackedModel(model.eval())
    batch = pack([document(tokens, "qa")], AttentionLayout())
    inputs = {name: batch.inputs[name] for name in packed_inputs("qa", "hf-eval")}
    with torch.no_grad():
        wanted = [output.numpy() for output in packed(**{n: torch.from_numpy(array) for n, array in inputs.items()})]
    session = ort.InferenceSession(str(int8_qa / "model.onnx"), providers=["CPUExecutionProvider"])
    ours = session.run(None, inputs)
    assert difference(cut(ours, batch, 0, "qa"), cut(wanted, batch, 0, "qa")) <= 1e-5
    exact = PackedModel(tiny_model("qa"))
    with torch.no_grad():
        unrounded = [o.numpy() for o in exact(**{n: torch.from_numpy(array) for n, array in inputs.items()})]
    assert difference(cut(ours, batch, 0, "qa"), cut(unrounded, batch, 0, "qa")) > 1e-3, "it would be found out"


def test_onnx_runtime_computes_the_weights_when_it_loads_a_graph(int8_qa: Path, tmp_path: Path) -> None:
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(str(int8_qa / "model.onnx"), options, providers=["CPUExecutionProvider"])
    before, after = (
        onnx.load(file, load_external_data=False).graph
        for file in (int8_qa / "model.onnx", tmp_path / "optimised.onnx")
    )
    assert sum(tensor.data_type == TensorProto.INT8 for tensor in before.initializer) > 10
    assert not [tensor.name for tensor in after.initializer if tensor.data_type == TensorProto.INT8]
    assert not [node.name for node in after.node if "int8" in node.name or node.name.startswith("scale_")]
    used = {name for node in after.node for name in node.input}
    folded = {t.name: t.dims for t in after.initializer if t.name in used and t.data_type == TensorProto.FLOAT}
    assert sum(int(np.prod(dims)) for dims in folded.values()) > 64 * 1000, (
        "the embeddings, at least, are there in fp32"
    )

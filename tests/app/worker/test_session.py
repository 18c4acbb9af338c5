"""Sessions on real graphs: providers, inputs, and the parts of a batch's outputs."""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime as ort
import pytest

from app.block_tables import AttentionLayout
from app.errors import BrokenModel, ProviderUnavailable
from app.manifest import Graph, Manifest
from app.packing import Document
from app.settings import Settings
from app.types import Provider
from app.worker.providers import NodesLeftToCpu, open_session
from app.worker.session import Session, attention_layout, graph_file


def document(*ids: int) -> Document:
    return Document(np.array(ids, dtype=np.int32), np.zeros(len(ids), dtype=np.int32))


def session_of(directory: Path) -> Session:
    return Session(directory, Manifest.read(directory), Settings(intra_op_threads=1))


def test_a_session_takes_the_inputs_its_graph_declares(handmade_models: Path) -> None:
    session = session_of(handmade_models / "hand-classify")
    assert session.inputs == ("input_ids", "cls_index")
    outputs = session.run(session.pack([document(0, 5), document(0, 6), document(0, 2)]))
    assert [output["logits"].tolist() for output in outputs] == [[4, 0], [0, 4], [0, 0]]


def test_token_outputs_are_cut_to_each_document(handmade_models: Path) -> None:
    session = session_of(handmade_models / "hand-qa")
    first, second = session.run(session.pack([document(0, 3, 1), document(*[0] * 20, 4)]))
    assert first["start_logits"].tolist() == [0, 10, 0]
    assert second["start_logits"].shape == (21,)
    assert second["end_logits"][20] == 10


def test_nonsense_from_a_graph_is_an_error(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Nonsense:
        def run(self, *_: object) -> list[np.ndarray[Any, Any]]:
            return [np.full((1, 2), np.nan, dtype=np.float32)]

    session = session_of(handmade_models / "hand-classify")
    monkeypatch.setattr(session, "graph", Nonsense())
    with pytest.raises(FloatingPointError, match="logits holds values that are not finite"):
        session.run(session.pack([document(0)]))


def test_a_padded_graph_is_not_served(handmade_models: Path) -> None:
    directory = handmade_models / "hand-qa"
    manifest = Manifest.read(directory).model_copy(update={"layout": "padded"})
    with pytest.raises(BrokenModel, match="packed"):
        Session(directory, manifest, Settings())


def test_a_file_that_is_no_graph(handmade_store: Path) -> None:
    (handmade_store / "hand-qa" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BrokenModel, match="ONNX Runtime cannot load"):
        session_of(handmade_store / "hand-qa")


def test_random_attention_needs_its_plan(handmade_models: Path) -> None:
    directory = handmade_models / "hand-qa"
    manifest = Manifest.read(directory)
    assert attention_layout(directory, manifest) == AttentionLayout(16, 3, "hf-eval", None)
    with pytest.raises(BrokenModel, match=r"random_plan\.npz"):
        attention_layout(directory, manifest.model_copy(update={"attention_pattern": "random"}))


def test_a_gpu_runs_the_graph_that_is_made_for_it(handmade_models: Path) -> None:
    manifest = Manifest.read(handmade_models / "hand-qa")
    with pytest.raises(BrokenModel, match=r"no graph for GPUs.*nagayomi export --target cuda"):
        graph_file(manifest, "cuda")
    graphs = {"tensorrt": Graph(file="model.fp16.onnx", precision="fp16")}
    with_both = manifest.model_copy(update={"graphs": graphs})
    chosen = {provider: graph_file(with_both, provider) for provider in get_args(Provider)}
    assert chosen == {
        "cpu": "model.onnx",
        "openvino": "model.onnx",
        "cuda": "model.fp16.onnx",
        "tensorrt": "model.fp16.onnx",
    }


def test_nodes_left_to_the_cpu_are_an_error(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves_nodes(*_: object) -> None:
        raise NodesLeftToCpu

    monkeypatch.setattr("app.worker.session.open_session", leaves_nodes)
    with pytest.raises(ProviderUnavailable, match="leave the rest to the CPU"):
        session_of(handmade_models / "hand-qa")


def test_batches_for_tensorrt_come_in_few_shapes(
    handmade_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is the CPU's; its batches and its options are those for TensorRT."""
    opened: list[dict[str, str]] = []

    def on_the_cpu(path: Path, _: Provider, threads: int, options: dict[str, str]) -> ort.InferenceSession:
        opened.append(options)
        return open_session(path, "cpu", threads)

    monkeypatch.setattr("app.worker.session.load_libraries", lambda _: None)
    monkeypatch.setattr("app.worker.session.tensorrt_version", lambda: 101601)
    monkeypatch.setattr("app.worker.session.open_session", on_the_cpu)
    directory = handmade_models / "hand-classify"
    graphs = {"tensorrt": Graph(file="model.onnx", precision="fp16")}
    manifest = Manifest.read(directory).model_copy(update={"graphs": graphs})
    settings = Settings(provider="tensorrt", engine_cache=tmp_path, max_batch_tokens=256)
    session = Session(directory, manifest, settings)
    batch = session.pack([document(*[0] * (16 * 8 + 1), 5)])  # 9 blocks
    assert batch.inputs["merge"].shape == (10,)
    assert [output["logits"].tolist() for output in session.run(session.pack([document(0, 5), document(0, 6)]))] == [
        [4, 0],
        [0, 4],
    ]
    assert opened[0]["trt_profile_max_shapes"] == "input_ids:1x256,cls_index:16"

"""Sessions on real graphs: providers, what is fed, and how a batch is cut apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import BrokenModel, ProviderUnavailable
from app.manifest import Manifest
from app.packing import AttentionLayout, Document
from app.session import _PROBE, Session, _open, attention_layout, probe_provider
from app.settings import Settings


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


def test_the_probe_is_a_model() -> None:
    outputs = _open(_PROBE, "cpu", threads=1).run(None, {"x": np.array([7], dtype=np.float32)})
    assert np.asarray(outputs[0]).tolist() == [7]


def test_a_provider_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    probe_provider("cpu")
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderUnavailable, match="Install the extra 'gpu'"):
        probe_provider("cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")  # ONNX Runtime says so too
def test_a_provider_that_falls_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with CUDA built in and its libraries missing: ONNX Runtime goes on with the CPU and only warns."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None)
    with pytest.raises(ProviderUnavailable, match="would fall back to CPUExecutionProvider"):
        probe_provider("cuda")

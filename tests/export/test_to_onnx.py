import argparse
import json
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest
import tokenizers
import torch
import transformers
from onnx import TensorProto, helper
from tokenizers import models

from app.block_tables import AttentionLayout
from app.manifest import Manifest, verify_files
from app.packing import pack
from app.types import AnsweredTask, Task
from export.check_parity import cut, difference, document, reference_logits
from export.checkpoint import CheckpointError
from export.command import add_arguments
from export.encoder import TASKS
from export.model import BigBird, packed_inputs
from export.to_onnx import ExportOptions, export
from tests.export.graphs import Inputs, quadratic_tensors, session
from tests.export.tiny import TEXT_SETTINGS, save_tiny_checkpoint


def packed(tokens: int, task: Task) -> Inputs:
    batch = pack([document(tokens, task)], AttentionLayout())
    return {name: batch.inputs[name] for name in packed_inputs(task, "hf-eval")}


def padded(tokens: int) -> Inputs:
    doc = document(tokens, "qa")
    return {
        "input_ids": doc.input_ids[None].astype(np.int64),
        "attention_mask": np.ones((1, tokens), dtype=np.int64),
        "token_type_ids": doc.token_type_ids[None].astype(np.int64),
    }


def test_the_directory_holds_what_the_manifest_says(packed_qa: Path) -> None:
    manifest = Manifest.read(packed_qa)
    verify_files(packed_qa, manifest)
    assert set(manifest.files) == {"config.json", "model.onnx", "model.safetensors", "tokenizer.json"}
    assert {file.name for file in packed_qa.iterdir()} == {*manifest.files, "manifest.json"}
    assert all((packed_qa / name).stat().st_mode & 0o044 == 0o044 for name in manifest.files)
    written = (packed_qa / "manifest.json").stat().st_mtime_ns
    assert all((packed_qa / name).stat().st_mtime_ns <= written for name in manifest.files)
    assert (manifest.task, manifest.layout, manifest.attention_pattern) == ("qa", "packed", "hf-eval")
    assert (manifest.segmenter, manifest.normaliser) == ("none", "nfkc")
    assert (manifest.architecture.layers, manifest.architecture.hidden, manifest.max_tokens) == (2, 64, 4096)
    assert manifest.inputs == packed_inputs("qa", "hf-eval")
    assert manifest.outputs == ("start_logits", "end_logits")


def test_the_graph_has_the_inputs_and_outputs_of_the_manifest(packed_qa: Path, padded_qa: Path) -> None:
    for directory in (packed_qa, padded_qa):
        manifest = Manifest.read(directory)
        graph = onnx.load(directory / "model.onnx", load_external_data=False).graph
        assert tuple(node.name for node in graph.input) == manifest.inputs
        assert tuple(node.name for node in graph.output) == manifest.outputs
    assert Manifest.read(padded_qa).inputs == ("input_ids", "attention_mask", "token_type_ids")


def test_weights_are_stored_once(packed_qa: Path, qa_model: BigBird) -> None:
    assert (packed_qa / "model.onnx").stat().st_size < 200_000
    graph = onnx.load(packed_qa / "model.onnx", load_external_data=False).graph
    external = {tensor.name for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL}
    assert {name.removeprefix("model.") for name in external} == qa_model.state_dict().keys()
    for tensor in graph.initializer:
        if tensor.name in external:
            assert {entry.key: entry.value for entry in tensor.external_data}["location"] == "model.safetensors"
        else:
            assert np.prod(tensor.dims) < 100, tensor.name


def test_the_graph_tells_nothing_of_the_machine(packed_qa: Path, padded_qa: Path) -> None:
    for directory in (packed_qa, padded_qa):
        content = (directory / "model.onnx").read_bytes()
        assert str(Path(__file__).parent.parent.parent).encode() not in content
        assert b"site-packages" not in content
        assert b".py" not in content


def test_one_directory_serves_transformers_and_onnx_runtime(packed_qa: Path) -> None:
    reference = transformers.BigBirdForQuestionAnswering.from_pretrained(packed_qa).eval()
    runtime = session(packed_qa / "model.onnx")
    for tokens in (65, 705):
        doc = document(tokens, "qa")
        batch = pack([doc], AttentionLayout())
        ours = cut(runtime.run(None, packed(tokens, "qa")), batch, 0, "qa")
        assert difference(ours, reference_logits(reference, "qa", "hf-eval", doc)) <= 1e-4


def test_weights_stored_as_fp16(packed_classify_fp16: Path) -> None:
    directory = packed_classify_fp16
    graph = onnx.load(directory / "model.onnx", load_external_data=False).graph
    external = [tensor for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    assert external
    assert {tensor.data_type for tensor in external} == {TensorProto.FLOAT16}
    assert Manifest.read(directory).precision == "fp32 (weights stored as fp16)"
    reference = transformers.BigBirdForSequenceClassification.from_pretrained(directory).float().eval()
    parameters = sum(parameter.numel() for parameter in reference.parameters())
    assert (directory / "model.safetensors").stat().st_size < 2.2 * parameters + 10_000
    runtime = session(directory / "model.onnx")
    doc = document(705, "classify")
    batch = pack([doc], AttentionLayout())
    ours = cut(runtime.run(None, packed(705, "classify")), batch, 0, "classify")
    assert difference(ours, reference_logits(reference, "classify", "hf-eval", doc)) <= 1e-4


def test_no_pickles(packed_qa: Path, packed_classify_fp16: Path, padded_qa: Path) -> None:
    for directory in (packed_qa, packed_classify_fp16, padded_qa):
        for file in directory.iterdir():
            assert file.suffix in {".onnx", ".safetensors", ".json"}
            # A pickle of protocol 2 and later begins with 0x80, a torch archive with PK.
            assert not file.read_bytes().startswith((b"\x80", b"PK"))


def test_no_tensor_of_the_packed_graph_is_quadratic(packed_qa: Path, tmp_path: Path) -> None:
    short, long = packed(2048, "qa"), packed(4096, "qa")
    assert quadratic_tensors(packed_qa / "model.onnx", short, long, tmp_path / "scratch") == {}


def test_no_tensor_of_the_padded_graph_is_quadratic(padded_qa: Path, tmp_path: Path) -> None:
    assert quadratic_tensors(padded_qa / "model.onnx", padded(2048), padded(4096), tmp_path / "scratch") == {}


def test_a_dense_graph_would_be_found_out(tmp_path: Path) -> None:
    """The check can fail: full attention makes (T, T) scores."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["keys"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "keys"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["weights"], axis=-1),
        helper.make_node("MatMul", ["weights", "x"], ["context"]),
    ]
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "T", 8]) for name in ("x", "context")]
    graph = helper.make_graph(nodes, "dense", tensors[:1], tensors[1:])
    (tmp_path / "dense").mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, tmp_path / "dense" / "model.onnx")
    short, long = ({"x": np.zeros((1, tokens, 8), dtype=np.float32)} for tokens in (2048, 4096))
    found = quadratic_tensors(tmp_path / "dense" / "model.onnx", short, long, tmp_path / "scratch")
    assert found == {"scores": (1, 4096, 4096), "weights": (1, 4096, 4096)}


def test_a_document_of_full_attention_is_seen_as_quadratic(packed_qa: Path, tmp_path: Path) -> None:
    """The same exported graph fed with dense tables: the check looks at what runs, not at names."""
    sparse_nowhere = AttentionLayout(num_random_blocks=100)
    inputs = []
    for tokens in (512, 1024):
        batch = pack([document(tokens, "qa")], sparse_nowhere)
        inputs.append({name: batch.inputs[name] for name in packed_inputs("qa", "hf-eval")})
    short, long = inputs
    found = quadratic_tensors(packed_qa / "model.onnx", short, long, tmp_path / "scratch")
    assert any(shape[-1] == 1024 and 16 in shape for shape in found.values())


def test_text_settings_must_be_known(tmp_path: Path, qa_model: BigBird) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint", qa_model)
    words = tokenizers.Tokenizer(models.Unigram([("[UNK]", 0.0), ("▁東京", -1.0)], unk_id=0))
    words.save(str(checkpoint / "tokenizer.json"))
    out = tmp_path / "out"
    with pytest.raises(CheckpointError, match=r"give --segmenter .* and --normaliser"):
        export(str(checkpoint), out, ExportOptions(task="qa", name="x"))
    with pytest.raises(CheckpointError, match="--normaliser"):
        export(str(checkpoint), out, ExportOptions(task="qa", name="x", segmenter="none"))
    assert not out.exists()


def test_text_settings_are_read_from_the_tokenizer_files(
    tmp_path: Path, qa_model: BigBird, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint", qa_model)
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n東京\n", encoding="utf-8")
    settings = {"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    monkeypatch.setattr("export.to_onnx.write_graph", lambda *_: [])

    manifest = export(str(checkpoint), tmp_path / "out", ExportOptions(task="qa", name="x"))

    assert (manifest.segmenter, manifest.normaliser) == ("mecab-unidic-lite", "nfkc")
    assert set(manifest.files) == {"config.json", "tokenizer.json"}


def test_special_tokens_must_be_known(tmp_path: Path, qa_model: BigBird, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint", qa_model)
    with pytest.raises(CheckpointError, match=r"Give --special-tokens FIRST SEPARATOR"):
        export(str(checkpoint), tmp_path / "out", ExportOptions(task="qa", name="x"))
    with pytest.raises(CheckpointError, match="lacks <sep>"):
        export(str(checkpoint), tmp_path / "out", ExportOptions(task="qa", name="x", special_tokens=("[CLS]", "<sep>")))
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr("export.to_onnx.write_graph", lambda *_: [])

    manifest = export(
        str(checkpoint), tmp_path / "out", ExportOptions(task="qa", name="x", special_tokens=("[CLS]", "[SEP]"))
    )

    assert (manifest.segmenter, manifest.normaliser) == ("none", "none")
    written = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert written.encode("東京", "東京").ids == [2, 4, 3, 4, 3]


def test_the_padded_layout_has_no_random_blocks(qa_checkpoint: Path, tmp_path: Path) -> None:
    options = ExportOptions(task="qa", name="x", layout="padded", attention_pattern="random")
    with pytest.raises(CheckpointError, match='only the pattern "hf-eval"'):
        export(str(qa_checkpoint), tmp_path / "out", options)


def test_the_padded_layout_needs_to_know_the_separator(tmp_path: Path, qa_model: BigBird) -> None:
    checkpoint = save_tiny_checkpoint(tmp_path / "checkpoint", qa_model, TEXT_SETTINGS)
    document = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    (checkpoint / "config.json").write_text(json.dumps(document | {"sep_token_id": None}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="no sep_token_id"):
        export(str(checkpoint), tmp_path / "out", ExportOptions(task="qa", name="x", layout="padded"))


def test_a_checkpoint_of_another_task_is_refused(qa_checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights that the task classify needs"):
        export(str(qa_checkpoint), tmp_path / "out", ExportOptions(task="classify", name="x"))
    assert not (tmp_path / "out").exists()


def test_the_weights_in_the_file_are_those_of_the_checkpoint(packed_qa: Path, qa_model: BigBird) -> None:
    from safetensors.torch import load_file

    stored = load_file(packed_qa / "model.safetensors")
    for name, tensor in qa_model.state_dict().items():
        torch.testing.assert_close(stored[name], tensor, atol=0, rtol=0)


def test_the_help_names_the_tasks_that_no_endpoint_serves() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = " ".join(parser.format_help().split())
    assert set(TASKS) - set(get_args(AnsweredTask)) == {"multiple-choice", "token-classification"}
    assert "multiple-choice and token-classification are exported for other programs, and no endpoint serves" in words

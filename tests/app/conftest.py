"""Models made by hand, so that the service can be tested on real ONNX Runtime sessions with results that are known.

Tokens are characters. The graphs look at token ids only:
    qa          answers run from 《 to 》
    classify    the label is "up" when the first token of the window is 上, "down" when it is 下
    summarize   summaries keep 重, 中 somewhat less often, and hardly anything else
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tokenizers
from onnx import TensorProto, helper, numpy_helper
from tokenizers import models, pre_tokenizers

from app.manifest import Architecture, Manifest, sha256, write
from app.types import Task

VOCABULARY = {"[CLS]": 0, "[SEP]": 1, "[UNK]": 2, "《": 3, "》": 4, "上": 5, "下": 6, "中": 7, "重": 8}
BLOCK = 16
MAX_TOKENS = 256


@pytest.fixture(scope="session")
def handmade_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that tests must not change; see `handmade_store`."""
    store = tmp_path_factory.mktemp("handmade")
    _write_model(store / "hand-qa", "qa", _qa_graph())
    _write_model(store / "hand-classify", "classify", _classify_graph(), labels=("up", "down"))
    _write_model(store / "hand-summarize", "summarize", _summary_graph())
    return store


@pytest.fixture
def handmade_store(handmade_models: Path, tmp_path: Path) -> Path:
    """A store of one's own, to break."""
    return Path(shutil.copytree(handmade_models, tmp_path / "store"))


def _write_model(directory: Path, task: Task, graph: onnx.GraphProto, **extra: Any) -> None:
    directory.mkdir()
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, directory / "model.onnx")
    pieces = tokenizers.Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(tokenizers.Regex("."), "isolated")]
    )
    pieces.save(str(directory / "tokenizer.json"))
    write(directory, manifest_of(directory, task, graph, **extra))


def manifest_of(directory: Path, task: Task, graph: onnx.GraphProto, **extra: Any) -> Manifest:
    """The manifest of a handmade model."""
    fields: dict[str, Any] = {
        "name": directory.name,
        "task": task,
        "architecture": Architecture(
            layers=1, hidden=1, heads=1, intermediate=1, vocab_size=len(VOCABULARY), type_vocab_size=2
        ),
        "layout": "packed",
        "attention_pattern": "hf-eval",
        "block_size": BLOCK,
        "num_random_blocks": 3,
        "max_tokens": MAX_TOKENS,
        "segmenter": "none",
        "normaliser": "nfkc",
        "precision": "fp32",
        "doc_stride": 128,
        "inputs": tuple(node.name for node in graph.input),
        "outputs": tuple(node.name for node in graph.output),
        "files": {name: sha256(directory / name) for name in ("model.onnx", "tokenizer.json")},
        "source": "handmade",
        "licence": "Apache-2.0",
    }
    return Manifest(**(fields | extra))


def _ids() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("input_ids", TensorProto.INT32, [1, "T"])


def _constant(name: str, value: Any, dtype: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, dtype=dtype), name)


def _qa_graph() -> onnx.GraphProto:
    nodes = []
    for side in ("start", "end"):
        nodes += [
            helper.make_node("Equal", ["input_ids", f"{side}_id"], [f"{side}_equal"]),
            helper.make_node("Cast", [f"{side}_equal"], [f"{side}_float"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{side}_float", "ten"], [f"{side}_logits"]),
        ]
    return helper.make_graph(
        nodes,
        "qa",
        [_ids()],
        [helper.make_tensor_value_info(f"{side}_logits", TensorProto.FLOAT, [1, "T"]) for side in ("start", "end")],
        [
            _constant("start_id", VOCABULARY["《"], np.int32),
            _constant("end_id", VOCABULARY["》"], np.int32),
            _constant("ten", 10, np.float32),
        ],
    )


def _classify_graph() -> onnx.GraphProto:
    nodes = [
        helper.make_node("Squeeze", ["input_ids", "zero"], ["flat"]),
        helper.make_node("Add", ["cls_index", "one"], ["first"]),
        helper.make_node("Gather", ["flat", "first"], ["token"]),
        helper.make_node("Unsqueeze", ["token", "last"], ["column"]),
        helper.make_node("Equal", ["column", "labels"], ["equal"]),
        helper.make_node("Cast", ["equal"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "four"], ["logits"]),
    ]
    return helper.make_graph(
        nodes,
        "classify",
        [_ids(), helper.make_tensor_value_info("cls_index", TensorProto.INT32, ["D"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["D", 2])],
        [
            _constant("zero", [0], np.int64),
            _constant("one", 1, np.int32),
            _constant("last", [1], np.int64),
            _constant("labels", [[VOCABULARY["上"], VOCABULARY["下"]]], np.int32),
            _constant("four", 4, np.float32),
        ],
    )


def _summary_graph() -> onnx.GraphProto:
    """The logit of a token is its id less 6."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", "six"], ["score"]),
        helper.make_node("Unsqueeze", ["score", "two"], ["logits"]),
    ]
    return helper.make_graph(
        nodes,
        "summarize",
        [_ids()],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "T", 1])],
        [
            _constant("six", 6, np.float32),
            _constant("two", [2], np.int64),
        ],
    )

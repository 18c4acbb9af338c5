"""What `nagayomi engine check` says of graphs that TensorRT takes, and of graphs that it does not."""

import dataclasses
import shutil
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from app.block_tables import AttentionLayout
from app.cli import main
from app.manifest import Graph, Manifest, write
from app.worker.tensorrt import Sizes, profile
from export.tensorrt import check

LAYOUT = AttentionLayout()
PROFILE = profile(LAYOUT, 4096, 4096)


def graph(
    *nodes: onnx.NodeProto, inputs: tuple[onnx.ValueInfoProto, ...] = (), opset: int = 20, domain: str = ""
) -> onnx.ModelProto:
    given = inputs or (helper.make_tensor_value_info("key_bias", TensorProto.FLOAT, ["blocks", 64]),)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    constant = helper.make_tensor("constant", TensorProto.INT64, [2], [0, -1])
    return helper.make_model(
        helper.make_graph(list(nodes), "g", list(given), [result], [constant]),
        opset_imports=[helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])],
        ir_version=10,
    )


def test_a_graph_without_fault() -> None:
    assert check(graph(helper.make_node("Reshape", ["key_bias", "constant"], ["y"])), LAYOUT, PROFILE) == []


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        (helper.make_node("Shape", ["key_bias"], ["y"], name="n"), "Shape (n): shapes are constants"),
        (helper.make_node("NonZero", ["key_bias"], ["y"], name="n"), "NonZero (n): its output's size depends on data."),
        (
            helper.make_node("ScatterND", ["key_bias", "constant", "key_bias"], ["y"], name="n"),
            "ScatterND (n): results are put back with a Gather.",
        ),
        (helper.make_node("Det", ["key_bias"], ["y"], name="n"), "Det (n) is not among the operators"),
        (
            helper.make_node("Softmax", ["constant"], ["y"]),
            "Softmax of INT64: TensorRT takes BFLOAT16, FLOAT, FLOAT16.",
        ),
        (
            helper.make_node("Gather", ["key_bias", "constant"], ["y"], name="n"),
            "Gather (n) has 64-bit indices; use 32 bits.",
        ),
        (
            helper.make_node("Reshape", ["key_bias", "key_bias"], ["y"], name="n"),
            "Reshape (n) has a shape that is computed.",
        ),
    ],
)
def test_what_tensorrt_would_refuse(node: onnx.NodeProto, problem: str) -> None:
    (found,) = check(graph(node), LAYOUT, PROFILE)
    assert found.startswith(problem)


def test_operators_of_others_and_opsets_to_come() -> None:
    node = helper.make_node("Relu", ["key_bias"], ["y"])
    assert check(graph(node, opset=8), LAYOUT, PROFILE) == ["The graph is of opset 8; TensorRT 10 reads 9 to 24."]
    own = helper.make_node("FusedMatMul", ["key_bias"], ["y"], domain="com.microsoft")
    assert check(graph(own, domain="com.microsoft"), LAYOUT, PROFILE) == [
        "The graph uses operators of com.microsoft, which TensorRT does not know."
    ]


def test_every_dimension_needs_its_place_in_the_profile() -> None:
    def of(name: str, *shape: int | str) -> list[str]:
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        return check(graph(helper.make_node("Relu", [name], ["y"]), inputs=(value,)), LAYOUT, PROFILE)

    assert of("sparse_bias", "rows", 5) == []
    assert of("attention_mask", "n") == ["The input attention_mask has no shapes in the profile."]
    assert of("sparse_bias", "rows", 6) == ["Dimension 1 of sparse_bias is 6, its profile 5 to 5."]
    assert of("sparse_bias", "rows") == ["The input sparse_bias has 1 dimensions, its profile 2."]
    assert of("key_bias", 64, 64) == ["Dimension 0 of key_bias is 64, its profile 1 to 64."]


def test_a_profile_that_is_none() -> None:
    wrong = dataclasses.replace(PROFILE, opt=dataclasses.replace(PROFILE.max, blocks=65))
    found = check(graph(helper.make_node("Relu", ["key_bias"], ["y"])), LAYOUT, wrong)
    assert found == ["Dimension 0 of key_bias has a profile that is not in order: 1, 65, 64."]


def test_the_shipped_models_pass(capsys: pytest.CaptureFixture[str]) -> None:
    store = Path(__file__).parents[2] / "model_store"
    models = sorted(path.name for path in store.iterdir() if (path / "manifest.json").is_file())
    assert models
    for model in models:
        assert main(["engine", "check", "--model", model, "--model-store", str(store)]) == 0
    assert "TensorRT takes every operator" in capsys.readouterr().out


def test_a_larger_budget_is_a_larger_profile(capsys: pytest.CaptureFixture[str]) -> None:
    store = Path(__file__).parents[2] / "model_store"
    arguments = ["--model", "nagayomi-small-ja-qa", "--model-store", str(store), "--max-batch-tokens", "32768"]
    assert main(["engine", "check", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert next(line.split() for line in lines if line.startswith("input_ids")) == [
        "input_ids",
        "1x64",
        "1x32768",
        "1x32768",
    ]


@pytest.mark.parametrize("action", ["check", "build"])
def test_a_model_that_the_store_does_not_hold_is_one_line_and_2(
    action: str, packed_qa: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = packed_qa.parent
    assert main(["engine", action, "--model", "none", "--model-store", str(store)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"nagayomi: There is no model 'none' in {store}; its models: ")
    assert packed_qa.name in err
    assert err.count("\n") == 1


def test_a_model_without_a_graph_for_gpus(packed_classify_fp16: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, name = packed_classify_fp16.parent, packed_classify_fp16.name
    assert main(["engine", "check", "--model", name, "--model-store", str(store)]) == 1
    assert "has no graph for GPUs" in capsys.readouterr().err


def test_a_graph_that_is_refused_ends_with_words_and_1(
    packed_qa: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The graph for CPUs, offered as one for GPUs: it computes shapes."""
    shutil.copytree(packed_qa, tmp_path / "qa")
    manifest = Manifest.read(packed_qa)
    write(tmp_path / "qa", manifest.model_copy(update={"graphs": {"cuda": Graph(file="model.onnx", precision="fp32")}}))
    assert main(["engine", "check", "--model", "qa", "--model-store", str(tmp_path)]) == 1
    assert "refused: Shape (" in capsys.readouterr().out


def test_building_without_tensorrt_names_the_missing_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["engine", "build", "--model", "nagayomi-small-ja-qa"]) == 1
    assert "needs TensorrtExecutionProvider" in capsys.readouterr().err


def test_the_smallest_sizes_are_one() -> None:
    assert PROFILE.min == Sizes(1, 1, 1, 1, 1, 1, 1)

"""From a tiny checkpoint of a family to answers over HTTP."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from app.cli import main
from app.main import create_app
from app.manifest import Manifest
from app.packing import pack
from app.settings import Settings
from app.types import Task
from app.worker.session import Session
from export.check_gpu_graph import probabilities
from export.check_parity import difference, document, reference_logits, reference_of
from export.sharp import sharp_model
from export.to_onnx import ExportOptions, Target, add_gpu_graph, export
from tests.app.asgi import running
from tests.export.families.tiny import save_checkpoint, save_evidence_checkpoint
from tests.export.graphs import quadratic_tensors

# transformers' ModernBERT and DeBERTa use parts of torch that say that they are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning")

CASES: list[tuple[str, Task]] = [
    ("bert", "classify"),
    ("roberta", "qa"),
    ("modernbert", "classify"),
    ("xlm-roberta", "rerank"),
    ("deberta-v2", "classify"),
    ("luke", "summarize"),
]
CHANGES: dict[str, dict[str, Any]] = {
    "modernbert": {"classifier_pooling": "mean"},
    "deberta-v2": {"conv_kernel_size": 3},
}
WITH_GPU_GRAPH = ("modernbert", "deberta-v2")
LENGTHS = (1, 65, 300, 512)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_file: Path) -> Path:
    """A model of each case, some with a graph for GPUs."""
    store = tmp_path_factory.mktemp("families")
    for family, task in CASES:
        checkpoint = tmp_path_factory.mktemp("checkpoint") / family
        save_checkpoint(checkpoint, family, task, tiny_tokenizer_file, **CHANGES.get(family, {}))
        name = f"{family}-{task}"
        target: Target = "tensorrt" if family in WITH_GPU_GRAPH else "cpu"
        export(str(checkpoint), store / name, ExportOptions(task=task, name=name, target=target))
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "open_provence"
    save_evidence_checkpoint(checkpoint, tiny_tokenizer_file)
    export(str(checkpoint), store / "evidence", ExportOptions(task="evidence", name="evidence"))
    return store


def test_an_exported_model_is_exported_again_with_its_first_position(tmp_path: Path, tiny_tokenizer_file: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", "roberta", "qa", tiny_tokenizer_file)
    exported: list[tuple[int, int]] = []
    for checkpoint, first_position in (("checkpoint", 0), ("1", None)):
        name = str(len(exported) + 1)
        options = ExportOptions(task="qa", name=name, first_position=first_position)
        manifest = export(str(tmp_path / checkpoint), tmp_path / name, options)
        noted = json.loads((tmp_path / name / "config.json").read_text())["nagayomi"]["first_position"]
        exported.append((manifest.max_tokens, noted))
    assert exported == [(514, 0), (514, 0)]


def test_the_manifest_names_the_kind_of_each_layer(store: Path) -> None:
    bert, roberta = (Manifest.read(store / name) for name in ("bert-classify", "roberta-qa"))
    assert bert.layer_kinds == roberta.layer_kinds == ("full", "full")
    assert (bert.attention_pattern, bert.max_tokens, bert.doc_stride) == (None, 512, 256)
    tables = ("key_bias", "full_table", "full_bias")
    assert bert.inputs == ("input_ids", "token_type_ids", "position_ids", *tables, "cls_index")
    assert roberta.inputs == ("input_ids", "position_ids", *tables)
    modernbert = Manifest.read(store / "modernbert-classify")
    assert (modernbert.layer_kinds, modernbert.max_tokens) == (("full", "local"), 8192)
    rest = ("local_table", "local_bias", "mean_weights")
    first = ("input_ids", "position_ids", "key_bias")
    assert modernbert.inputs == (*first, "full_spans", "full_merge", *rest)
    assert modernbert.inputs_of("model.fp16.onnx") == (*first, "full_table", "full_bias", *rest)
    for manifest in (bert, roberta, modernbert):
        graph = onnx.load(store / manifest.name / "model.onnx", load_external_data=False).graph
        assert tuple(node.name for node in graph.input) == manifest.inputs


@pytest.mark.parametrize(("family", "task"), CASES)
def test_the_graph_gives_the_logits_of_transformers(family: str, task: Task, store: Path) -> None:
    directory = store / f"{family}-{task}"
    manifest = Manifest.read(directory)
    session = Session(directory, manifest, Settings(intra_op_threads=1))
    vocabulary = manifest.architecture.vocab_size
    reference = reference_of(sharp_model(family, task, hidden=32, vocab_size=vocabulary, **CHANGES.get(family, {})))
    lengths = (*LENGTHS, 1500) if manifest.max_tokens > 512 else LENGTHS
    documents = [document(length, task, vocabulary) for length in lengths]
    packed = session.run(session.pack(documents))
    for doc, together in zip(documents, packed, strict=True):
        (alone,) = session.run(session.pack([doc]))
        wanted = reference_logits(reference, task, "hf-eval", doc)
        assert difference([alone[name] for name in manifest.outputs], wanted) <= 1e-4
        assert difference([together[name] for name in manifest.outputs], wanted) <= 1e-4
        assert difference(list(together.values()), list(alone.values())) <= 1e-5


@pytest.mark.parametrize("family", WITH_GPU_GRAPH)
def test_the_graph_for_gpus_is_one_that_tensorrt_takes(
    family: str, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _check_gpu_graph(store / f"{family}-classify", capsys)


@pytest.mark.slow
def test_so_is_one_that_is_added_to_a_bert(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = Path(shutil.copytree(store / "bert-classify", tmp_path / "bert-classify"))
    add_gpu_graph(directory, "tensorrt")
    _check_gpu_graph(directory, capsys)


def _check_gpu_graph(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["engine", "check", "--model", directory.name, "--model-store", str(directory.parent)])
    assert (code, [line for line in capsys.readouterr().out.splitlines() if "refused" in line]) == (0, [])
    manifest = Manifest.read(directory)
    assert manifest.gpu_graph is not None
    sessions = [Session(directory, manifest, Settings(intra_op_threads=1), f) for f in (None, manifest.gpu_graph.file)]
    documents = [document(length, "classify", manifest.architecture.vocab_size) for length in LENGTHS]
    for fp32, fp16 in zip(*(session.run(session.pack(documents)) for session in sessions), strict=True):
        assert np.abs(probabilities(fp32["logits"]) - probabilities(fp16["logits"])).max() <= 2e-2


def test_no_tensor_is_quadratic(store: Path, tmp_path: Path) -> None:
    directory = store / "roberta-qa"
    session = Session(directory, Manifest.read(directory), Settings(intra_op_threads=1))
    short, long = (pack([document(500, "qa", 100)] * count, session.layout).inputs for count in (2, 4))
    short, long = ({name: one[name] for name in session.inputs} for one in (short, long))
    assert quadratic_tensors(directory / "model.onnx", short, long, tmp_path / "scratch") == {}


async def test_they_answer_over_http_and_read_long_texts_in_windows(store: Path) -> None:
    text = "東京は日本の首都である。夏目漱石は明治時代の小説家である。" * 40
    async with running(create_app(Settings(model_store=store, intra_op_threads=1))) as client:
        response = await client.post("/qa", json={"question": "首都はどこですか", "context": text})
        assert response.status_code == 200
        (answer,) = response.json()["results"][0]["answers"]
        assert text[answer["start"] : answer["end"]] == answer["text"]
        assert response.json()["usage"]["windows"] > 1
        response = await client.post("/classify", json={"text": text})
        assert [label["label"] for label in response.json()["labels"]] != []
        assert sum(label["score"] for label in response.json()["labels"]) == pytest.approx(1)
        models = (await client.get("/info")).json()["models"]
        assert {model["name"]: model["attention_pattern"] for model in models} == {
            "bert-classify": None,
            "deberta-v2-classify": None,
            "evidence": None,
            "luke-summarize": None,
            "modernbert-classify": None,
            "roberta-qa": None,
            "xlm-roberta-rerank": None,
        }
        response = await client.get("/v2/models/evidence")
        assert response.status_code == 404, "the task has no tensors there"
        response = await client.post("/classify", json={"text": text, "model": "deberta-v2-classify"})
        assert response.json()["usage"]["windows"] > 1
        response = await client.post("/summarize", json={"text": text, "max_sentences": 1})
        assert (response.json()["model"], response.json()["summary"] in text) == ("luke-summarize", True)
        response = await client.post("/classify", json={"text": text, "model": "modernbert-classify"})
        assert response.json()["usage"]["windows"] == 1


def test_files_are_put_in_order_by_how_well_they_fit_a_query(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("a.txt", "東京は日本の首都である。"), ("b.txt", "富士山の高さは3776メートルである。")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("a.txt", "b.txt")]
    assert main(["rerank", "首都はどこか", *files, "--model-store", str(store), "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert sorted(one["index"] for one in results) == [0, 1]
    assert 1 >= results[0]["score"] >= results[1]["score"] >= 0
    assert main(["rerank", "首都はどこか", *files, "--model-store", str(store)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{one['score']:.3f}  {files[one['index']]}" for one in results]


def test_the_evidence_of_a_file(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("東京は日本の首都である。京都は千年以上のあいだ都であった。", encoding="utf-8")
    asked = ["evidence", "首都はどこか", str(tmp_path / "a.txt"), "--model-store", str(store)]
    assert main([*asked, "--threshold", "0", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert [one["text"] for one in result["sentences"]] == [
        "東京は日本の首都である。",
        "京都は千年以上のあいだ都であった。",
    ]
    assert all(one["kept"] == (one["score"] > 0) for one in result["sentences"])
    assert main([*asked, "--threshold", "0"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{one['score']:.3f}  {one['text']}" for one in result["sentences"]]
    assert main([*asked, "--threshold", "1"]) == 0
    assert capsys.readouterr().out.startswith("Nothing in the text bears on the query")

"""From a tiny checkpoint of a family to answers over HTTP."""

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
from app.worker.session import Session
from export.check_gpu_graph import probabilities
from export.check_parity import difference, document, reference_logits, reference_of
from export.encoder import Task
from export.sharp import sharp_model
from export.to_onnx import ExportOptions, Target, export
from tests.app.asgi import running
from tests.export.families.tiny import save_checkpoint
from tests.export.graphs import quadratic_tensors

# transformers' ModernBERT imports parts of torch that say that they are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")

CASES: list[tuple[str, Task]] = [("bert", "classify"), ("roberta", "qa"), ("modernbert", "classify")]
CHANGES: dict[str, dict[str, Any]] = {"modernbert": {"classifier_pooling": "mean"}}
WITH_GPU_GRAPH = ("bert", "modernbert")
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
    return store


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
    code = main(["engine", "check", "--model", f"{family}-classify", "--model-store", str(store)])
    assert (code, [line for line in capsys.readouterr().out.splitlines() if "refused" in line]) == (0, [])
    directory = store / f"{family}-classify"
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
            "modernbert-classify": None,
            "roberta-qa": None,
        }
        response = await client.post("/classify", json={"text": text, "model": "modernbert-classify"})
        assert response.json()["usage"]["windows"] == 1

"""The padded layout of the other families under the real optimum, and its tables against those of packed batches."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from app.types import Task
from export.check_parity import difference, document
from export.checkpoint import CheckpointError
from export.encoder import PER_DOCUMENT, output_names
from export.to_onnx import ExportOptions, export
from tests.export.families.tiny import save_checkpoint, save_evidence_checkpoint

# optimum and the parts of transformers that it calls announce deprecations of their own.
pytestmark = pytest.mark.filterwarnings("ignore")

if transformers.__version__ < "5":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimum_onnxruntime = pytest.importorskip("optimum.onnxruntime")

CASES: list[tuple[str, Task, str, dict[str, Any]]] = [
    ("bert", "qa", "ORTModelForQuestionAnswering", {}),
    ("roberta", "classify", "ORTModelForSequenceClassification", {}),
    ("xlm-roberta", "rerank", "ORTModelForSequenceClassification", {}),
    ("luke", "token-classification", "ORTModelForTokenClassification", {}),
    ("deberta-v2", "multiple-choice", "ORTModelForMultipleChoice", {"conv_kernel_size": 3}),
    ("modernbert", "classify", "ORTModelForSequenceClassification", {"classifier_pooling": "mean"}),
]
# The layers of these two stand in a case above, and their head in that of BERT.
MORE: list[tuple[str, Task, str, dict[str, Any]]] = [
    ("deberta-v2", "qa", "ORTModelForQuestionAnswering", {}),
    ("modernbert", "qa", "ORTModelForQuestionAnswering", {}),
]


def _batch(lengths: tuple[int, ...], task: Task, vocabulary: int, has_types: bool) -> dict[str, torch.Tensor]:
    """Documents of different lengths, padded to the longest."""
    longest = max(lengths)
    names = ("input_ids", "attention_mask", *(("token_type_ids",) if has_types else ()))
    batch = {name: torch.zeros(len(lengths), longest, dtype=torch.int64) for name in names}
    for row, length in enumerate(lengths):
        doc = document(length, task, vocabulary)
        batch["input_ids"][row, :length] = torch.from_numpy(doc.input_ids.astype(np.int64))
        batch["attention_mask"][row, :length] = 1
        if has_types:
            batch["token_type_ids"][row, :length] = torch.from_numpy(doc.token_type_ids.astype(np.int64))
    return {name: tensor[None] for name, tensor in batch.items()} if task == "multiple-choice" else batch


@pytest.mark.skipif(transformers.__version__ >= "5", reason="optimum-onnx is made for transformers 4.57")
@pytest.mark.parametrize(
    ("family", "task", "name", "changes"), [*CASES, *(pytest.param(*case, marks=pytest.mark.slow) for case in MORE)]
)
def test_optimum_gives_the_logits_of_transformers(
    family: str, task: Task, name: str, changes: dict[str, Any], tiny_tokenizer_file: Path, tmp_path: Path
) -> None:
    source = save_checkpoint(tmp_path / "checkpoint", family, task, tiny_tokenizer_file, **changes)
    directory = tmp_path / "padded"
    manifest = export(str(tmp_path / "checkpoint"), directory, ExportOptions(task=task, name="padded", layout="padded"))
    reference = getattr(transformers, source.architectures[task]).from_pretrained(directory).eval()
    optimum = getattr(optimum_onnxruntime, name).from_pretrained(directory)
    for lengths in ((1, 1), (65, 12), (300, 320), (1500, 70)):
        if max(lengths) > manifest.max_tokens:
            continue
        vocabulary = manifest.architecture.vocab_size
        batch = _batch(lengths, task, vocabulary, "token_type_ids" in manifest.inputs)
        with torch.no_grad():
            ours, wanted = optimum(**batch), reference(**batch)
        for output in output_names(task):
            found, expected = np.asarray(ours[output]), wanted[output].numpy()
            assert found.shape == expected.shape
            if task not in PER_DOCUMENT:  # what stands at padding is read by nobody
                real = batch["attention_mask"].numpy() == 1
                found, expected = found[real], expected[real]
            assert difference([found], [expected]) <= 1e-4, lengths


def test_evidence_has_no_padded_layout(tiny_tokenizer_file: Path, tmp_path: Path) -> None:
    save_evidence_checkpoint(tmp_path / "checkpoint", tiny_tokenizer_file)
    options = ExportOptions(task="evidence", name="x", layout="padded")
    with pytest.raises(CheckpointError, match="for optimum, which has no class for evidence; export it as packed"):
        export(str(tmp_path / "checkpoint"), tmp_path / "x", options)
    assert not (tmp_path / "x").exists()

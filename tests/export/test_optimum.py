"""The padded layout under the real optimum, as in an ordinary Hugging Face program."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from app.types import Task
from export.check_parity import difference, document

LENGTHS = (128, 704, 1024, 4096)
# optimum and the parts of transformers that it calls announce deprecations of their own.
pytestmark = pytest.mark.filterwarnings("ignore")

if transformers.__version__ >= "5":
    pytest.skip("optimum-onnx is made for transformers 4.57", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    optimum_onnxruntime = pytest.importorskip("optimum.onnxruntime")


def inputs_of(tokens: int, task: Task) -> dict[str, torch.Tensor]:
    doc = document(tokens, task)
    ids = torch.from_numpy(doc.input_ids.astype(np.int64))[None]
    types = torch.from_numpy(doc.token_type_ids.astype(np.int64))[None]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "token_type_ids": types}


def outputs_of(model: Any, inputs: dict[str, torch.Tensor], names: tuple[str, ...]) -> list[Any]:
    with torch.no_grad():
        output = model(**inputs)
    return [np.asarray(output[name]) for name in names]


def compare(reference: Any, optimum: Any, task: Task, names: tuple[str, ...]) -> None:
    reference.eval()
    for tokens in LENGTHS:
        inputs = inputs_of(tokens, task)
        reference.bert.set_attention_type("block_sparse")
        wanted = outputs_of(reference, inputs, names)
        ours = outputs_of(optimum, inputs, names)
        assert ours[0].shape == wanted[0].shape
        assert difference(ours, wanted) <= 1e-4, tokens


def test_question_answering(padded_qa: Path) -> None:
    reference = transformers.BigBirdForQuestionAnswering.from_pretrained(padded_qa)
    optimum = optimum_onnxruntime.ORTModelForQuestionAnswering.from_pretrained(padded_qa)
    compare(reference, optimum, "qa", ("start_logits", "end_logits"))


def test_sequence_classification(padded_classify: Path) -> None:
    reference = transformers.BigBirdForSequenceClassification.from_pretrained(padded_classify)
    optimum = optimum_onnxruntime.ORTModelForSequenceClassification.from_pretrained(padded_classify)
    compare(reference, optimum, "classify", ("logits",))


def test_a_batch_of_two_lengths(padded_classify: Path) -> None:
    reference = transformers.BigBirdForSequenceClassification.from_pretrained(padded_classify).eval()
    optimum = optimum_onnxruntime.ORTModelForSequenceClassification.from_pretrained(padded_classify)
    first, second = inputs_of(1500, "classify"), inputs_of(800, "classify")
    batch = {name: torch.cat([first[name], torch.nn.functional.pad(second[name], (0, 700))]) for name in first}
    assert difference(outputs_of(optimum, batch, ("logits",)), outputs_of(reference, batch, ("logits",))) <= 1e-4

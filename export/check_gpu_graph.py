"""Compares a model's graph for GPUs with its fp32 graph, on a CPU, over texts and questions of a SQuAD file.

`python -m export.check_gpu_graph --model NAME --data jaquad/dev` reads the texts as the service does and runs three
computations: model.onnx; the graph for GPUs under ONNX Runtime, whose CPU kernels round to fp16 between some operators
only; and the same model in torch, which rounds after every operator, as GPUs do. Its last line is
{"max_probability_diff", "same_results", "items", ...}: the largest difference of a probability in either (of a token to
start or end an answer, of a label, of a sentence), and how many items got the same answer, label or sentences from the
graph for GPUs. The exit code is 1 past --tolerance or when one of these differs. A result that changes only in the
third computation had two candidates of about equal probability.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from tqdm import tqdm

from app.errors import BrokenModel, InvalidInput
from app.manifest import TOKENIZER_FILE, Manifest
from app.packing import Document
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.settings import settings_from
from app.streams import run_module
from app.tasks.base import sigmoid, softmax
from app.tasks.classify import CLASSIFY, PreparedLabels
from app.tasks.qa import QA, PreparedQa
from app.tasks.summarize import SUMMARIZE, PreparedSummary
from app.text.tokenizer import Tokenizer
from app.types import DoubleArray, FloatArray, Outputs
from app.worker.session import Session
from export.encoder import PackedModel
from export.families.registry import read_model
from export.gpu_graph import mixed_precision

Run = Callable[[Sequence[Document]], list[Outputs]]
AnyPrepared = PreparedQa | PreparedLabels | PreparedSummary

TOLERANCE = 2e-2


@dataclass
class Comparison:
    """The differences of one computation from the fp32 graph, over all items."""

    max_probability_diff: float = 0.0
    same_results: int = 0

    def add(self, prepared: AnyPrepared, ours: list[Outputs], theirs: list[Outputs]) -> None:
        for a, b in zip(ours, theirs, strict=True):
            for name in b:
                difference = np.abs(probabilities(a[name]) - probabilities(b[name])).max()
                self.max_probability_diff = max(self.max_probability_diff, float(difference))
        self.same_results += _result(prepared, ours) == _result(prepared, theirs)


def probabilities(logits: FloatArray) -> DoubleArray:
    """Probabilities of one output of one document: over its tokens or labels, or of each token's single logit."""
    doubles = logits.astype(np.float64)
    return sigmoid(doubles) if logits.ndim == 2 else softmax(doubles)  # (tokens, 1), or (tokens or labels,)


def _result(prepared: AnyPrepared, outputs: list[Outputs]) -> Any:
    """The result that a user would see, without scores."""
    if isinstance(prepared, PreparedQa):
        return [[(answer.start, answer.end) for answer in one.answers] for one in prepared.decode(outputs)]
    if isinstance(prepared, PreparedLabels):
        return [label.label for label in prepared.decode(outputs)]
    return [sentence.index for sentence in prepared.decode(outputs).sentences if sentence.selected]


def prepared_items(directory: Path, manifest: Manifest, data: Path, limit: int) -> Iterator[AnyPrepared]:
    """The first questions of SQuAD files, or only their texts if the model answers none, as the service reads them."""
    if manifest.task not in ("qa", "classify", "summarize"):
        raise InvalidInput(f"{directory} has the task {manifest.task}; only qa, classify and summarize are compared.")
    settings = settings_from({})
    tokenizer = Tokenizer.load(directory / TOKENIZER_FILE, normaliser=manifest.normaliser, segmenter=manifest.segmenter)
    for context, question in itertools.islice(_items(data, manifest.task == "qa"), limit):
        if question is not None:
            asked = QaRequest(question=question, context=context)
            yield PreparedQa(tokenizer, manifest, asked, [QA.source(asked)], settings)
        elif manifest.task == "classify":
            labelled = ClassifyRequest(text=context, top_k=1)
            yield PreparedLabels(tokenizer, manifest, labelled, CLASSIFY.source(labelled), settings)
        else:
            shortened = SummarizeRequest(text=context)
            yield PreparedSummary(tokenizer, manifest, shortened, SUMMARIZE.source(shortened), settings)


def _items(data: Path, with_questions: bool) -> Iterator[tuple[str, str | None]]:
    for file in sorted(data.glob("*.json")) if data.is_dir() else [data]:
        try:
            articles = json.loads(file.read_text(encoding="utf-8"))["data"]
            paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
            asked = [(one["context"], [qa["question"] for qa in one["qas"]]) for one in paragraphs]
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{file} is not SQuAD JSON: {type(error).__name__} {error}.") from error
        for context, questions in asked:
            yield from ((context, question) for question in (questions if with_questions else [None]))


class _FastProducts(TorchDispatchMode):
    """Matrix products of fp16 as on GPUs, summed in fp32 and rounded once; the CPU's own are a hundred times slower."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _PRODUCTS and args[0].dtype == torch.float16:
            return func(*(x.float() for x in args)).half()
        return func(*args, **(kwargs or {}))


_PRODUCTS = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default, torch.ops.aten.bmm.default)


def rounding_run(directory: Path, manifest: Manifest, session: Session) -> Run:
    """The model in torch in mixed precision, every operator rounding its result."""
    model = mixed_precision(read_model(directory, manifest.task))
    packed = PackedModel(model)
    names = model.packed_inputs(manifest.attention_pattern or "hf-eval")

    def run(documents: Sequence[Document]) -> list[Outputs]:
        batch = session.pack(documents)
        with torch.no_grad(), _FastProducts():  # type: ignore[no-untyped-call]
            values = packed(**{name: torch.from_numpy(batch.inputs[name]) for name in names})
        return session.cut(batch, {name: value.numpy() for name, value in zip(manifest.outputs, values, strict=True)})

    return run


def compare(directory: Path, data: Path, limit: int, *, rounding: bool = True) -> tuple[dict[str, Comparison], int]:
    """Differences of the GPU graph, and of the rounding computation, from model.onnx; and the number of items."""
    manifest = Manifest.read(directory)
    if manifest.gpu_graph is None:
        raise BrokenModel(f"{directory} has no graph for GPUs; nagayomi export --target adds one.")
    settings = settings_from({})
    session = Session(directory, manifest, settings)
    gpu = Session(directory, manifest, settings, manifest.gpu_graph.file)
    runs: dict[str, Run] = {"gpu_graph": lambda documents: gpu.run(gpu.pack(documents))}
    if rounding:
        runs["rounding_everywhere"] = rounding_run(directory, manifest, gpu)
    found = {name: Comparison() for name in runs}
    items = 0
    for prepared in tqdm(prepared_items(directory, manifest, data, limit), total=limit, file=sys.stderr):
        items += 1
        reference = session.run(session.pack(prepared.documents))
        for name, run in runs.items():
            found[name].add(prepared, run(prepared.documents), reference)
    return found, items


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.check_gpu_graph", description=__doc__)
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--data", type=Path, required=True, help="SQuAD JSON: a file or a folder of files")
    parser.add_argument("--limit", type=int, default=200, metavar="N", help="questions or texts (default: 200)")
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="largest allowed difference of a probability (default: %(default)s)",
    )
    args = parser.parse_args(arguments)
    found, items = compare(args.model_store / args.model, args.data, args.limit)
    worst = max(one.max_probability_diff for one in found.values())
    same = found["gpu_graph"].same_results
    print(
        json.dumps(
            {
                "model": args.model,
                "items": items,
                "max_probability_diff": worst,
                "same_results": same,
                **{name: vars(one) for name, one in found.items()},
            }
        )
    )
    return 0 if items and worst <= args.tolerance and same == items else 1


if __name__ == "__main__":
    run_module(main)

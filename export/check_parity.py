"""Compares transformers, the torch module and ONNX Runtime for every head, length and attention pattern.

`python -m export.check_parity` builds random models whose attention is far from uniform and prints, as its last line,
{"max_abs_diff", "cases", "batch_invariance", "random_pattern_diff", "largest_weight"}: the largest difference of logits
from transformers in pattern "hf-eval" (torch module and ONNX Runtime), between a document alone and packed with others,
and from the training mode of transformers with dropout 0 in pattern "random". The last figure says how far attention is
from uniform: the largest weight of a query among 1,024 keys, 0.001 if uniform, as the mean of the least sharp model.
`--family NAME` compares another family instead; its figures are those of export/check_families.py.
"""

import argparse
import copy
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime as ort
import torch
import transformers
from torch import Tensor, nn
from tqdm import tqdm

from app.block_tables import AttentionLayout
from app.packing import Document, PackedBatch, pack
from app.streams import run_module
from app.types import AttentionPattern, FloatArray, Task
from export.encoder import PER_DOCUMENT, TASKS, EncoderModel, PackedModel
from export.families.open_provence import OpenProvence
from export.families.registry import FAMILIES
from export.model import BigBird, Layer
from export.random_plan import random_plan
from export.sharp import CLS, SEP, sharp_model
from export.trace import write_graph

LENGTHS = (1, 63, 64, 65, 704, 705, 768, 1024, 1500, 3072, 4095, 4096)
PACKED_TOGETHER = ((1, 4096, 63), (705, 64, 65, 704), (1500, 768, 1024), (65, 3072, 1), (4095, 63))
QUESTION_LENGTH = 12
UNREAD = ("pooler", "entity_embeddings", "w2e_query", "e2w_query", "e2e_query")  # weights that no export reads


@dataclass(frozen=True)
class Subject:
    """One model in its three forms."""

    task: Task
    reference: Any  # the transformers model
    packed: PackedModel
    session: ort.InferenceSession
    layout: AttentionLayout


def largest_weight(model: BigBird, doc: Document) -> float:
    """Mean over heads and queries of the largest attention weight in the first layer, over all tokens of a document."""
    ids, types = (torch.from_numpy(array)[None].long() for array in (doc.input_ids, doc.token_type_ids))
    first = model.bert.encoder.layer[0]
    assert isinstance(first, Layer)
    attention = first.attention.self
    with torch.no_grad():
        hidden = model.bert.embeddings(ids, types, torch.arange(ids.shape[1])[None])
        shape = (ids.shape[1], attention.heads, attention.head_size)
        q, k = (layer(hidden).reshape(shape).transpose(0, 1) for layer in (attention.query, attention.key))  # (H, T, d)
        weights = (q @ k.transpose(1, 2) * attention.head_size**-0.5).softmax(-1)  # (H, T, T)
        return float(weights.amax(-1).mean())


def build(task: Task, pattern: AttentionPattern, hidden: int, layers: int, folder: Path) -> Subject:
    model = sharp_model("big_bird", task, hidden, layers, heads=hidden // 64, std=0.04)
    write_graph(model, folder, "packed", pattern)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    plan = random_plan(model.config, 4096) if pattern == "random" else None
    return Subject(task, reference_of(model), PackedModel(model), session, AttentionLayout(64, 3, pattern, plan))


def document(tokens: int, task: Task, vocabulary: int = 1000) -> Document:
    rng = np.random.default_rng(tokens)
    ids = rng.integers(5, vocabulary, tokens).astype(np.int32)
    types = rng.integers(0, 2, tokens).astype(np.int32)
    ids[0] = CLS
    question = QUESTION_LENGTH if task == "qa" and tokens > QUESTION_LENGTH else 0
    if question:
        ids[question - 1] = SEP
        types[:question] = 0
    return Document(ids, types, question)


def reference_of(model: EncoderModel, attention: str | None = None) -> Any:
    """The model of transformers with the same weights, and its own choice of an attention unless one is named."""
    if isinstance(model, OpenProvence):
        return EvidenceReference(reference_of(model.ranking_model, attention), model.pruning_head).eval()
    config = model.config
    if attention is not None:
        config = copy.deepcopy(config)
        config._attn_implementation = attention
    reference = getattr(transformers, model.architectures[model.task])(config)
    missing, unexpected = reference.load_state_dict(model.state_dict(), strict=False)
    if unexpected or not all(any(part in name for part in UNREAD) for name in missing):
        raise RuntimeError(
            f"The weights of {model.task} do not fit transformers: {missing} missing, {unexpected} unknown."
        )
    return reference.eval()


class EvidenceReference(nn.Module):
    """A reranker of transformers with the head for evidence, for which transformers has no class.

    The head reads the states before the final norm. In transformers 4 these are hidden_states[-1]; in 5 that is the
    state after it.
    """

    def __init__(self, reranker: Any, head: nn.Module) -> None:
        super().__init__()
        self.config = reranker.config
        self.reranker, self.head = reranker, head

    def forward(self, **inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The label of the reranker (1, 1), and two logits for each token (1, L, 2)."""
        states: list[Tensor] = []
        hook = self.reranker.model.final_norm.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0]))
        label = self.reranker(**inputs).logits
        hook.remove()
        return label, self.head(states[0])


def reference_logits(model: Any, task: Task, pattern: AttentionPattern, doc: Document) -> list[FloatArray]:
    """transformers' logits of one document alone: training mode (no dropout) for "random", else eval mode."""
    is_bigbird = model.config.model_type == "big_bird"
    model.train(pattern == "random")
    if is_bigbird:
        model.bert.set_attention_type("block_sparse")  # a short document switches the model to full attention for good
    ids, types = (torch.from_numpy(array.astype(np.int64))[None] for array in (doc.input_ids, doc.token_type_ids))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if getattr(model.config, "type_vocab_size", 0) > 1:
        inputs["token_type_ids"] = types
    if task == "multiple-choice":
        inputs = {name: tensor[None] for name, tensor in inputs.items()}  # (1, one choice, L)
    elif is_bigbird and task == "qa" and not doc.question_length:
        inputs["question_lengths"] = torch.tensor([[1]])  # [CLS] alone, which stays an answer
    with torch.no_grad():
        output = model(**inputs)
    if task == "evidence":
        return [logits[0].numpy() for logits in output]
    if task == "qa":
        return [output.start_logits[0].numpy(), output.end_logits[0].numpy()]
    return [output.logits[0].numpy()]


def cut(outputs: Sequence[FloatArray], batch: PackedBatch, index: int, task: Task) -> list[FloatArray]:
    """The outputs of one document of a batch."""
    if task == "evidence":
        label, tokens = outputs
        return [label[index], tokens[0, batch.documents[index]]]
    if task in PER_DOCUMENT:
        return [output[index] for output in outputs]
    return [output[0, batch.documents[index]] for output in outputs]


def run_torch(subject: Subject, batch: PackedBatch) -> list[FloatArray]:
    names = subject.packed.model.packed_inputs(subject.layout.pattern)
    with torch.no_grad():
        return [out.numpy() for out in subject.packed(**{name: torch.from_numpy(batch.inputs[name]) for name in names})]


def run_onnx(subject: Subject, batch: PackedBatch) -> list[FloatArray]:
    names = [node.name for node in subject.session.get_inputs()]
    outputs: list[FloatArray] = subject.session.run(None, {name: batch.inputs[name] for name in names})
    return outputs


def difference(ours: Sequence[FloatArray], theirs: Sequence[FloatArray]) -> float:
    """Largest absolute difference. Masked question tokens (-1e6) are compared as masked, not to the last digit."""
    largest = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            raise RuntimeError(f"The outputs have the shapes {a.shape} and {b.shape}.")
        masked = b < -1e5
        if not np.array_equal(masked, a < -1e5):
            raise RuntimeError("Another set of question tokens is masked.")
        largest = max(largest, float(np.abs(np.where(masked, 0, a - b)).max()))
    return largest


def check(subject: Subject, lengths: Sequence[int], together: Sequence[Sequence[int]]) -> Iterator[tuple[str, float]]:
    """Differences, each named "transformers" or "alone"."""
    alone: dict[int, list[FloatArray]] = {}
    wanted: dict[int, list[FloatArray]] = {}
    for length in lengths:
        doc = document(length, subject.task)
        batch = pack([doc], subject.layout)
        wanted[length] = reference_logits(subject.reference, subject.task, subject.layout.pattern, doc)
        alone[length] = cut(run_onnx(subject, batch), batch, 0, subject.task)
        yield "transformers", difference(alone[length], wanted[length])
        yield "transformers", difference(cut(run_torch(subject, batch), batch, 0, subject.task), wanted[length])
    for group in together:
        docs = [document(length, subject.task) for length in group]
        batch = pack(docs, subject.layout)
        outputs = run_onnx(subject, batch)
        for index, length in enumerate(group):
            ours = cut(outputs, batch, index, subject.task)
            yield "transformers", difference(ours, wanted[length])
            yield "alone", difference(ours, alone[length])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m export.check_parity", description=__doc__)
    parser.add_argument("--family", choices=FAMILIES, default="big_bird", help="default: %(default)s, in both patterns")
    parser.add_argument("--hidden", type=int, default=768, help="width (default: base, 768)")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--longest", type=int, metavar="N", help="tokens (default: what the family reads in one pass)")
    parser.add_argument("--heads", nargs="+", choices=get_args(Task), help="default: all that the family has")
    parser.add_argument("--pooling", choices=("cls", "mean"), help="of modernbert and open_provence")
    parser.add_argument("--attention", choices=("eager", "sdpa"), help="of transformers (default: its own choice)")
    args = parser.parse_args(arguments)
    known = TASKS if args.family == "big_bird" else FAMILIES[args.family].architectures
    if missing := set(args.heads or ()) - set(known):
        parser.error(f"{args.family} is compared with the heads {', '.join(known)}; not {', '.join(sorted(missing))}.")
    if args.pooling and args.family not in ("modernbert", "open_provence"):
        parser.error("--pooling goes with --family modernbert and open_provence.")
    if args.attention and args.family == "big_bird":
        parser.error("--attention goes with the other families; big_bird is compared with its block-sparse attention.")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    transformers.logging.set_verbosity_error()
    if args.family != "big_bird":
        from export.check_families import family_figures  # it imports this module

        changes = {"classifier_pooling": args.pooling} if args.pooling else {}
        print(
            json.dumps(
                family_figures(
                    args.family, args.hidden, args.layers, args.longest, args.heads, args.attention, **changes
                )
            )
        )
        return 0
    longest = args.longest or max(LENGTHS)
    lengths = [length for length in LENGTHS if length <= longest]
    groups = [group for group in PACKED_TOGETHER if max(group) <= longest]
    largest = {"hf-eval": 0.0, "random": 0.0, "alone": 0.0}
    sharpness = 1.0
    cases = 0
    patterns: tuple[AttentionPattern, ...] = ("hf-eval", "random")
    for task, pattern in tqdm(
        [(t, p) for t in args.heads or TASKS for p in patterns], desc="heads and patterns", file=sys.stderr
    ):
        with tempfile.TemporaryDirectory() as folder:
            subject = build(task, pattern, args.hidden, args.layers, Path(folder))
            assert isinstance(subject.packed.model, BigBird)
            sharpness = min(sharpness, largest_weight(subject.packed.model, document(1024, task)))
            for kind, value in check(subject, lengths, groups):
                cases += 1
                key = pattern if kind == "transformers" else "alone"
                largest[key] = max(largest[key], value)
    print(
        json.dumps(
            {
                "max_abs_diff": largest["hf-eval"],
                "cases": cases,
                "batch_invariance": largest["alone"],
                "random_pattern_diff": largest["random"],
                "largest_weight": round(sharpness, 3),
            }
        )
    )
    return 0


if __name__ == "__main__":
    run_module(main)

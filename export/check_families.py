"""The part of `export.check_parity` for families other than BigBird: every head, alone and packed, at every length.

It gives one line of figures for a family: {"family", "max_abs_diff", "batch_invariance", "cases", "heads", "lengths",
...}. The torch module, the exported graph in ONNX Runtime, and transformers compute the same random, sharp model.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime as ort
import torch
import transformers

from app.types import Task
from export.check_parity import Subject, check, reference_of
from export.encoder import PackedModel
from export.families.registry import FAMILIES
from export.sharp import sharp_model
from export.trace import attention_layout, write_graph

LENGTHS = (1, 63, 64, 65, 255, 511, 512, 1024, 1025, 2047, 8191, 8192)


def family_figures(
    family: str,
    hidden: int,
    layers: int,
    longest: int | None = None,
    tasks: Sequence[Task] | None = None,
    attention: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Compare every head of a family.

    Args:
        longest: tokens of the longest document; without it, the most that the family reads in one pass.
        attention: that of transformers; without it, its own choice.
        changes: other values in the configuration of the model.
    """
    most: dict[str, float] = {"transformers": 0.0, "alone": 0.0}
    heads = tuple(tasks or FAMILIES[family].architectures)
    cases = 0
    lengths: tuple[int, ...] = ()
    for task in heads:
        with tempfile.TemporaryDirectory() as folder:
            subject = _build(family, task, hidden, layers, Path(folder), attention, **changes)
            limit = min(longest or subject.packed.model.max_tokens, subject.packed.model.max_tokens)
            lengths = tuple(length for length in LENGTHS if length <= limit)
            for kind, value in check(subject, lengths, together(lengths)):
                cases += 1
                most[kind] = max(most[kind], value)
    return {
        "family": family,
        "max_abs_diff": most["transformers"],
        "batch_invariance": most["alone"],
        "cases": cases,
        "heads": list(heads),
        "lengths": list(lengths),
        "hidden": hidden,
        "layers": layers,
        **({"attention": attention} if attention else {}),
        **changes,
        "versions": {
            "transformers": transformers.__version__,
            "torch": torch.__version__,
            "onnxruntime": ort.__version__,
        },
    }


def together(lengths: Sequence[int]) -> list[tuple[int, ...]]:
    """The documents of each batch: short ones around long ones, so that every length is first, last or between."""
    middle = len(lengths) // 2
    groups = [tuple(lengths[:middle]), tuple(reversed(lengths[middle:])), (lengths[0], lengths[-1], lengths[middle])]
    return [group for group in groups if group]


def _build(
    family: str, task: Task, hidden: int, layers: int, folder: Path, attention: str | None, **changes: Any
) -> Subject:
    model = sharp_model(family, task, hidden, layers, heads=hidden // 64, std=0.04, **changes)
    write_graph(model, folder, "packed")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    reference = reference_of(model, attention)
    return Subject(task, reference, PackedModel(model), session, attention_layout(model, "hf-eval"))

"""From a BigBird checkpoint to a model directory: ONNX graph, weights, tokenizer, and last the manifest.

The graph keeps no weights of its own: its initializers point into model.safetensors, so that every weight exists once
and one file serves transformers and ONNX Runtime alike. Knows nothing of how a model is served.
"""

import argparse
import json
import logging
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir
import torch
from onnx import TensorProto, helper
from safetensors.torch import save_file
from torch import Tensor

from app.manifest import Architecture, Manifest, Metric, TrainingData, sha256, write
from app.packing import AttentionLayout, AttentionPattern, Document, pack
from app.tokenizer import NormaliserName, SegmenterName
from export.checkpoint import CheckpointError, locate, read_checkpoint, read_config
from export.model import (
    TASKS,
    BigBird,
    PackedModel,
    PaddedModel,
    Task,
    config_dict,
    load_weights,
    output_names,
    packed_inputs,
)
from export.random_plan import random_plan, save_random_plan

Layout = Literal["packed", "padded"]
WeightType = Literal["fp32", "fp16"]

OPSET = 20  # the first with Gelu; the standard Attention op of 23 is 30 % slower on CPU than the MatMuls written out
WEIGHTS_FILE = "model.safetensors"
_SAFETENSORS_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16}


@dataclass(frozen=True)
class ExportOptions:
    """What an export is told besides the checkpoint. `metadata` goes into the manifest."""

    task: Task
    name: str
    layout: Layout = "packed"
    attention_pattern: AttentionPattern = "hf-eval"
    weights: WeightType = "fp32"
    segmenter: SegmenterName | None = None
    normaliser: NormaliserName | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def export(checkpoint: str, out: Path, options: ExportOptions) -> Manifest:
    """Write a model directory. Files of an earlier export are replaced; the manifest is removed first and written last.

    Raises:
        CheckpointError: the checkpoint cannot be read, or does not say how its text is to be cut and no option does.
        ValueError: it lacks weights of the task.
    """
    if options.layout == "padded" and options.attention_pattern == "random":
        raise CheckpointError('The padded layout makes its tables in the graph; it has only the pattern "hf-eval".')
    source = locate(checkpoint)
    document = read_config(source)
    config, weights = read_checkpoint(source)
    own: dict[str, Any] = document.get("nagayomi", {})
    segmenter: SegmenterName | None = options.segmenter or own.get("segmenter")
    normaliser: NormaliserName | None = options.normaliser or own.get("normaliser")
    if segmenter is None or normaliser is None:
        raise CheckpointError(
            "The checkpoint does not say how its text is cut into words: give --segmenter (mecab-jumandic, jumanpp, "
            "none) and --normaliser (nfkc, zenkaku, none). nlp-waseda/bigbird-base-japanese wants jumanpp and zenkaku."
        )
    model = BigBird(config, options.task)
    load_weights(model, weights)
    model.eval()

    out.mkdir(parents=True, exist_ok=True)
    (out / "manifest.json").unlink(missing_ok=True)
    files = write_graph(model, out, options.layout, options.attention_pattern, options.weights)
    saved = config_dict(config, options.task)
    # What a training run notes of itself names places of the machine it ran on: no part of the model.
    kept = {key: value for key, value in own.items() if key != "training"}
    saved["nagayomi"] = {**kept, "task": options.task, "segmenter": segmenter, "normaliser": normaliser}
    (out / "config.json").write_text(json.dumps(saved, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    _write_tokenizer(source, out)
    files += ["config.json", "tokenizer.json"]

    metadata = options.metadata
    id2label = config.id2label or {}
    labels = tuple(id2label.get(index, f"LABEL_{index}") for index in range(config.num_labels))
    manifest = Manifest(
        name=options.name,
        task=options.task,
        architecture=Architecture(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            intermediate=config.intermediate_size,
            vocab_size=config.vocab_size,
            type_vocab_size=config.type_vocab_size,
        ),
        layout=options.layout,
        attention_pattern=options.attention_pattern,
        block_size=config.block_size,
        num_random_blocks=config.num_random_blocks,
        max_tokens=config.max_position_embeddings,
        labels=labels if options.task in ("classify", "token-classification") else (),
        label_names=metadata.get("label_names", {}),
        segmenter=segmenter,
        normaliser=normaliser,
        overlap_token_type=own.get("overlap_token_type"),
        precision="fp32" if options.weights == "fp32" else "fp32 (weights stored as fp16)",
        doc_stride=metadata.get("doc_stride", max(1, config.max_position_embeddings // 2)),
        temperature=metadata.get("temperature", 1.0),
        inputs=input_names(options.task, options.layout, options.attention_pattern),
        outputs=output_names(options.task),
        files={name: sha256(out / name) for name in sorted(files)},
        source=metadata.get("source", Path(checkpoint).name if Path(checkpoint).is_dir() else checkpoint),
        training_data=tuple(TrainingData(**entry) for entry in metadata.get("training_data", [])),
        licence=metadata.get("licence", "unknown: see the source checkpoint"),
        metrics=tuple(Metric(**entry) for entry in metadata.get("metrics", [])),
    )
    write(out, manifest)
    return manifest


def input_names(task: Task, layout: Layout, attention_pattern: AttentionPattern) -> tuple[str, ...]:
    return (
        packed_inputs(task, attention_pattern)
        if layout == "packed"
        else ("input_ids", "attention_mask", "token_type_ids")
    )


def write_graph(
    model: BigBird, out: Path, layout: Layout, pattern: AttentionPattern = "hf-eval", weights: WeightType = "fp32"
) -> list[str]:
    """Write model.onnx and the weights beside it (and random_plan.npz). Returns the names of the files."""
    dtype = torch.float16 if weights == "fp16" else torch.float32
    tensors = {name: tensor.detach().to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, out / WEIGHTS_FILE, metadata={"format": "pt"})
    (out / WEIGHTS_FILE).chmod(0o644)  # safetensors makes it for its owner only; a service may run as somebody else
    files = ["model.onnx", WEIGHTS_FILE]
    if pattern == "random":
        plan = random_plan(model.config, model.config.max_position_embeddings)
        save_random_plan(plan, out / "random_plan.npz")
        files.append("random_plan.npz")
        graph = trace_packed(
            model, AttentionLayout(model.config.block_size, model.config.num_random_blocks, pattern, plan)
        )
    elif layout == "packed":
        graph = trace_packed(model, AttentionLayout(model.config.block_size, model.config.num_random_blocks))
    else:
        graph = _trace_padded(model)
    point_weights_at(graph, out / WEIGHTS_FILE)
    onnx.save_model(graph, out / "model.onnx")
    return files


def trace_packed(
    model: BigBird, layout: AttentionLayout, rewrite: Callable[[onnx_ir.Model], None] | None = None
) -> onnx.ModelProto:
    """The packed graph of a model, still with weights of its own; `rewrite` may change it before it is written."""
    size, task = layout.block_size, model.task
    longest = 5 + 2 * layout.num_random_blocks + 2  # blocks of a document that gets all kinds of rows

    def document(tokens: int) -> Document:
        return Document(np.zeros(tokens, np.int32), np.zeros(tokens, np.int32))

    batch = pack([document(size + 1), document(longest * size), document((longest + 1) * size)], layout)
    names = packed_inputs(task, layout.pattern)
    blocks = torch.export.Dim("blocks", min=1)
    tokens = size * blocks
    shapes: dict[str, dict[int, Any]] = {
        "input_ids": {1: tokens},
        "token_type_ids": {1: tokens},
        "position_ids": {1: tokens},
        "question_mask": {1: tokens},
        "key_bias": {0: blocks},
        "merge": {0: blocks},
        "cls_index": {0: torch.export.Dim("documents", min=1)},
    }
    for kind in ("dense", "global", "sparse"):
        rows = torch.export.Dim(f"{kind}_row_count", min=1)
        width = {} if kind == "sparse" else {1: torch.export.Dim(f"{kind}_width", min=1)}
        shapes |= {f"{kind}_rows": {0: rows}, f"{kind}_table": {0: rows, **width}, f"{kind}_bias": {0: rows, **width}}
        if kind == "sparse":
            shapes["random_table"] = {2: rows}
    return _trace(
        PackedModel(model),
        {name: torch.from_numpy(batch.inputs[name]) for name in names},
        {name: shapes[name] for name in names},
        output_names(task),
        rewrite,
    )


def _trace_padded(model: BigBird) -> onnx.ModelProto:
    separator = model.config.sep_token_id
    if separator is None:
        raise CheckpointError("config.json has no sep_token_id: the padded layout finds the end of the question by it.")
    documents, length = torch.export.Dim("documents", min=1), torch.export.Dim("length", min=1)
    inputs = {
        "input_ids": torch.full((2, 1000), 5, dtype=torch.int64),
        "attention_mask": torch.ones((2, 1000), dtype=torch.int64),
        "token_type_ids": torch.zeros((2, 1000), dtype=torch.int64),
    }
    shapes = {name: {0: documents, 1: length} for name in inputs}
    return _trace(PaddedModel(model, separator), inputs, shapes, output_names(model.task))


def _trace(
    module: torch.nn.Module,
    inputs: dict[str, Tensor],
    shapes: dict[str, dict[int, Any]],
    outputs: tuple[str, ...],
    rewrite: Callable[[onnx_ir.Model], None] | None = None,
) -> onnx.ModelProto:
    # It says for every operator of torchvision that torchvision is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own insides (deprecated calls of torch and onnxscript, names of dimensions that it
        # derives itself): nothing that a caller could do otherwise. Parity is tested.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            (),
            kwargs=inputs,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            dynamo=True,
            opset_version=OPSET,
            optimize=False,  # folding would copy transposed weights into the graph; ONNX Runtime folds at load
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program.")
    if rewrite is not None:
        rewrite(program.model)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        program.save(str(path), external_data=True)
        graph = onnx.load(path)
    # The exporter notes a stack trace on every node, with paths of the machine: nothing a reader of the model needs.
    del graph.metadata_props[:]
    for part in (
        *graph.graph.node,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.initializer,
        *graph.graph.value_info,
    ):
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.graph.metadata_props[:]
    return graph


def point_weights_at(graph: onnx.ModelProto, weights: Path) -> None:
    """Make every parameter an external tensor inside a safetensors file, cast where it is stored in another type.

    safetensors: 8 bytes of header length, a JSON header with data_offsets, then the raw little-endian tensors.
    """
    with weights.open("rb") as file:
        (header_length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_length))
    kept = []
    casts = []
    for tensor in graph.graph.initializer:
        entry = header.get(tensor.name.removeprefix("model."))
        if entry is None:
            kept.append(tensor)
            continue
        begin, end = entry["data_offsets"]
        name, stored_type = tensor.name, _SAFETENSORS_TYPES[entry["dtype"]]
        if stored_type != tensor.data_type:
            name = f"{tensor.name}.{'fp16' if stored_type == TensorProto.FLOAT16 else 'fp32'}"
            casts.append(
                helper.make_node("Cast", [name], [tensor.name], name=f"cast_{tensor.name}", to=tensor.data_type)
            )
        stored = TensorProto(
            name=name,
            data_type=stored_type,
            dims=entry["shape"],
            data_location=TensorProto.EXTERNAL,
        )
        for key, value in (("location", weights.name), ("offset", 8 + header_length + begin), ("length", end - begin)):
            stored.external_data.add(key=key, value=str(value))
        kept.append(stored)
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _write_tokenizer(source: Path, out: Path) -> None:
    if (source / "tokenizer.json").exists():
        if (source / "tokenizer.json").resolve() != (out / "tokenizer.json").resolve():
            shutil.copyfile(source / "tokenizer.json", out / "tokenizer.json")
        return
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, trust_remote_code=False)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CheckpointError(
            f"{source} has no tokenizer.json, and its tokenizer has no Rust form that could be written."
        )
    backend.save(str(out / "tokenizer.json"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", required=True, help="transformers BigBird directory, or a hub id")
    parser.add_argument("--task", required=True, choices=TASKS)
    parser.add_argument("--out", required=True, type=Path, help="model directory to write, e.g. model_store/NAME")
    parser.add_argument(
        "--layout", choices=("packed", "padded"), default="packed", help="padded: for optimum (default: packed)"
    )
    parser.add_argument("--attention-pattern", choices=("hf-eval", "random"), default="hf-eval")
    parser.add_argument(
        "--weights", choices=("fp32", "fp16"), default="fp32", help="how weights are stored; the graph computes in fp32"
    )
    parser.add_argument(
        "--segmenter", choices=("mecab-jumandic", "jumanpp", "none"), help="default: what the checkpoint says"
    )
    parser.add_argument("--normaliser", choices=("nfkc", "zenkaku", "none"), help="default: what the checkpoint says")
    parser.add_argument(
        "--metadata", type=Path, help="JSON with training_data, licence, metrics, label_names for the manifest"
    )


def run(args: argparse.Namespace) -> int:
    metadata = json.loads(args.metadata.read_text(encoding="utf-8")) if args.metadata else {}
    options = ExportOptions(
        task=args.task,
        name=args.out.resolve().name,
        layout=args.layout,
        attention_pattern=args.attention_pattern,
        weights=args.weights,
        segmenter=args.segmenter,
        normaliser=args.normaliser,
        metadata=metadata,
    )
    manifest = export(args.checkpoint, args.out, options)
    size = sum((args.out / name).stat().st_size for name in manifest.files)
    print(f"{args.out}: {manifest.task}, {manifest.layout} layout, {size / 1e6:.1f} MB in {len(manifest.files)} files")
    return 0

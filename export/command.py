"""`nagayomi export`: its arguments, and the export that they ask for. The export itself is in to_onnx.py."""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

from app.errors import InvalidInput
from app.manifest import FILE_NAME
from app.types import NormaliserName, SegmenterName, Task
from export.families.registry import FAMILIES
from export.stored_weights import WeightType
from export.to_onnx import METADATA, TARGETS, ExportOptions, add_gpu_graph, export


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", required=True, help=f"transformers directory, or a hub id, of {', '.join(FAMILIES)}"
    )
    parser.add_argument(
        "--task",
        required=True,
        choices=get_args(Task),
        help="multiple-choice and token-classification are exported for other programs, and no endpoint serves them",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        help="model directory to write, e.g. model_store/NAME. If it is the --checkpoint itself, a model of the "
        "store, the graph for a GPU --target is added to it and nothing else changes",
    )
    parser.add_argument(
        "--layout", choices=("packed", "padded"), default="packed", help="padded: for optimum (default: packed)"
    )
    parser.add_argument(
        "--attention-pattern",
        choices=("hf-eval", "random"),
        default="hf-eval",
        help="attention pattern of a big_bird (default: hf-eval)",
    )
    parser.add_argument(
        "--first-position",
        type=int,
        metavar="N",
        help="position of the first token, for roberta, xlm-roberta and luke; rinna's RoBERTa needs 0 (default: the "
        "padding token's id plus 1)",
    )
    parser.add_argument(
        "--weights",
        choices=get_args(WeightType),
        default="fp32",
        help="stored form of the weights, independent of a graph's precision; int8: with a scale for each output "
        "channel",
    )
    parser.add_argument(
        "--target",
        choices=TARGETS,
        default="cpu",
        help="cuda, tensorrt: a second graph in mixed precision, for GPUs, over the same weights (default: cpu alone)",
    )
    parser.add_argument("--segmenter", choices=get_args(SegmenterName), help="default: as the checkpoint says")
    parser.add_argument(
        "--special-tokens",
        nargs=2,
        metavar=("FIRST", "SEPARATOR"),
        help="the tokens before and after a text, such as [CLS] [SEP] (default: the template in tokenizer.json)",
    )
    parser.add_argument("--normaliser", choices=get_args(NormaliserName), help="default: as the checkpoint says")
    parser.add_argument(
        "--metadata", type=Path, help=f"JSON object for the manifest; its keys may be {', '.join(METADATA)}"
    )


def _metadata(file: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidInput(f"{file} is not JSON: {error}.") from error
    if not isinstance(metadata, dict):
        raise InvalidInput(f"{file} does not hold a JSON object.")
    if unknown := sorted(metadata.keys() - METADATA):
        raise InvalidInput(f"{file} has the unknown key {unknown[0]!r}; allowed are {', '.join(METADATA)}.")
    return metadata


def run(args: argparse.Namespace) -> int:
    if (
        args.target != "cpu"
        and Path(args.checkpoint).resolve() == args.out.resolve()
        and (args.out / FILE_NAME).exists()
    ):
        manifest = add_gpu_graph(args.out, args.target)
        print(f"{args.out}: {manifest.graphs[args.target].file} added for {args.target}")
        return 0
    metadata = _metadata(args.metadata) if args.metadata else {}
    options = ExportOptions(
        task=args.task,
        name=args.out.resolve().name,
        layout=args.layout,
        attention_pattern=args.attention_pattern,
        weights=args.weights,
        target=args.target,
        segmenter=args.segmenter,
        normaliser=args.normaliser,
        special_tokens=tuple(args.special_tokens) if args.special_tokens else None,
        first_position=args.first_position,
        metadata=metadata,
    )
    manifest = export(args.checkpoint, args.out, options)
    size = sum((args.out / name).stat().st_size for name in manifest.files)
    print(f"{args.out}: {manifest.task}, {manifest.layout} layout, {size / 1e6:.1f} MB in {len(manifest.files)} files")
    return 0

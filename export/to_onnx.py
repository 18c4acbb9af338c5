"""From a checkpoint of any supported family to a model directory: graphs and weights, tokenizer, and last the manifest.

This module does not know how a model is served.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import tokenizers
from pydantic import ValidationError

from app.errors import BrokenModel
from app.manifest import (
    FILE_NAME,
    TOKENIZER_FILE,
    Architecture,
    Graph,
    Manifest,
    Metric,
    TrainingData,
    sha256,
    verify_files,
    write,
)
from app.text.tokenizer import Tokenizer
from app.types import AttentionPattern, GpuTarget, Layout, NormaliserName, SegmenterName, Task
from app.validation import explain
from export.checkpoint import CheckpointError, locate, read_config
from export.encoder import EncoderModel, output_names
from export.families.registry import read_model
from export.folder import written_whole
from export.padded import padded_inputs
from export.stored_weights import WeightType
from export.tokenizer_files import TokenizerFiles, read_tokenizer
from export.trace import GPU_FILE, write_gpu_graph, write_graph

Target = Literal["cpu", GpuTarget]

TARGETS: tuple[Target, ...] = ("cpu", "cuda", "tensorrt")

# The keys that metadata may have.
METADATA = ("doc_stride", "label_names", "licence", "metrics", "source", "temperature", "training_data")


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export. `metadata` goes into the manifest.

    `attention_pattern` is for layers with BigBird's attention, `first_position` for the families of RoBERTa.
    """

    task: Task
    name: str
    layout: Layout = "packed"
    attention_pattern: AttentionPattern = "hf-eval"
    weights: WeightType = "fp32"
    target: Target = "cpu"
    segmenter: SegmenterName | None = None
    normaliser: NormaliserName | None = None
    special_tokens: tuple[str, str] | None = None  # the first one and the separator, if no file names them
    first_position: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """A checkpoint that can be exported: its model, its tokenizer, how its text is cut, and its notes."""

    model: EncoderModel
    tokenizer: TokenizerFiles
    segmenter: SegmenterName
    normaliser: NormaliserName
    notes: dict[str, Any]  # what this program noted in config.json, if it made the checkpoint


def export(checkpoint: str, out: Path, options: ExportOptions) -> Manifest:
    """Write a model directory, whole or not at all. Files of an earlier export are replaced, the manifest last.

    Raises:
        CheckpointError: the checkpoint cannot be read or lacks weights of the task; neither it nor an option says how
            its text is cut; or the service would refuse the model. Nothing is written then.
    """
    _check_layout(options)
    source = _read(locate(checkpoint), options)
    _check_labels(source.model.config, options)
    name = Path(checkpoint).name if Path(checkpoint).is_dir() else checkpoint
    return _write(source, _described(source, name, options), out, options)


def _check_layout(options: ExportOptions) -> None:
    if options.layout != "padded":
        return
    if options.attention_pattern == "random":
        raise CheckpointError('The padded layout makes its tables in the graph; it has only the pattern "hf-eval".')
    if options.target != "cpu":
        raise CheckpointError("The padded layout has shapes that depend on data, which GPUs cannot plan for.")
    if options.task == "evidence":
        raise CheckpointError("The padded layout is for optimum, which has no class for evidence; export it as packed.")


def _check_labels(config: Any, options: ExportOptions) -> None:
    """Refuse a classifier to whose logits the service's softmax would give other scores than they were trained for.

    Raises:
        CheckpointError: its labels exclude no other label, or there is only one.
    """
    if options.task != "classify" or options.layout == "padded":
        return
    if config.num_labels == 1:
        raise CheckpointError(
            "The checkpoint has one label, and a classifier needs at least two: its scores are a softmax over the "
            "labels. --task rerank serves a single logit, as its sigmoid."
        )
    if config.problem_type in ("multi_label_classification", "regression"):
        raise CheckpointError(
            f"config.json names the problem_type {config.problem_type!r}, and a classifier of the service gives each "
            "text one label: its scores are a softmax over the labels. --layout padded exports it for other programs."
        )


def _read(directory: Path, options: ExportOptions) -> _Source:
    """Read a checkpoint. What its own files say is changed by what the options say.

    Raises:
        CheckpointError: see `export`.
    """
    notes: dict[str, Any] = read_config(directory).get("nagayomi", {})
    model = read_model(directory, options.task, options.first_position)
    tokenizer = read_tokenizer(directory)
    segmenter: SegmenterName | None = options.segmenter or notes.get("segmenter") or tokenizer.segmenter
    normaliser: NormaliserName | None = options.normaliser or notes.get("normaliser") or tokenizer.normaliser
    if segmenter is None or normaliser is None:
        raise CheckpointError(
            f"The checkpoint does not say how its text is cut into words: give --segmenter "
            f"({', '.join(get_args(SegmenterName))}) and --normaliser ({', '.join(get_args(NormaliserName))}). "
            "nlp-waseda/bigbird-base-japanese wants jumanpp and zenkaku."
        )
    tokenizer = tokenizer.with_template(options.special_tokens, is_own="segmenter" in notes)
    _check_pieces(tokenizer, normaliser, model.encoder_config.vocab_size)
    return _Source(model, tokenizer, segmenter, normaliser, notes)


def _described(source: _Source, name: str, options: ExportOptions) -> Manifest:
    """The manifest, still without the files.

    Args:
        name: of the checkpoint.

    Raises:
        CheckpointError: a value that the metadata, the options or config.json give is wrong.
    """
    model, notes, metadata = source.model, source.notes, options.metadata
    config, shape = model.config, model.encoder_config
    id2label = config.id2label or {}
    labels = tuple(id2label.get(index, f"LABEL_{index}") for index in range(config.num_labels))
    with _naming_metadata():
        return Manifest(
            name=options.name,
            task=options.task,
            architecture=Architecture(
                layers=shape.num_hidden_layers,
                hidden=shape.hidden_size,
                heads=shape.num_attention_heads,
                intermediate=shape.intermediate_size,
                vocab_size=shape.vocab_size,
                type_vocab_size=shape.type_vocab_size if "token_type_ids" in model.embedding_inputs else 1,
            ),
            layout=options.layout,
            layer_kinds=model.layer_kinds,
            attention_pattern=options.attention_pattern if "bigbird" in model.kinds else None,
            block_size=model.block_size,
            num_random_blocks=model.num_random_blocks,
            max_tokens=model.max_tokens,
            labels=labels if options.task in ("classify", "token-classification") else (),
            label_names=metadata.get("label_names", {}),
            segmenter=source.segmenter,
            normaliser=source.normaliser,
            overlap_token_type=notes.get("overlap_token_type"),
            sentence_token_types=notes.get("sentence_token_types", False),
            sentence_weights=notes.get("sentence_weights", {}),
            precision="fp32" if options.weights == "fp32" else f"fp32 (weights stored as {options.weights})",
            doc_stride=metadata.get("doc_stride", max(1, model.max_tokens // 2)),
            temperature=metadata.get("temperature", 1.0),
            inputs=input_names(model, options.layout, options.attention_pattern),
            outputs=output_names(options.task),
            files={},  # the contents of the other files are known before anything is written
            source=metadata.get("source", name),
            training_data=tuple(TrainingData(**entry) for entry in metadata.get("training_data", [])),
            licence=metadata.get("licence", "unknown: see the source checkpoint"),
            metrics=tuple(Metric(**entry) for entry in metadata.get("metrics", [])),
        )


def _write(source: _Source, described: Manifest, out: Path, options: ExportOptions) -> Manifest:
    """Write the graphs, the weights, the tokenizer and config.json, and last the manifest with their checksums."""
    model = source.model
    with written_whole(out, last=FILE_NAME, replaced=(GPU_FILE,)) as folder:
        files = write_graph(model, folder, options.layout, options.attention_pattern, options.weights)
        graphs: dict[GpuTarget, Graph] = {}
        if options.target != "cpu":
            graphs[options.target] = write_gpu_graph(model, folder, options.attention_pattern)
            files.append(GPU_FILE)
        content = json.dumps(_saved_config(source, options), ensure_ascii=False, indent=2) + "\n"
        (folder / "config.json").write_text(content, encoding="utf-8")
        source.tokenizer.write(folder)
        checksums = {name: sha256(folder / name) for name in sorted([*files, "config.json", TOKENIZER_FILE])}
        manifest = described.model_copy(update={"graphs": graphs, "files": checksums})
        write(folder, manifest)
    return manifest


def _saved_config(source: _Source, options: ExportOptions) -> dict[str, Any]:
    """config.json of the exported model, with which it is a checkpoint again."""
    # The notes of a training run name paths of its machine, which are no part of the model.
    kept = {key: value for key, value in source.notes.items() if key != "training"}
    own = {**kept, "task": options.task, "segmenter": source.segmenter, "normaliser": source.normaliser}
    if options.first_position is not None:
        own["first_position"] = options.first_position
    return {**source.model.saved_config(), "nagayomi": own}


def _check_pieces(tokenizer: TokenizerFiles, normaliser: NormaliserName, embeddings: int) -> None:
    """Refuse a tokenizer that the service would refuse when it loads the model.

    Raises:
        CheckpointError: a special token is missing, or the tokenizer has more pieces than the model embeddings.
    """
    pieces = tokenizers.Tokenizer.from_str(tokenizer.pieces.to_str())  # the file does not hold the service's settings
    try:
        Tokenizer(pieces, normaliser=normaliser, segmenter="none")
    except BrokenModel as error:
        raise CheckpointError(str(error)) from error
    needed = max(pieces.get_vocab_size(), max(pieces.get_vocab().values()) + 1)
    if needed > embeddings:
        raise CheckpointError(f"The tokenizer has {needed:,} pieces, and the checkpoint embeddings for {embeddings:,}.")


@contextmanager
def _naming_metadata() -> Iterator[None]:
    """Turn errors of the manifest into a sentence: the wrong value comes from --metadata, --out or config.json."""
    try:
        yield
    except ValidationError as error:
        raise CheckpointError(f"The manifest cannot be written. {explain(error)}") from error
    except (TypeError, AttributeError) as error:
        raise CheckpointError(f"The manifest cannot be written; the metadata has the wrong form: {error}.") from error


def input_names(model: EncoderModel, layout: Layout, attention_pattern: AttentionPattern) -> tuple[str, ...]:
    return model.packed_inputs(attention_pattern) if layout == "packed" else padded_inputs(model)


def add_gpu_graph(directory: Path, target: GpuTarget) -> Manifest:
    """Add a graph for GPUs to an exported packed model; its other files stay unchanged.

    Raises:
        BrokenModel: the directory holds no whole model.
        CheckpointError: the model has the padded layout.
    """
    manifest = Manifest.read(directory)
    verify_files(directory, manifest)
    if manifest.layout != "packed":
        raise CheckpointError("The padded layout has shapes that depend on data, which GPUs cannot plan for.")
    model = read_model(directory, manifest.task)
    graph = write_gpu_graph(model, directory, manifest.attention_pattern or "hf-eval")
    changed = manifest.model_copy(
        update={
            "graphs": {**manifest.graphs, target: graph},
            "files": dict(sorted({**manifest.files, graph.file: sha256(directory / graph.file)}.items())),
        }
    )
    write(directory, changed)
    return changed

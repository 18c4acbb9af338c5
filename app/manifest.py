"""`manifest.json`: the contents of a model directory, the inputs of its graph, and its origin.

The manifest is written last, so its presence means that the model is whole; the checksums say that it is unchanged.
This module does not know ONNX Runtime or requests; the exporter writes the manifest with the same class.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from app.atomic_write import write_then_rename
from app.errors import BrokenModel
from app.types import (
    AttentionPattern,
    GpuTarget,
    LayerKind,
    Layout,
    NormaliserName,
    SegmenterName,
    SentenceFeature,
    Task,
)
from app.validation import explain

FILE_NAME = "manifest.json"
FORMAT = 1
MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"
REQUIRED_FILES = (MODEL_FILE, TOKENIZER_FILE)

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Architecture(_Part):
    """The numbers of the encoder."""

    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    heads: int = Field(ge=1)
    intermediate: int = Field(ge=1)
    vocab_size: int = Field(ge=1)
    type_vocab_size: int = Field(ge=1)


class TrainingData(_Part):
    """A data set from which the weights were made; its licence applies to everyone who distributes the weights."""

    name: str
    licence: str
    url_or_source: str


class Metric(_Part):
    """One measurement and the command that reproduces it."""

    dataset: str
    n: int = Field(ge=0)
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)  # 95 %, bootstrap over documents
    command: str


class Graph(_Part):
    """A further graph of the model, over the same weights."""

    file: str = Field(min_length=1)
    precision: str
    inputs: tuple[str, ...] = ()  # if they differ from those of model.onnx


class Manifest(_Part):
    """The contents of a `manifest.json`."""

    format: Literal[1] = 1
    name: str = Field(pattern=_NAME)
    task: Task
    architecture: Architecture
    layout: Layout
    layer_kinds: tuple[LayerKind, ...] = ()  # one for each layer; older manifests have none: all "bigbird"
    attention_pattern: AttentionPattern | None  # None: no layer is of the kind "bigbird"
    block_size: int = Field(ge=1)
    num_random_blocks: int = Field(ge=0)
    max_tokens: int = Field(ge=8)
    labels: tuple[str, ...] = ()
    label_names: dict[str, str] = Field(default_factory=dict)
    segmenter: SegmenterName
    normaliser: NormaliserName
    overlap_token_type: int | None = Field(default=None, ge=0)
    sentence_token_types: bool = False  # a summarizer reads the token type of each sentence: Sentence.token_type
    # What a summarizer adds to the logit of a sentence for each unit of a feature.
    sentence_weights: dict[SentenceFeature, float] = Field(default_factory=dict)
    precision: str  # of model.onnx, which runs everywhere
    graphs: dict[GpuTarget, Graph] = Field(default_factory=dict)  # those exported for a GPU, by their target
    doc_stride: int = Field(default=2048, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    # Above this `score_diff`, a text is best taken not to answer. /info shows it; clients may send it with /qa, which
    # does not apply it by itself. None: none was fitted.
    null_score_diff_threshold: float | None = None
    fitted_on: tuple[str, ...] = ()  # the data on half of whose documents these two were fitted
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    files: dict[str, str]
    source: str
    training_data: tuple[TrainingData, ...] = ()
    licence: str
    metrics: tuple[Metric, ...] = ()

    @field_validator("files")
    @classmethod
    def _files_lie_inside_the_directory(cls, files: dict[str, str]) -> dict[str, str]:
        for name, digest in files.items():
            if not name or name.startswith("/") or "\\" in name or ".." in name.split("/"):
                raise ValueError(f"{name!r} is not a file inside the model's directory")
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"the checksum of {name} is not a SHA-256 in hexadecimal")
        return files

    @model_validator(mode="after")
    def _token_types_are_the_models(self) -> Self:
        """A token type that the embeddings lack would make every batch fail, long after the start."""
        needed = 3 if self.sentence_token_types else (self.overlap_token_type or 0) + 1
        if needed > (known := self.architecture.type_vocab_size):
            raise ValueError(f"{needed} token types are needed, and the model has {known}")
        return self

    @model_validator(mode="after")
    def _every_layer_has_a_kind(self) -> Self:
        if self.layer_kinds and len(self.layer_kinds) != self.architecture.layers:
            raise ValueError(f"{len(self.layer_kinds)} layer kinds are named for {self.architecture.layers} layers")
        if ("bigbird" in self.kinds) != (self.attention_pattern is not None):
            raise ValueError("an attention pattern belongs to layers of the kind bigbird, and only to them")
        return self

    @property
    def kinds(self) -> tuple[LayerKind, ...]:
        """The kinds of layers that the model has, each once: those whose block tables its graph takes."""
        return tuple(sorted(set(self.layer_kinds))) or ("bigbird",)

    @property
    def gpu_graph(self) -> Graph | None:
        """The graph for GPUs. Both targets get the same graph, so an export for one serves the other."""
        return next(iter(self.graphs.values()), None)

    def inputs_of(self, file: str) -> tuple[str, ...]:
        """The inputs of a graph of the model."""
        graph = next((graph for graph in self.graphs.values() if graph.file == file), None)
        return self.inputs if graph is None or not graph.inputs else graph.inputs

    def precision_on(self, provider: str) -> str:
        """The precision of the graph that a provider runs."""
        graph = self.gpu_graph if provider in get_args(GpuTarget) else None
        return self.precision if graph is None else graph.precision

    @classmethod
    def read(cls, directory: Path) -> "Manifest":
        """Read `directory/manifest.json`.

        Raises:
            BrokenModel: the file is missing, not JSON, of another format, or holds a value the service does not know.
        """
        path = directory / FILE_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BrokenModel(
                f"{path} is missing: the directory holds no model, or an export did not finish."
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise BrokenModel(f"{path} cannot be read as JSON: {error}.") from error
        if not isinstance(content, dict):
            raise BrokenModel(f"{path} does not hold a JSON object.")
        if content.get("format") != FORMAT:
            raise BrokenModel(
                f"{path} has format {content.get('format')!r}; this version reads format {FORMAT}. Export it again."
            )
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise BrokenModel(f"{path} is not a manifest this version understands: {explain(error, most=1)}") from error


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Compare every file with its checksum.

    Raises:
        BrokenModel: a file that the service needs is missing, altered, unreadable or not listed; the message names it.
    """
    for name in (*REQUIRED_FILES, *(graph.file for graph in manifest.graphs.values())):
        if name not in manifest.files:
            raise BrokenModel(f"The manifest in {directory} lists no checksum for {name}.")
    for name, expected in manifest.files.items():
        try:
            found = sha256(directory / name)
        except FileNotFoundError as error:
            raise BrokenModel(f"{directory / name} is missing.") from error
        except OSError as error:
            raise BrokenModel(f"{directory / name} cannot be read: {error.strerror}.") from error
        if found != expected:
            raise BrokenModel(f"{directory / name} is not the file the manifest was written for: its SHA-256 differs.")


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(directory: Path, manifest: Manifest) -> None:
    """Write the manifest in one step: a reader sees the old one, the new one or none, never half of one."""
    content = json.dumps(manifest.model_dump(mode="json"), ensure_ascii=False, indent=2)
    write_then_rename(directory / FILE_NAME, content + "\n")

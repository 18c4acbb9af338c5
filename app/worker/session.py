"""One ONNX Runtime session: the graph of one model on one provider.

Imported only in engine processes, so that the service itself never loads ONNX Runtime. This module does not know text
or requests: documents in, arrays out.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from app.block_tables import RANDOM_PLAN_FILE, AttentionLayout, load_random_plan
from app.errors import BrokenModel, ProviderUnavailable
from app.manifest import MODEL_FILE, Manifest
from app.packing import Document, PackedBatch, pack
from app.settings import Settings
from app.types import Outputs, Provider, Task
from app.worker.providers import NodesLeftToCpu, load_libraries, open_session, tensorrt_version
from app.worker.tensorrt import EngineCache, Sizes, fill, rounded_up

# What a task needs of a graph, and whether an output has one value per token: (1, T, ...) or (documents, ...).
TASK_OUTPUTS: dict[Task, dict[str, bool]] = {
    "qa": {"start_logits": True, "end_logits": True},
    "classify": {"logits": False},
    "summarize": {"logits": True},
    "rerank": {"logits": False},
    "evidence": {"logits": False, "token_logits": True},
}
OPTIONS: dict[Provider, dict[str, str]] = {
    "cuda": {"use_tf32": "0"},  # TF32 would round the parts that the graph keeps in fp32
    "openvino": {
        "device_type": "CPU",
        # A CPU without bf16 goes on in fp32.
        "load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}),
    },
}


class Session:
    """The graph of one model directory on one provider. Packs, runs and cuts apart.

    Args:
        directory: holds model.onnx and the weights it refers to.
        manifest: as read from that directory.
        graph: the file to run instead of the provider's own; for those who compare graphs.

    Raises:
        BrokenModel: the graph is not a packed one, lacks outputs of its task, is not made for the provider, or ONNX
            Runtime cannot load it.
        ProviderUnavailable: the provider does not run all of the graph, or cannot keep its engine.
    """

    def __init__(self, directory: Path, manifest: Manifest, settings: Settings, graph: str | None = None) -> None:
        if manifest.layout != "packed":
            raise BrokenModel(
                f"{manifest.name} has the layout {manifest.layout!r}, made for other programs; the service runs packed "
                "graphs. Export it again with the packed layout."
            )
        self._per_token = TASK_OUTPUTS[manifest.task]
        self.provider = settings.provider
        file = graph or graph_file(manifest, settings.provider)
        self.layout = attention_layout(directory, manifest, file)
        self._engine_cache: EngineCache | None = None
        options = OPTIONS.get(settings.provider, {})
        path = directory / file
        load_libraries(settings.provider)
        if settings.provider == "tensorrt":
            versions = f"{ort.__version__} {tensorrt_version()}"
            self._engine_cache = EngineCache.of(manifest, self.layout, settings, versions)
            self._engine_cache.prepare()
            options = self._engine_cache.options(manifest.inputs_of(file), self.layout)
        try:
            self.graph = open_session(path, settings.provider, settings.intra_op_threads, options)
        except NodesLeftToCpu as error:
            raise ProviderUnavailable(
                f"The provider {settings.provider!r} does not run every node of {path}, and ONNX Runtime would leave "
                "the rest to the CPU. `nagayomi engine check` lists what TensorRT does not know."
            ) from error
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise BrokenModel(f"ONNX Runtime cannot load {path}: {error}") from error
        self.inputs = tuple(node.name for node in self.graph.get_inputs())
        self.outputs = tuple(node.name for node in self.graph.get_outputs() if node.name in self._per_token)
        if missing := self._per_token.keys() - set(self.outputs):
            raise BrokenModel(f"The graph of {manifest.name} has no output {', '.join(sorted(missing))}.")

    def pack(self, documents: Sequence[Document]) -> PackedBatch:
        """Lay documents out as one batch. May run while another batch does."""
        batch = pack(documents, self.layout)
        if self._engine_cache is None:
            return batch
        return fill(batch, rounded_up(Sizes.of(batch.inputs), self._engine_cache.profile.max))

    def run(self, batch: PackedBatch) -> list[Outputs]:
        """One dictionary of outputs per document, cut to its own tokens or its own row.

        Raises:
            FloatingPointError: an output is not a finite number; decoding it would give nonsense.
        """
        # The graph takes those of the batch's inputs that it declares.
        values = self.graph.run(self.outputs, {name: batch.inputs[name] for name in self.inputs})
        return self.cut(batch, dict(zip(self.outputs, values, strict=True)))

    def cut(self, batch: PackedBatch, outputs: Outputs) -> list[Outputs]:
        """The second half of `run`: a batch's outputs, document by document."""
        for name, array in outputs.items():
            if not np.isfinite(array).all():
                raise FloatingPointError(f"the output {name} holds values that are not finite")
        return [
            {name: array[0, place] if self._per_token[name] else array[row] for name, array in outputs.items()}
            for row, place in enumerate(batch.documents)
        ]


def graph_file(manifest: Manifest, provider: Provider) -> str:
    """Which graph of a model the provider runs.

    Raises:
        BrokenModel: a GPU is to run it, and the model has no graph that it could.
    """
    if provider in ("cpu", "openvino"):
        return MODEL_FILE
    if manifest.gpu_graph is None:
        raise BrokenModel(
            f"{manifest.name} has no graph for GPUs. Add one with `nagayomi export --target {provider}`, the model's "
            "own directory being both --checkpoint and --out, or choose the provider 'cpu'."
        )
    return manifest.gpu_graph.file


def attention_layout(directory: Path, manifest: Manifest, file: str = MODEL_FILE) -> AttentionLayout:
    """How batches for a graph of this model are laid out.

    Raises:
        BrokenModel: the manifest asks for random attention and the plan is missing or unreadable.
    """
    plan = load_random_plan(directory / RANDOM_PLAN_FILE) if manifest.attention_pattern == "random" else None
    pattern = manifest.attention_pattern or "hf-eval"  # read where a layer is of the kind "bigbird", and only there
    inputs = manifest.inputs_of(file)
    return AttentionLayout(
        manifest.block_size,
        manifest.num_random_blocks,
        pattern,
        plan,
        manifest.kinds,
        spans="full_spans" in inputs,
        means="mean_weights" in inputs,
        distances=-(-manifest.max_tokens // manifest.block_size) if "distance_rows" in inputs else 0,
    )

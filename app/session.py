"""One ONNX Runtime session: the graph of one model on one provider.

Imported only in engine processes, so that the service itself never loads ONNX Runtime. Knows nothing of text or
requests: documents in, arrays out.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort

from app.errors import BrokenModel, ProviderUnavailable
from app.manifest import Manifest, Task
from app.packing import AttentionLayout, Document, Outputs, PackedBatch, load_random_plan, pack
from app.settings import Provider, Settings

MODEL_FILE = "model.onnx"
RANDOM_PLAN_FILE = "random_plan.npz"
# What the endpoints need of a graph, and whether its outputs have one value per token: (1, T, ...) or (documents, ...).
TASK_OUTPUTS: dict[Task, tuple[frozenset[str], bool]] = {
    "qa": (frozenset({"start_logits", "end_logits"}), True),
    "classify": (frozenset({"logits"}), False),
    "summarize": (frozenset({"logits"}), True),
}
PROVIDERS: dict[Provider, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

_QUIET = 3  # errors only: ONNX Runtime warns of every initializer it folds

# An ONNX model of a single Identity node. Only making a session shows whether a provider's libraries can be loaded.
_PROBE = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201705a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a"
    "02080142040a00100d"
)


def probe_provider(provider: Provider) -> None:
    """Try the provider on a model of one node.

    Raises:
        ProviderUnavailable: it cannot run here; says what is missing.
    """
    name = PROVIDERS[provider]
    if provider == "cpu":
        return
    available = ort.get_available_providers()
    if name not in available:
        raise ProviderUnavailable(
            f"The provider {provider!r} needs {name}; the installed ONNX Runtime offers only {', '.join(available)}. "
            "Install the extra 'gpu' instead of 'cpu', or choose the provider 'cpu'."
        )
    _open(_PROBE, provider, threads=1)


def _open(model: bytes | str, provider: Provider, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    # Plans of memory are kept for every shape ever seen, and shapes here never end. Without them the arena, which
    # reuses what it has, stays at what the largest shape took (docs/decisions/0014).
    options.enable_mem_pattern = False
    # Threads that spin between two batches would take the cores from the tokenisers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if provider == "cuda":
        ort.preload_dlls()
    session = ort.InferenceSession(model, options, providers=[PROVIDERS[provider]])
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise ProviderUnavailable(
            f"The provider {provider!r} was asked for, but its libraries or its device cannot be used here: ONNX "
            f"Runtime would fall back to {session.get_providers()[0]}. Check the driver, or choose the provider 'cpu'."
        )
    return session


class Session:
    """The graph of one model directory on one provider. Packs, runs and cuts apart.

    Args:
        directory: holds model.onnx and the weights it refers to.
        manifest: as read from that directory.

    Raises:
        BrokenModel: the graph is not a packed one, has not the outputs of its task, or ONNX Runtime cannot load it.
        ProviderUnavailable: see `probe_provider`.
    """

    def __init__(self, directory: Path, manifest: Manifest, settings: Settings) -> None:
        if manifest.layout != "packed":
            raise BrokenModel(
                f"{manifest.name} has the layout {manifest.layout!r}, made for other programs; the service runs packed "
                "graphs. Export it again with the packed layout."
            )
        needed, self._per_token = TASK_OUTPUTS[manifest.task]
        self.provider = settings.provider
        self.layout = attention_layout(directory, manifest)
        try:
            self.graph = _open(str(directory / MODEL_FILE), settings.provider, settings.intra_op_threads)
        except ProviderUnavailable:
            raise
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise BrokenModel(f"ONNX Runtime cannot load {directory / MODEL_FILE}: {error}") from error
        self.inputs = tuple(node.name for node in self.graph.get_inputs())
        self.outputs = tuple(node.name for node in self.graph.get_outputs())
        if missing := needed - set(self.outputs):
            raise BrokenModel(f"The graph of {manifest.name} has no output {', '.join(sorted(missing))}.")

    def pack(self, documents: Sequence[Document]) -> PackedBatch:
        """Lay documents out as one batch. May run while another batch does."""
        return pack(documents, self.layout)

    def run(self, batch: PackedBatch) -> list[Outputs]:
        """One dictionary of outputs per document, cut to its own tokens or its own row.

        Raises:
            FloatingPointError: an output is not a finite number; decoding it would give nonsense.
        """
        # The graph takes those of the batch's inputs that it declares.
        values = self.graph.run(self.outputs, {name: batch.inputs[name] for name in self.inputs})
        outputs = dict(zip(self.outputs, values, strict=True))
        for name, array in outputs.items():
            if not np.isfinite(array).all():
                raise FloatingPointError(f"the output {name} holds values that are not finite")
        if self._per_token:
            return [{name: array[0, place] for name, array in outputs.items()} for place in batch.documents]
        return [{name: array[row] for name, array in outputs.items()} for row in range(len(batch.documents))]


def attention_layout(directory: Path, manifest: Manifest) -> AttentionLayout:
    """How batches of this model are laid out.

    Raises:
        BrokenModel: the manifest asks for random attention and the plan is missing or unreadable.
    """
    plan = load_random_plan(directory / RANDOM_PLAN_FILE) if manifest.attention_pattern == "random" else None
    return AttentionLayout(manifest.block_size, manifest.num_random_blocks, manifest.attention_pattern, plan)

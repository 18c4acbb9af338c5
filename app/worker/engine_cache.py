"""Where the TensorRT engine of a model is kept between starts, and what it is built for.

An engine fits one graph with its weights, one set of shapes and one version of the libraries, so each of these has a
directory of its own; one that fits nothing any more may be deleted. Building takes minutes, loading seconds. The timing
cache is shared: it makes the next build shorter. Knows the layout of the files; nothing of sessions.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import ProviderUnavailable
from app.manifest import Manifest
from app.packing import AttentionLayout
from app.settings import Settings
from app.worker.tensorrt import Profile, Sizes, profile


@dataclass(frozen=True)
class EngineCache:
    """The cache of one model under one set of settings."""

    root: Path
    directory: Path
    profile: Profile

    @classmethod
    def of(cls, manifest: Manifest, layout: AttentionLayout, settings: Settings, version: str) -> "EngineCache":
        """`version`: of what builds engines; another version builds another engine."""
        shapes = profile(layout, manifest.max_tokens, settings.max_batch_tokens)
        key = json.dumps([manifest.files, asdict(shapes), version], sort_keys=True)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return cls(settings.engine_cache, settings.engine_cache / f"{manifest.name}-{digest}", shapes)

    def prepare(self) -> None:
        """Make the directory, and write into it what the engine is for.

        Raises:
            ProviderUnavailable: nothing can be written there.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            content = json.dumps(asdict(self.profile), indent=2) + "\n"
            (self.directory / "profile.json").write_text(content, encoding="utf-8")
        except OSError as error:
            raise ProviderUnavailable(
                f"The provider 'tensorrt' keeps its engines in {self.root}, which cannot be written: {error.strerror}. "
                "Name another directory with --engine-cache."
            ) from error

    def options(self, inputs: Collection[str], layout: AttentionLayout) -> dict[str, str]:
        """Options of TensorRT's execution provider for a graph with these inputs."""
        return {
            "trt_fp16_enable": "1",  # a graph with fp16 in it needs the permission; which tensors, the graph says
            "trt_layer_norm_fp32_fallback": "1",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(self.directory),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(self.root),
            "trt_profile_min_shapes": _shapes(self.profile.least, inputs, layout),
            "trt_profile_opt_shapes": _shapes(self.profile.best, inputs, layout),
            "trt_profile_max_shapes": _shapes(self.profile.most, inputs, layout),
        }


def _shapes(sizes: Sizes, inputs: Collection[str], layout: AttentionLayout) -> str:
    """`name:1x64,...`, as ONNX Runtime reads them."""
    shapes = sizes.shapes(layout)
    return ",".join(f"{name}:{'x'.join(map(str, shapes[name]))}" for name in inputs)

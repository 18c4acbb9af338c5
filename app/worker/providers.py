"""ONNX Runtime's execution providers: their requirements, and sessions that run wholly on the requested provider.

ONNX Runtime itself falls back to the CPU when a provider's library cannot be loaded, and also for single nodes that a
provider cannot run. Both look healthy and are slow, so both are errors here. Only engine processes import this module.
This module does not know models; docs/gpu.md has the table of compatible versions.
"""

import ctypes
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import onnxruntime as ort

from app.errors import ProviderUnavailable
from app.types import Provider

NAMES: dict[Provider, str] = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
EXTRAS: dict[Provider, str] = {"cpu": "cpu", "openvino": "openvino", "cuda": "gpu", "tensorrt": "gpu,tensorrt"}
DRIVERS = {12: 525, 13: 580}  # the oldest NVIDIA driver for a CUDA major version
TENSORRT_MAJOR = 10  # the version that ONNX Runtime 1.18 and later is linked against

_QUIET = 3  # errors only: ONNX Runtime warns about every initializer that it folds
_LEFT_TO_CPU = "fallback to CPU EP has been explicitly disabled"

# An ONNX model of a single Identity node. Only a session shows whether a provider works.
_PROBE = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201705a0f0a0178120a0a08080112040a020801620f0a0179120a0a08080112040a"
    "02080142040a00100d"
)


class NodesLeftToCpu(Exception):
    """The provider works, but cannot run every node of the graph."""


def probe_provider(provider: Provider) -> None:
    """Check the requirements of the provider, and run it on a model of one node.

    Raises:
        ProviderUnavailable: the provider cannot run here; the message names the missing part.
    """
    if provider == "cpu":
        return
    available = ort.get_available_providers()
    if NAMES[provider] not in available:
        raise ProviderUnavailable(
            f"The provider {provider!r} needs {NAMES[provider]}; the installed ONNX Runtime offers only "
            f"{', '.join(available)}. Install the extra {EXTRAS[provider]!r}, not {EXTRAS[_best_of(available)]!r}, "
            f"in a separate environment, or choose the provider {_best_of(available)!r}."
        )
    if provider in ("cuda", "tensorrt"):
        _check_driver(provider)
    load_libraries(provider)
    try:
        session = ort.InferenceSession(_PROBE, _options(1), providers=[NAMES[provider]], enable_fallback=0)
    except Exception as error:  # ONNX Runtime's own exceptions have no common base
        raise ProviderUnavailable(f"The provider {provider!r} cannot be started: {error}") from error
    if session.get_providers()[0] != NAMES[provider]:
        raise ProviderUnavailable(
            f"The libraries or the device of the provider {provider!r} cannot be used here: ONNX Runtime would fall "
            f"back to {session.get_providers()[0]}. Its own message above says more."
        )


def open_session(
    model: Path, provider: Provider, threads: int, options: Mapping[str, str] | None = None
) -> ort.InferenceSession:
    """A session that runs every node on the provider. The provider's libraries must be loaded.

    Raises:
        NodesLeftToCpu: the provider cannot run all nodes.
        Exception: ONNX Runtime refuses the graph; its exceptions have no common base.
    """
    session_options = _options(threads)
    if provider != "cpu":
        session_options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        return ort.InferenceSession(
            str(model), session_options, providers=[(NAMES[provider], dict(options or {}))], enable_fallback=0
        )
    except Exception as error:
        if _LEFT_TO_CPU in str(error):
            raise NodesLeftToCpu from error
        raise


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = _QUIET
    options.intra_op_num_threads = threads
    # ONNX Runtime keeps a memory plan for every shape, and the number of shapes here is unlimited. Without plans, the
    # arena reuses its memory and stays at the size for the largest shape (docs/decisions/0014).
    options.enable_mem_pattern = False
    # Spinning threads save a fifth of the time of a batch; between batches they would take cores from the tokenizers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _best_of(available: list[str]) -> Provider:
    return next(provider for provider in ("cuda", "openvino", "cpu") if NAMES[provider] in available)


def cuda_major() -> int:
    """The CUDA version that the installed ONNX Runtime was built for."""
    return int(str(ort.cuda_version).partition(".")[0] or 0)


def _check_driver(provider: Provider) -> None:
    """Compare the driver with the CUDA version of ONNX Runtime."""
    wanted = cuda_major()
    needs = f"onnxruntime-gpu {ort.__version__} is built for CUDA {wanted} and needs an NVIDIA driver"
    if wanted in DRIVERS:
        needs += f" {DRIVERS[wanted]} or newer"
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise ProviderUnavailable(
            f"The provider {provider!r} finds no NVIDIA driver: {error}. {needs}; a container must be given the GPU."
        ) from error
    version = ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    if version.value < 1000 * wanted:
        found = f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
        raise ProviderUnavailable(f"The NVIDIA driver here supports {found} at most. {needs}.")


def tensorrt_version() -> int:
    """The version of the loaded library: 101601 is 10.16.1."""
    return int(ctypes.CDLL(f"libnvinfer.so.{TENSORRT_MAJOR}").getInferLibVersion())


def load_libraries(provider: Provider) -> None:
    """Load the libraries of a GPU provider, from Python packages or the system. Once per process is enough.

    Raises:
        ProviderUnavailable: names the missing library.
    """
    if provider not in ("cuda", "tensorrt"):
        return
    ort.preload_dlls()
    wanted = cuda_major()
    names = [f"libcudart.so.{wanted}", f"libcublasLt.so.{wanted}", f"libcublas.so.{wanted}", "libcurand.so.10"]
    names.append("libcudnn.so.9")
    for name in names:
        _load(name, name, f"CUDA {wanted} and cuDNN 9 come with the extra 'gpu'.")
    if provider == "tensorrt":
        package = importlib.util.find_spec("tensorrt_libs")
        folders = list(package.submodule_search_locations or ()) if package is not None else []
        for stem in ("libnvinfer", "libnvonnxparser"):
            name = f"{stem}.so.{TENSORRT_MAJOR}"
            packaged = next((path for folder in folders if (path := Path(folder) / name).is_file()), None)
            _load(name, str(packaged or name), _tensorrt_hint(folders))


def _tensorrt_hint(folders: list[str]) -> str:
    found = sorted({path.name for folder in folders for path in Path(folder).glob("libnvinfer.so.*")})
    return (
        f"ONNX Runtime {ort.__version__} wants TensorRT {TENSORRT_MAJOR}"
        + (f"; the package here holds {', '.join(found)}" if found else "; no package of it is installed")
        + ". Install the extra 'tensorrt'."
    )


def _load(name: str, path: str, hint: str) -> None:
    try:
        ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise ProviderUnavailable(f"The library {name} cannot be loaded ({error}). {hint}") from error

"""A provider is had or refused with the reason; nothing falls back to the CPU."""

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from app.errors import ProviderUnavailable
from app.worker import providers
from app.worker.providers import _PROBE, NodesLeftToCpu, open_session, probe_provider


@pytest.fixture
def gpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime as in onnxruntime-gpu 1.31, built for CUDA 13."""
    names = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: names)
    monkeypatch.setattr("onnxruntime.cuda_version", "13.0")
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda: None)


def load_only(monkeypatch: pytest.MonkeyPatch, *there: str, driver: int = 13000) -> None:
    """A machine with these libraries, whose driver supports this version of CUDA (13000 is 13.0)."""

    def cu_driver_get_version(place: Any) -> None:
        place._obj.value = driver

    def load(path: str, mode: int = 0) -> Any:
        if Path(path).name not in there:
            raise OSError(f"{path}: cannot open shared object file: No such file or directory")
        return SimpleNamespace(cuDriverGetVersion=cu_driver_get_version, getInferLibVersion=lambda: 101601)

    monkeypatch.setattr(ctypes, "CDLL", load)


CUDA = ("libcuda.so.1", "libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9")


def test_the_probe_is_a_model() -> None:
    session = ort.InferenceSession(_PROBE, providers=["CPUExecutionProvider"])
    assert np.asarray(session.run(None, {"x": np.array([7], dtype=np.float32)})[0]).tolist() == [7]


def test_the_cpu_needs_nothing() -> None:
    probe_provider("cpu")


@pytest.mark.parametrize(
    ("provider", "extra"), [("cuda", "gpu"), ("tensorrt", "gpu,tensorrt"), ("openvino", "openvino")]
)
def test_a_provider_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, provider: Any, extra: str) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ProviderUnavailable, match=f"Install the extra '{extra}', not 'cpu'"):
        probe_provider(provider)


@pytest.mark.usefixtures("gpu_build")
def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    load_only(monkeypatch)
    with pytest.raises(ProviderUnavailable, match=r"no NVIDIA driver.*built for CUDA 13 and needs .* 580 or newer"):
        probe_provider("cuda")


@pytest.mark.usefixtures("gpu_build")
def test_a_driver_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    load_only(monkeypatch, *CUDA, driver=12080)
    with pytest.raises(ProviderUnavailable, match=r"supports CUDA 12\.8 at most.*580 or newer"):
        probe_provider("cuda")


@pytest.mark.usefixtures("gpu_build")
def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    load_only(monkeypatch, *(name for name in CUDA if name != "libcudnn.so.9"))
    with pytest.raises(ProviderUnavailable, match=r"libcudnn\.so\.9 cannot be loaded.*extra 'gpu'"):
        probe_provider("cuda")


@pytest.mark.usefixtures("gpu_build")
def test_tensorrt_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "libnvinfer.so.11").touch()
    load_only(monkeypatch, *CUDA)
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    with pytest.raises(ProviderUnavailable, match=r"wants TensorRT 10; the package here holds libnvinfer\.so\.11"):
        probe_provider("tensorrt")


@pytest.mark.usefixtures("gpu_build")
def test_tensorrt_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    load_only(monkeypatch, *CUDA)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ProviderUnavailable, match=r"libnvinfer\.so\.10 .*no package of it is installed"):
        probe_provider("tensorrt")


@pytest.mark.usefixtures("gpu_build")
def test_tensorrt_is_loaded_from_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[str] = []
    for name in ("libnvinfer.so.10", "libnvonnxparser.so.10"):
        (tmp_path / name).touch()
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode=0: loaded.append(path))
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    providers.load_libraries("tensorrt")
    assert loaded == [*CUDA[1:], str(tmp_path / "libnvinfer.so.10"), str(tmp_path / "libnvonnxparser.so.10")]


@pytest.mark.usefixtures("gpu_build")
@pytest.mark.filterwarnings("ignore:Specified provider")  # ONNX Runtime says so too
def test_a_provider_that_falls_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with CUDA built in and unusable: ONNX Runtime goes on with the CPU and only warns."""
    load_only(monkeypatch, *CUDA)
    with pytest.raises(ProviderUnavailable, match="would fall back to CPUExecutionProvider"):
        probe_provider("cuda")


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_graph_that_would_be_left_to_the_cpu_is_not_run(handmade_models: Path) -> None:
    """The provider is not in this build, so that every node would be the CPU's."""
    with pytest.raises(NodesLeftToCpu):
        open_session(handmade_models / "hand-qa" / "model.onnx", "openvino", 1)

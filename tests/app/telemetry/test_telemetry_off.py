"""Nothing is reported to anyone: ONNX Runtime's telemetry is off in every package that imports it."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("package", ["app", "bench", "export"])
def test_importing_the_package_switches_it_off(package: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    program = f"import {package}, os, sys; print(os.environ['ORT_DISABLE_TELEMETRY'], 'onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"

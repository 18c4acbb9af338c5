"""Nothing is reported to anyone: ONNX Runtime's telemetry is off wherever the service is imported."""

import os
import subprocess
import sys


def test_importing_the_service_switches_it_off() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    program = "import app.session, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"

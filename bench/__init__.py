"""Measurements: forward passes, the gateway, load, a soak, and a simulation.

This package serves nothing and trains nothing. Each file or folder is one command, `python -m bench.NAME`; start with
load_test/.
"""

import app  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off

"""Measurements: forward passes, the gateway, load, a soak, and a simulation. Serves nothing and trains nothing."""

import app  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off

"""Measurements: forward passes, load, and other servers beside this one."""

import app  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off

"""From a fine-tuned checkpoint to an ONNX graph that keeps its block-sparse attention."""

import app  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off

"""From a fine-tuned checkpoint to an ONNX graph that keeps its block-sparse attention.

This room does not know requests, queues or HTTP. Start with to_onnx.py, which command.py calls for `nagayomi
export`; model.py is the encoder itself.
"""

import app  # noqa: F401 - before ONNX Runtime, whose telemetry it switches off

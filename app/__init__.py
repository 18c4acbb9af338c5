"""The service. Never imports torch, transformers, export or training."""

import os

__version__ = "0.1.0"

# ONNX Runtime (1.29 and later) reports every session to its makers, unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

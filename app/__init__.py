"""The service, the command line and the page. This package never imports torch, transformers, export or training.

Start with main.py for HTTP, cli.py for the command line, and service.py for the way of a request.
"""

import os

__version__ = "0.2.0"

# ONNX Runtime (1.29 and later) reports every session to its makers, unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

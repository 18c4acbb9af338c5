"""The service. Never imports torch, transformers, export or training."""

__version__ = "0.1.0"

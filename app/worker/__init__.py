"""The process that runs one model: `python -m app.worker`, started and watched by app/engine/process.py.

This room alone may import onnxruntime. It knows packed batches, and does not know requests or text. Start with
__main__.py.
"""

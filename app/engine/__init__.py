"""Between requests and the model: the queue, its order, the batches, and the process that runs them.

Knows documents as token ids; nothing of text, tasks or HTTP, and never imports ONNX Runtime. Start with batcher.py.
"""

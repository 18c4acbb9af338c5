"""Between requests and the model: the queue, its order, the batches, and the process that runs them.

This room knows documents as token ids, does not know text, tasks or HTTP, and never imports ONNX Runtime. Start with
batcher.py.
"""

"""From a fine-tuned checkpoint to an ONNX graph that keeps its block-sparse attention."""

"""Data readers, pre-training, fine-tuning and evaluation. Evaluation scores the answers that the service would give."""

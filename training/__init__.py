"""Data readers, fine-tuning and evaluation. Evaluation scores what the service would answer."""

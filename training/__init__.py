"""Data readers, pre-training, fine-tuning and evaluation, which scores the answers that the service would give.

This package does not know HTTP. Start with finetune/command.py, or with data.py for the formats of data.
"""

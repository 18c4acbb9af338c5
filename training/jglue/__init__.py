"""JGLUE with any encoder of transformers: its tasks, its grid search, its scores.

This room uses the Trainer of transformers, and does not know training/runs/trainer.py. Start with command.py.
"""

"""JGLUE with any encoder of transformers: its tasks, its grid search, its scores.

Uses the Trainer of transformers, not training/runs/trainer.py. Start with command.py.
"""

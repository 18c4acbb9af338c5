"""JGLUE with any encoder of transformers: its tasks, its grid search, its scores.

Uses the Trainer of transformers; does not know training/runs/trainer.py. Start with command.py.
"""

"""The base of every training run: its folder, checkpoints to resume from, processes, and initial weights.

Knows nothing of tasks or data. Start with trainer.py.
"""

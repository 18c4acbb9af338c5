"""What every training run stands on: its folder, checkpoints to resume from, processes, and initial weights.

Knows nothing of a task or of data. Start with trainer.py.
"""

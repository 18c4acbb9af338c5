"""The base of every training run: its folder, checkpoints to resume from, processes, and initial weights.

This room does not know tasks or data. Start with trainer.py.
"""

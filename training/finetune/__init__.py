"""`nagayomi finetune`: train a checkpoint for a task on packed batches.

Knows batches and losses; nothing of measures. Start with command.py.
"""

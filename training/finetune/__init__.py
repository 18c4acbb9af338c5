"""`nagayomi finetune`: train a checkpoint for a task on packed batches.

This room knows batches and losses, and does not know measures. Start with command.py.
"""

"""`nagayomi evaluate`: ask a model through the service, score its answers, write reports and model cards.

Knows predictions and measures; nothing of tensors. Start with command.py.
"""

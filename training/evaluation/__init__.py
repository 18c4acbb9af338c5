"""`nagayomi evaluate`: ask a model through the service, score its answers, write reports and model cards.

This room knows predictions and measures, and does not know tensors. Start with command.py.
"""

"""What each task does with a text before and after the engine, a file for each: qa, summarize, classify.

Knows texts, windows and logits; nothing of queues, engines or HTTP. Start with base.py, then qa.py.
"""

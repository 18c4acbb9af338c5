"""What each task does with a text before and after the engine, a file for each: qa, summarize, classify.

This room knows texts, windows and logits, and does not know queues, engines or HTTP. Start with base.py, then qa.py.
"""

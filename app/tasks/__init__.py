"""The work of each task on a text before and after the engine.

qa, summarize, classify, rerank and evidence have a file each.

This room knows texts, windows and logits, and does not know queues, engines or HTTP. Start with base.py, then qa.py.
"""

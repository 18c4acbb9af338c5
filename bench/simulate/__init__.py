"""`python -m bench.simulate`: the batcher itself in virtual time, under traffic that was drawn or measured.

Knows lengths of requests; nothing of texts or models. Start with __main__.py.
"""

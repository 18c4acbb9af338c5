"""`python -m bench.simulate`: the real batcher in virtual time, under drawn or recorded traffic.

Knows lengths of requests; nothing of texts or models. Start with __main__.py.
"""

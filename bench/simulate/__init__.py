"""`python -m bench.simulate`: the real batcher in virtual time, under drawn or recorded traffic.

This room knows lengths of requests, and does not know texts or models. Start with __main__.py.
"""

"""`python -m bench.load_test`: requests at a rate or from a number of clients, against any address.

Imports neither the engine nor torch: it also runs on a machine that only sends. Start with __main__.py.
"""

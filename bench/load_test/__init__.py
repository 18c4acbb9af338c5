"""`python -m bench.load_test`: requests at a rate, or from a number of clients, to any address.

This room knows the service through HTTP alone and imports neither the engine nor torch, so it also runs on a machine
without them. Start with __main__.py.
"""

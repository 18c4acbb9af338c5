"""`python -m bench.soak`: the real server under clients of every kind, good and bad, and what must hold all the while.

Knows the service through HTTP, its log and its processes. Start with __main__.py.
"""

"""`python -m bench.soak`: the real server under good and bad clients, and checks of everything that must hold.

This room knows the service through HTTP, its log and its processes. Start with __main__.py.
"""

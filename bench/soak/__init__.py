"""`python -m bench.soak`: the real server under good and bad clients, and checks of everything that must hold.

This room knows the service through HTTP, its log and its processes, and does not know the engine or its models. Start
with __main__.py.
"""

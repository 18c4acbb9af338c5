"""Reports of the service about itself: metrics, logs and traces, all written from one request context.

This room never sees a text or the token of a key. Start with request_context.py.
"""

"""Everything that knows HTTP: middleware, API keys, endpoints, pages, and the formats of other services.

Knows requests and responses; nothing of how a text is read. Start with middleware.py.
"""

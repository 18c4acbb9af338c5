"""Everything that knows HTTP: middleware, API keys, endpoints, pages, and the formats of other services.

This room knows requests and responses, and does not know how a text is read. Start with middleware.py.
"""

"""The wire formats of other servers' clients: Hugging Face, Text Embeddings Inference, KServe V2.

Each module turns a foreign body into requests of app/schemas.py, has the service answer them as one batch, and writes
what the client parses. Nothing here reads a text or knows the engine, and nothing outside knows a foreign format.
What each client sends and expects, and why each choice was made: docs/decisions/0016-real-clients.md.
"""

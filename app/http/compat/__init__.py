"""The wire formats of other servers' clients: Hugging Face, Text Embeddings Inference, KServe V2.

Each module turns a foreign body into requests of app/schemas/, has the service answer them as one batch, and writes
the JSON that the client parses. Nothing here reads a text or knows the engine, and nothing outside knows a foreign
format. Start with hugging_face.py; docs/decisions/0016-real-clients.md says what each client sends and expects.
"""

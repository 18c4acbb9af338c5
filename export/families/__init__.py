"""Encoders other than BigBird, a file for each family: what of it differs, in torch, over block tables.

Knows configurations and weights by the names of transformers; nothing of files, text or graphs. Start with bert.py.
"""

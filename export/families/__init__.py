"""Encoders other than BigBird, with a file for each family: its differences, in torch, over block tables.

This room knows configurations and weights by the names of transformers, and does not know files, text or graphs. Start
with bert.py.
"""

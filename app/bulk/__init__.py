"""`nagayomi batch`: a JSONL file in, one answer per line out, on this machine or on a Ray cluster.

This room knows files, lines and progress, and does not know HTTP. Start with command.py.
"""

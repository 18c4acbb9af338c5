"""`nagayomi batch`: a JSONL file in, one answer per line out, on this machine or on a Ray cluster.

Knows files, lines and progress; nothing of HTTP. Start with command.py.
"""

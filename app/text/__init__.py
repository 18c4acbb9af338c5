"""Text as it is read: its structure, its sentences, its words and tokens, and windows over them.

All offsets here are code points of the text exactly as it was sent. This room does not know models, requests or
files. Open structure.py first: every other step works on its blocks.
"""

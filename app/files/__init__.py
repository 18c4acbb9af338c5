"""Readers of files (PDF, Word, PowerPoint, HTML, mail, text): each turns bytes into one Document (document.py).

This room does not know HTTP, tasks, models or tokens. Start with read.py.
"""

"""Files as people have them (PDF, Word, PowerPoint, HTML, mail, text) turned into one Document: text with its places.

Bytes come in, a Document (app/files/document.py) goes out. Knows nothing of HTTP, tasks, models or tokens.
"""

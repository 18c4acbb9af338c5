"""Files as people have them (PDF, Word, PowerPoint, HTML, mail, text) turned into one Document: text with its places.

Bytes come in, a Document (app/files/document.py) goes out. This room does not know HTTP, tasks, models or tokens.
"""

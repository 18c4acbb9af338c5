"""PDF files: a child process (`python -m app.files.pdf`) reads or draws one file, and does not know HTTP or tasks.

PDFium takes files from strangers and is not thread-safe, so each file gets a process of its own, with limits. Start
with process.py, which talks to the child. In the child a page becomes glyphs and rules (glyphs.py), then lines in
reading order (directions.py, lines.py, tables.py, columns.py), and all pages together become one Document
(furniture.py, blocks.py).
"""

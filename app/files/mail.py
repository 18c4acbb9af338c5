"""A mail laid out: its subject a heading, From, To, Cc and Date furniture, then its texts, then what is missing.

Quoted lines (`>`) are notes. Attached files are not read, and a warning names them. This module does not know the forms
in which mails are stored: app/files/eml.py and app/files/msg.py read those.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.errors import FileError, UnsafeFile
from app.files.document import Document, DocumentBuilder
from app.files.html import read_html
from app.files.warnings import FileWarning
from app.text.structure import structure_of

MAX_HEADER_CHARACTERS = 10_000  # of each header; a longer one is cut, with a warning
MAX_PARTS = 300
# The headers that are shown, in the order in which mail programs show them.
SHOWN = ("From", "To", "Cc", "Date")
_MAX_NAMED_ATTACHMENTS = 20
_MAX_NAME_CHARACTERS = 200

_QUOTED = re.compile(r"[ \t]*[>＞]")


class MailBuilder:
    """Builds the Document of a mail, with the mails inside it, one after another."""

    def __init__(self) -> None:
        self._builder = DocumentBuilder()
        self._warnings: list[FileWarning] = []
        self._attachments: list[str] = []
        self._parts = 0

    def count_part(self) -> None:
        """Count a part of the mail. Raises UnsafeFile past MAX_PARTS."""
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise too_many_parts()

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Begin a mail with its headers as text, by their names: those that are shown, and Subject."""
        if subject := self._cut("Subject", headers):
            self._builder.add("heading", subject, level=1)
        for name in SHOWN:
            if value := self._cut(name, headers):
                self._builder.add("furniture", f"{name}: {value}")

    def add_text(self, text: str) -> None:
        """Add a plain text, with the structure that it shows."""
        blocks = [
            replace(block, kind="note", level=0, cells=()) if _QUOTED.match(text, block.start) else block
            for block in structure_of(text).blocks
        ]
        self._builder.add_text(text, blocks)

    def add_html(self, data: bytes, charset: str | None) -> None:
        """Add a text in HTML, of the stated charset. One that cannot be read becomes a warning."""
        try:
            html = read_html(data, charset)
        except FileError as error:
            self.mark_unread(error)
            return
        self.add_warnings(html.warnings)
        self._builder.add_text(html.text, html.blocks)

    def attach(self, name: str, kind: str) -> None:
        """An attached file, by its name, else by its media type."""
        self._attachments.append(name[:_MAX_NAME_CHARACTERS] or f"one without a name ({kind})")

    def mark_unread(self, error: FileError) -> None:
        """A text of the mail cannot be read; the others are not lost."""
        self._warnings.append(FileWarning("mail_part", f"A part of the mail was not read. {error}"))

    def add_warnings(self, warnings: Sequence[FileWarning]) -> None:
        self._warnings += warnings

    def build(self) -> Document:
        """The Document, with what is missing as warnings."""
        if self._attachments:
            named = ", ".join(self._attachments[:_MAX_NAMED_ATTACHMENTS])
            more = len(self._attachments) - _MAX_NAMED_ATTACHMENTS
            rest = f" and {more} more" if more > 0 else ""
            self._warnings.append(FileWarning("attached_files", f"Attached files were not read: {named}{rest}."))
        return self._builder.build(list(dict.fromkeys(self._warnings)))

    def _cut(self, name: str, headers: Mapping[str, str]) -> str:
        value = headers.get(name, "")
        if len(value) > MAX_HEADER_CHARACTERS:
            sentence = f"The header {name} was cut after {MAX_HEADER_CHARACTERS:,} characters."
            self._warnings.append(FileWarning("header_cut", sentence))
        return value[:MAX_HEADER_CHARACTERS]


def too_many_parts() -> UnsafeFile:
    """The error for a mail of more than MAX_PARTS parts."""
    return UnsafeFile(f"The mail has more than {MAX_PARTS:,} parts, which is the limit.")

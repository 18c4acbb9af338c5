"""The input of a batch run: a file of lines in any encoding, as pieces of UTF-8.

An input is a file with rules of its own, not a series of HTTP bodies: a byte order mark and blank lines mean nothing,
and the encodings of Windows and of older systems are found from the bytes. A file that does not consist of lines is
refused before any line is read. This module knows that lines are JSON, and nothing else of their content.
"""

import codecs
import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.errors import InvalidInput, NotText, UnknownEncoding
from app.files.decoders import decode_strictly
from app.files.encoding import decode
from app.files.sniff import what_is_no_text

_HEAD_BYTES = 1 << 20
_READ_BYTES = 1 << 20
_WIDE_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
               "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """An open input. `encoding` has the names of app/files/encoding.py."""

    file: BinaryIO
    encoding: str
    size: int | None  # in bytes of UTF-8, if known

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator["Source"]:
        """Look at a file's beginning and open it.

        Raises:
            InvalidInput: the file cannot be read, is no text, or is JSON but not one object on each line.
        """
        if str(path) == "-":
            raise InvalidInput("IN must be a file, not standard input: a resumed run reads its input again.")
        if path.exists() and not path.is_file():
            raise InvalidInput(f"{path} is not a file; a resumed run reads its input again.")
        try:
            file = path.open("rb")
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
        with file:
            encoding = _encoding(file.read(_HEAD_BYTES), path)
            source = cls(file, encoding, path.stat().st_size if encoding == "utf-8" else None)
            _refuse_other_forms(source, path)
            yield source

    def pieces(self, most: int) -> Iterator[bytes]:
        """The file from its beginning, as UTF-8: whole lines, except that a line over `most` bytes comes in pieces.

        Bytes that are not valid in the file's encoding become invalid UTF-8, so that only their line fails.
        """
        self.file.seek(0)
        if self.encoding in _WIDE_MARKS:
            return self._wide_pieces(most)
        return self._line_pieces(most)

    def _line_pieces(self, most: int) -> Iterator[bytes]:
        limit = most
        while piece := self.file.readline(limit):
            if self.encoding != "utf-8" and (text := decode_strictly(piece, self.encoding)) is not None:
                piece = text.encode()
            yield piece
            limit = most if piece.endswith(b"\n") else _READ_BYTES

    def _wide_pieces(self, most: int) -> Iterator[bytes]:
        """In UTF-16 and UTF-32 the byte of a line end is also half of other characters."""
        decoder = codecs.getincrementaldecoder(self.encoding)("surrogatepass")
        mark = _WIDE_MARKS[self.encoding]
        self.file.seek(len(mark) if self.file.read(len(mark)) == mark else 0)
        rest = b""
        while True:
            data = self.file.read(_READ_BYTES)
            try:
                text = decoder.decode(data, final=not data)
            except UnicodeDecodeError:  # half a character at the end of the file
                text = "\udfff"
            *lines, rest = (rest + text.encode("utf-8", "surrogatepass")).split(b"\n")
            yield from (line + b"\n" for line in lines)
            while len(rest) > most:
                yield rest[:most]
                rest = rest[most:]
            if not data:
                break
        if rest:
            yield rest


def _encoding(head: bytes, path: Path) -> str:
    if (what := what_is_no_text(head)) is not None:
        raise InvalidInput(f"{path} is {what}; IN is JSONL: one JSON object on each line.")
    if len(head) == _HEAD_BYTES:  # not inside a character; UTF-32 has four bytes
        head = head[:-4] if b"\0" in head else head[: head.rfind(b"\n") + 1] or head
    try:
        return decode(head).encoding
    except NotText:
        raise InvalidInput(f"{path} holds binary data; IN is JSONL: one JSON object on each line.") from None
    except UnknownEncoding:
        return "utf-8"  # JSON's own encoding; each line that is not valid fails


def _refuse_other_forms(source: Source, path: Path) -> None:
    """Refuse JSON in one piece, as most programs write it: every line would fail."""
    first = next((line for piece in source.pieces(_HEAD_BYTES) if (line := content_of(piece))), b"")
    quoted = shlex.quote(str(path))
    if first == b"[" or (first.startswith(b"[") and _begins_with_an_object(first)):
        raise InvalidInput(
            f"{path} holds one JSON array; IN is JSONL: one JSON object on each line. "
            f"jq -c '.[]' {quoted} > lines.jsonl converts it."
        )
    if first == b"{":
        raise InvalidInput(
            f"{path} holds a JSON object over several lines; IN is JSONL: one JSON object on each line. "
            f"jq -c . {quoted} > lines.jsonl converts it."
        )


def content_of(line: bytes) -> bytes:
    """A line without white space around it and without a byte order mark, which `cat` leaves between two files."""
    return line.removeprefix(codecs.BOM_UTF8).strip(b" \t\r\n\x0b\x0c")


def _begins_with_an_object(line: bytes) -> bool:
    inner = line[1:].lstrip()
    if not inner.startswith(b"{"):
        return False
    try:
        json.JSONDecoder().raw_decode(inner.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return len(line) >= _HEAD_BYTES or inner == b"{"
    return True

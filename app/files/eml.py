"""Mail (EML, MHTML) -> Document: its headers and the best text of each part, as app/files/mail.py lays them out.

Of alternatives the plain text is read, and the HTML if there is no plain text. Mails inside the mail are read too.
Charsets are often wrong in Japanese mail, also in headers, so app/files/encoding.py decides. This module does not know
mail servers or signatures.
"""

import email
import re
from collections.abc import Iterator, Sequence
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.policy import Compat32

from app.errors import BrokenFile, FileError, NotText, UnknownEncoding
from app.files.document import Document
from app.files.encoding import decode
from app.files.mail import MAX_PARTS, SHOWN, MailBuilder, too_many_parts

_DATA = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory")  # for programs, though it is text
_WORD_OR_BACKSLASH = re.compile(r"(=\?[^?]*\?[bBqQ]\?.*?\?=)|\\")  # encoded words as email.header finds them
_FOLD = re.compile(r"(?<!\s)\s*[\r\n]\s*")


def read_eml(data: bytes) -> Document:
    """Read a mail. Raises BrokenFile, UnsafeFile, and the errors of read_html if the only text is HTML."""
    lower = data.lower()
    if lower.count(b"multipart/") + lower.count(b"message/rfc822") > MAX_PARTS:
        raise too_many_parts()  # before the parser, which recurses into each part
    reader = _MailReader()
    try:
        message = email.message_from_bytes(data, policy=_RawHeaders())
        reader.add_message(message)
    except (MessageError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BrokenFile(f"The mail is damaged: {error}.") from error
    return reader.build()


class _RawHeaders(Compat32):
    """Returns headers unchanged, so that bytes without a charset are not lost before header_text() sees them."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


class _MailReader:
    """Adds the parts of a mail to a builder."""

    def __init__(self) -> None:
        self._builder = MailBuilder()

    def add_message(self, message: Message) -> None:
        """Add the headers and the texts of a mail, also of one inside another."""
        headers = {name: self._header(message, name) for name in ("Subject", *SHOWN)}
        self._builder.add_headers(headers)
        self._add_part(message)

    def build(self) -> Document:
        return self._builder.build()

    def _add_part(self, part: Message) -> None:
        self._builder.count_part()
        kind = part.get_content_type()
        if kind == "message/rfc822" and part.is_multipart():
            for inner in _parts_of(part):
                self.add_message(inner)
        elif kind == "multipart/alternative":
            self._add_best(list(_parts_of(part)))
        elif kind == "multipart/related":  # the text, and the pictures that it shows
            inside = list(_parts_of(part))
            root = _root_of(part, inside)
            for inner in inside:
                if inner is root:
                    self._add_part(inner)
                elif name := self._file_name(inner):
                    self._builder.attach(name, inner.get_content_type())
        elif part.is_multipart():
            for inner in _parts_of(part):
                self._add_part(inner)
        elif (
            part.get_content_disposition() == "attachment"
            or not kind.startswith("text/")
            or kind in _DATA
            or self._file_name(part)
        ):
            self._builder.attach(self._file_name(part), kind)
        else:
            self._add_text(part, kind)

    def _add_best(self, alternatives: list[Message]) -> None:
        """Of the same text in several forms, the plain one, unless it is empty; else the last that is HTML.

        Files attached to one of the other forms, as Apple's Mail sends them, count as attachments of the mail.
        """
        plain = [part for part in alternatives if part.get_content_type() == "text/plain" and _payload(part).strip()]
        html = [part for part in alternatives if part.get_content_type() == "text/html" or part.is_multipart()]
        chosen = plain[:1] or html[-1:] or alternatives[-1:]
        for part in alternatives:
            if part in chosen:
                self._add_part(part)
            else:
                for inner in part.walk():
                    if self._is_attached(inner):
                        self._builder.attach(self._file_name(inner), inner.get_content_type())

    def _is_attached(self, part: Message) -> bool:
        """Whether a file was sent with the mail; its texts were not, nor were pictures inside these."""
        if part.is_multipart():
            return False
        if part.get_content_disposition() == "attachment":
            return True
        return part.get_content_maintype() != "image" and bool(self._file_name(part))

    def _add_text(self, part: Message, kind: str) -> None:
        """Add one text. A text that cannot be read becomes a warning, so that the others are not lost."""
        charset = part.get_param("charset")
        stated = charset[2] if isinstance(charset, tuple) else charset
        if kind == "text/html":
            self._builder.add_html(_payload(part), stated)
            return
        try:
            decoded = decode(_payload(part), stated)
        except FileError as error:
            self._builder.mark_unread(error)
            return
        self._builder.add_warnings(decoded.warnings)
        text = decoded.text.replace("\r\n", "\n")
        if str(part.get_param("format", "")).lower() == "flowed":
            text = unflowed(text, deletes_space=str(part.get_param("delsp", "")).lower() == "yes")
        self._builder.add_text(text)

    def _header(self, message: Message, name: str) -> str:
        value = message.get(name)
        return header_text(str(value)) if value is not None else ""

    def _file_name(self, part: Message) -> str:
        name = part.get_filename()
        return header_text(name) if name else ""


def _root_of(related: Message, inside: Sequence[Message]) -> Message | None:
    """The part that shows the others: the one that `start` names (RFC 2387), else the first."""
    start = related.get_param("start")
    named = [part for part in inside if start and str(part.get("Content-ID", "")).strip() == start]
    return next(iter([*named, *inside]), None)


def header_text(value: str) -> str:
    """The characters of a header: encoded words, and raw bytes as old Japanese mailers send them."""
    value = _FOLD.sub(" ", value)
    try:
        # Between encoded words the library escapes what is not ASCII, but no backslash: C:\users would be an escape.
        parts = decode_header(_WORD_OR_BACKSLASH.sub(lambda match: match.group(1) or r"\u005c", value))
    except HeaderParseError:
        parts = []
    if len(parts) < 2 and (not parts or isinstance(parts[0][0], str)):  # no encoded word
        parts = [(value, None)]
    texts = []
    for content, charset in parts:
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        if isinstance(content, bytes) and charset is None:  # the raw bytes between encoded words are escaped again
            data = content.decode("raw_unicode_escape", "replace").encode("utf-8", "surrogateescape")
        try:
            texts.append(decode(data, charset).text)
        except (NotText, UnknownEncoding):
            texts.append(data.decode("ascii", "replace"))
    return "".join(texts).strip()


def unflowed(text: str, deletes_space: bool) -> str:
    """The text of `format=flowed` (RFC 3676) with the lines of a paragraph as one."""
    lines: list[str] = []
    flows_from: int | None = None  # the depth of quotation of a line that continues in the next
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:]
        content = content[1:] if content.startswith(" ") else content
        if flows_from == depth:
            lines[-1] += content
        else:
            lines.append(">" * depth + (" " if depth else "") + content)
        flows = content.endswith(" ") and content != "-- "
        if flows and deletes_space:
            lines[-1] = lines[-1][:-1]
        flows_from = depth if flows else None
    return "\n".join(lines)


def _payload(part: Message) -> bytes:
    """The bytes of a part without its transfer encoding."""
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _parts_of(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (inner for inner in payload if isinstance(inner, Message))

"""MSG of Outlook ([MS-OXMSG]) -> Document: a mail as app/files/mail.py lays it out, with the mails attached to it.

Every property of a mail is a stream of a compound file, named by its number and its type; a table holds the short ones.
The plain text is read, and the HTML if there is none. A text that is only in Outlook's packed RTF is not read. Texts of
eight bits are in the code page of the computer that wrote them, so app/files/encoding.py decides.
"""

import re
import struct
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from app.errors import BrokenFile, FileError, UnsupportedFile
from app.files.compound import CompoundFile
from app.files.document import Document
from app.files.encoding import decode, known_charset
from app.files.mail import MAX_PARTS, MailBuilder, too_many_parts

_UNICODE, _EIGHT_BITS, _BINARY, _OBJECT, _WHOLE, _TIME = 0x001F, 0x001E, 0x0102, 0x000D, 0x0003, 0x0040
# Properties, by their numbers.
_SUBJECT, _BODY, _HTML, _PACKED_RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENT, _DELIVERED, _HEADERS = 0x0039, 0x0E06, 0x007D
_SENDER = (0x0042, 0x0C1A), (0x5D02, 0x5D01, 0x0065, 0x0C1F)  # names and addresses: on whose behalf, and who sent
_SHOWN_TO, _SHOWN_CC = 0x0E04, 0x0E03
_RECIPIENT = (0x3001,), (0x39FE, 0x3003)
_RECIPIENT_KIND = 0x0C15
_TO, _CC = 1, 2
_BODY_CODE_PAGE, _CODE_PAGE = 0x3FDE, 0x3FFD
_FILE_NAMES = (0x3707, 0x3704, 0x3001)
_MEDIA_TYPE, _ATTACHED = 0x370E, 0x3701

_CHARSETS = {65001: "utf-8", 28591: "iso-8859-1", 50220: "iso-2022-jp", 50221: "iso-2022-jp", 50222: "iso-2022-jp"}
_TABLE = "__properties_version1.0"
_ROOT_HEADER, _MAIL_HEADER, _OTHER_HEADER = 32, 24, 8  # bytes before the properties of a table
_PROPERTY = struct.Struct("<HHIQ")  # type, number, flags, value
_DATE = re.compile(r"^Date:[ \t]*([^\r\n]{1,100})", re.IGNORECASE | re.MULTILINE)
_MAX_HEADERS = 100_000  # characters
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)  # times count from it in steps of 100 ns
_END_OF_TIME = 2_650_467_744_000_000_000  # the year 10000


def read_msg(data: bytes) -> Document:
    """Read a mail of Outlook. Raises BrokenFile, UnsafeFile, and UnsupportedFile for a text that is only packed RTF."""
    file = CompoundFile(data)
    if file.read(_TABLE) is None:
        raise BrokenFile("The file is incomplete: it has no properties of a mail.")
    builder = MailBuilder()
    _add_mail(builder, file, "", _ROOT_HEADER)
    return builder.build()


def _add_mail(builder: MailBuilder, file: CompoundFile, path: str, header: int) -> None:
    """Add the mail in a storage, `path` being empty or ending with a slash, and the mails attached to it."""
    builder.count_part()
    mail = _Properties(file, path, header)
    builder.add_headers({"Subject": mail.text(_SUBJECT), **_people(file, path, mail), "Date": _date(mail)})
    try:
        _add_text(builder, mail)
    except FileError as error:
        if not path:
            raise
        builder.mark_unread(error)
    for attached in file.storages(f"{path}__attach_version1.0_"):
        inside = f"{attached}/__substg1.0_{_ATTACHED:04x}{_OBJECT:04x}/"
        if file.read(inside + _TABLE) is not None:
            _add_mail(builder, file, inside, _MAIL_HEADER)
            continue
        builder.count_part()
        properties = _Properties(file, f"{attached}/", _OTHER_HEADER, mail)
        kind = properties.text(_MEDIA_TYPE) or "application/octet-stream"
        builder.attach(properties.first(_FILE_NAMES), kind)


def _add_text(builder: MailBuilder, mail: "_Properties") -> None:
    text = mail.text(_BODY, _BODY_CODE_PAGE).replace("\r\n", "\n")
    if text.strip():
        builder.add_text(text)
        return
    if html := mail.binary(_HTML):
        builder.add_html(html, mail.charset(_BODY_CODE_PAGE))
    elif html_text := mail.text(_HTML, _BODY_CODE_PAGE):
        builder.add_html(html_text.encode(), "utf-8")
    elif not mail.has_text(_BODY) and mail.binary(_PACKED_RTF):
        raise UnsupportedFile(
            "The text of the message is only stored as packed RTF, which is not read. Save the message as EML, or "
            "change its format to plain text and save it again."
        )


def _people(file: CompoundFile, path: str, mail: "_Properties") -> dict[str, str]:
    """From, To and Cc, with the addresses that other mail programs know."""
    people: dict[int | None, list[str]] = {}
    storages = file.storages(f"{path}__recip_version1.0_")
    if len(storages) > MAX_PARTS:
        raise too_many_parts()
    for storage in storages:
        one = _Properties(file, f"{storage}/", _OTHER_HEADER, mail)
        people.setdefault(one.whole(_RECIPIENT_KIND), []).append(_person(one, *_RECIPIENT))
    return {
        "From": _person(mail, *_SENDER),
        "To": ", ".join(people.get(_TO, [])) or mail.text(_SHOWN_TO),
        "Cc": ", ".join(people.get(_CC, [])) or mail.text(_SHOWN_CC),
    }


def _person(properties: "_Properties", names: tuple[int, ...], addresses: tuple[int, ...]) -> str:
    """A person as mail programs write one: 山田 <y@example.jp>. Outlook also knows addresses inside a company."""
    name = properties.first(names)
    found = (properties.text(number) for number in addresses)
    address = next((one for one in found if "@" in one), "")
    return f"{name} <{address}>" if name and address and name != address else name or address


def _date(mail: "_Properties") -> str:
    """When the mail was sent: as its own header says, in the time of the sender; else in UTC, which Outlook stores."""
    if match := _DATE.search(mail.text(_HEADERS)[:_MAX_HEADERS]):
        return match[1].strip()
    time = mail.time(_SENT) or mail.time(_DELIVERED)
    return format_datetime(_EPOCH + timedelta(microseconds=time // 10)) if time else ""


class _Properties:
    """The properties of a mail, a recipient or an attached file, each in its storage."""

    def __init__(self, file: CompoundFile, path: str, header: int, mail: "_Properties | None" = None) -> None:
        self._file = file
        self._path = path
        table = file.read(path + _TABLE) or b""
        end = header + (max(len(table) - header, 0) // _PROPERTY.size) * _PROPERTY.size
        entries = _PROPERTY.iter_unpack(table[header:end])
        self._short = {(number, type_): value for type_, number, _, value in entries}
        self._mail = mail or self  # whose code page holds

    def text(self, number: int, code_page: int = _CODE_PAGE) -> str:
        """A text; empty where there is none."""
        units = self._stream(number, _UNICODE)
        if units is not None:
            return units.decode("utf-16-le", "replace").rstrip("\0")
        data = (self._stream(number, _EIGHT_BITS) or b"").rstrip(b"\0")
        return _decoded(data, self._mail.charset(_CODE_PAGE) or self._mail.charset(code_page)) if data else ""

    def has_text(self, number: int) -> bool:
        return any(self._stream(number, type_) is not None for type_ in (_UNICODE, _EIGHT_BITS))

    def first(self, numbers: tuple[int, ...]) -> str:
        """The first of some texts that is not empty."""
        return next(filter(None, map(self.text, numbers)), "")

    def binary(self, number: int) -> bytes:
        return self._stream(number, _BINARY) or b""

    def whole(self, number: int) -> int | None:
        value = self._short.get((number, _WHOLE))
        return value & 0xFFFFFFFF if value is not None else None

    def time(self, number: int) -> int:
        """A time that can be shown, from 1601 on in steps of 100 ns; 0 where there is none."""
        value = self._short.get((number, _TIME), 0)
        return value if value < _END_OF_TIME else 0

    def charset(self, number: int) -> str | None:
        """The name of a code page."""
        page = self.whole(number)
        return known_charset(_CHARSETS.get(page, f"cp{page}")) if page is not None else None

    def _stream(self, number: int, type_: int) -> bytes | None:
        return self._file.read(f"{self._path}__substg1.0_{number:04x}{type_:04x}")


def _decoded(data: bytes, charset: str | None) -> str:
    """A text of eight bits; where it is too short to tell, in the stated code page or that of Japanese Windows."""
    try:
        return decode(data, charset).text
    except FileError:
        return data.decode(charset if charset and charset.startswith("cp") else "cp932", "replace")

"""The stream of an old Excel workbook (BIFF5 to BIFF8), made ready for xlrd: its tabs, texts over cells, and cells.

A stream is a row of records, each a code, a length and so many bytes. xlrd also reads records that are not needed here
(names, links, styles, conditional formats), and refuses workbooks for some that Excel writes: a conditional format that
changes the format of numbers fails an assertion. So those records are renamed to a code that nobody reads. Text boxes,
comments and titles of charts, which xlrd reads in part or not, are read here. This module does not know cells.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.errors import BrokenFile, EncryptedFile

WORKSHEET = 0  # the kind of a tab that has cells; others are charts, macros and modules

_BOUNDSHEET = 0x85
_CONTINUE = 0x3C
_EOF = 0x0A
_FILEPASS = 0x2F
_STRING = 0x207  # the text of a formula
_CODE_PAGE = 0x42
_JAPANESE, _LATIN = 932, 1252
_OBJ = 0x5D
_TXO = 0x1B6
_CHART_TEXT, _CHART_STRING, _CHART_LINK = 0x1025, 0x100D, 0x1027
_BOF = frozenset((0x09, 0x209, 0x409, 0x809))
_KEPT = _BOF | {
    _BOUNDSHEET, _CONTINUE, _EOF, _FILEPASS, _CODE_PAGE, 0x22,  # the last is for 1904
    0x31, 0xE0, 0x41E,  # fonts, styles of cells, formats of numbers
    0xFC, 0xFD, 0x204, 0xD6,  # shared strings, their cells, texts in cells, with and without fonts
    0x203, 0x27E, 0xBD, 0x205,  # numbers, and booleans with errors
    0x06, 0x206, 0x406, _STRING,  # formulas and their texts
    0x21, 0x221, 0x236, 0x37, 0x36, 0x4BC,  # what stands between these two
    0x208, 0x7D,  # rows and columns
}  # fmt: skip
_UNREAD = b"\xff\xff"
_BIFF8 = b"\0\6"
_HEADER = struct.Struct("<HH")
_COMMENT = 0x19  # a kind of object
_TITLE = 1  # what a text of a chart may be linked to


@dataclass(frozen=True, slots=True)
class Drawn:
    """A text box, a comment or the title of a chart, as UTF-16, with the fonts from some of its units on."""

    units: bytes
    runs: list[tuple[int, int]]  # first unit, number of the font
    is_comment: bool


@dataclass(slots=True)
class Tab:
    """A tab of the workbook, with what is drawn over its cells."""

    kind: int
    is_hidden: bool
    start: int  # of its records in the stream
    drawn: list[Drawn] = field(default_factory=list)


def read_stream(stream: bytes) -> tuple[bytes, list[Tab]]:
    """The stream for xlrd, and the tabs in their order. Raises EncryptedFile, and BrokenFile for no stream at all."""
    records = list(_records(stream))
    if not records or records[0][1] not in _BOF:
        raise BrokenFile("The workbook is damaged: it does not begin as one.")
    end = next((place for place, (_, code, _) in enumerate(records) if code == _EOF), len(records))
    if any(code == _FILEPASS for _, code, _ in records[:end]):
        raise EncryptedFile("The file is protected with a password; save it without one.")
    tabs = [_tab(data) for _, code, data in records[:end] if code == _BOUNDSHEET and len(data) >= 6]
    drawn = _drawn(records[end + 1 :])
    for tab in tabs:
        tab.drawn = drawn.get(tab.start, [])
    code_page = _code_page(records[:end])
    prepared = bytearray(stream)
    for place, (start, code, data) in enumerate(records):
        if code not in _KEPT:
            prepared[start : start + 2] = _UNREAD
        elif code == _STRING and len(data) >= 2:
            count = min(_characters(records, place, code_page), int.from_bytes(data[:2], "little"))
            prepared[start + 4 : start + 6] = count.to_bytes(2, "little")
    return bytes(prepared), tabs


def _records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """The start, the code and the data of each record; the last may be cut off."""
    at = 0
    while at + _HEADER.size <= len(stream):
        code, length = _HEADER.unpack_from(stream, at)
        yield at, code, stream[at + _HEADER.size : at + _HEADER.size + length]
        at += _HEADER.size + length


def _code_page(records: list[tuple[int, int, bytes]]) -> int | None:
    """The code page of the texts of Excel 5 and 95; None for the UTF-16 of later versions."""
    if records[0][2][:2] == _BIFF8:
        return None
    pages = [data[:2] for _, code, data in records if code == _CODE_PAGE and len(data) >= 2]
    return int.from_bytes(pages[0], "little") if pages else _LATIN


def _characters(records: list[tuple[int, int, bytes]], place: int, code_page: int | None) -> int:
    """The length of the text of a formula in characters, which xlrd expects; the file counts units, or bytes."""
    pieces = [records[place][2][2:]]
    while place + 1 < len(records) and records[place + 1][1] == _CONTINUE:
        place += 1
        pieces.append(records[place][2])
    if code_page is None:
        return len(b"".join(map(_unpacked, pieces)).decode("utf-16-le", "replace"))
    text = b"".join(pieces)
    return len(text.decode("cp932", "replace")) if code_page == _JAPANESE else len(text)


def _tab(data: bytes) -> Tab:
    start, state, kind = struct.unpack_from("<iBB", data)
    return Tab(kind, bool(state & 3), start)


def _drawn(records: list[tuple[int, int, bytes]]) -> dict[int, list[Drawn]]:
    """The texts over cells by the start of their sheet. Charts in a sheet have records inside those of the sheet."""
    found: dict[int, list[Drawn]] = {}
    open_: list[int] = []
    kind = 0
    string = b""
    for place, (start, code, data) in enumerate(records):
        if code in _BOF:
            open_.append(start)
        elif code == _EOF and open_:
            open_.pop()
        elif code == _OBJ and len(data) >= 6:
            kind = struct.unpack_from("<H", data, 4)[0]
        elif code == _TXO and open_ and len(data) >= 14:
            count, run_bytes = struct.unpack_from("<HH", data, 10)
            text = _text(records, place + 1, count, run_bytes, kind == _COMMENT)
            found.setdefault(open_[0], []).append(text)
        elif code == _CHART_TEXT:
            string = b""
        elif code == _CHART_STRING:
            string = _unpacked(data[3:])[: 2 * data[2]] if len(data) > 3 else b""
        elif code == _CHART_LINK and open_ and string and data[:2] == struct.pack("<H", _TITLE):
            found.setdefault(open_[0], []).append(Drawn(string, [], is_comment=False))
    return found


def _text(records: list[tuple[int, int, bytes]], place: int, count: int, run_bytes: int, is_comment: bool) -> Drawn:
    """The text and the fonts in the records after the one that announces them."""
    units = b""
    while len(units) < 2 * count and place < len(records) and records[place][1] == _CONTINUE:
        units += _unpacked(records[place][2])
        place += 1
    runs = b""
    while len(runs) < run_bytes and place < len(records) and records[place][1] == _CONTINUE:
        runs += records[place][2]
        place += 1
    fonts = [struct.unpack_from("<HH", runs, at) for at in range(0, len(runs) - 7, 8)]
    return Drawn(units[: 2 * count], fonts, is_comment)


def _unpacked(text: bytes) -> bytes:
    """The UTF-16 of a text that begins with a byte, 0 where the high byte of each unit is left out as zero."""
    return text[1:] if text[:1] != b"\0" else text[1:].decode("latin-1").encode("utf-16-le")

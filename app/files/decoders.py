"""Decoders of the encodings of Japanese files, where Python's own lack characters.

Shift_JIS is always read as CP932: Python's `shift_jis` knows neither ①, ㈱ and 髙, nor the 〜 of Windows. EUC-JP and
ISO-2022-JP get the same characters (as CP51932, CP50221 and eucJP-ms do) and agree with CP932 on ～－∥￠￡￢. This
module does not know which encoding a file has: app/files/encoding.py decides.
"""

import codecs
import functools
import re
from collections.abc import Iterator


def decode_strictly(data: bytes, encoding: str) -> str | None:
    """The characters in an encoding named by app/files/encoding.py; None if any byte is not valid in it."""
    try:
        return _decode(data, encoding, strict=True)
    except UnicodeError:
        return None


def decode_replacing(data: bytes, encoding: str) -> str:
    """The characters in an encoding, with U+FFFD for places that are not valid in it."""
    return _decode(data, encoding, strict=False)


def _decode(data: bytes, encoding: str, strict: bool) -> str:
    if encoding == "iso-2022-jp":
        return "".join(_iso_2022_jp_runs(data, strict))
    if encoding == "euc-jp":
        return _decode_euc_jp(data, strict)
    return data.decode(encoding, "strict" if strict else "replace")


# CP932 and Python's euc_jp decode seven cells differently. Here both follow CP932, so that the text is the same.
_AS_CP932 = str.maketrans("〜‖−¢£¬¦", "～∥－￠￡￢￤")


def _decode_euc_jp(data: bytes, strict: bool) -> str:
    """EUC-JP with the characters of NEC and IBM; EUC-JIS-2004 for bytes with cells that EUC-JP does not have."""
    try:
        return data.decode("euc_jp", "nagayomi.eucjp-ms").translate(_AS_CP932)
    except UnicodeDecodeError:
        try:
            return data.decode("euc_jis_2004").translate(_AS_CP932)
        except UnicodeDecodeError:
            if strict:
                raise
    return data.decode("euc_jp", "nagayomi.eucjp-ms-replace").translate(_AS_CP932)


def _eucjp_ms(error: UnicodeError) -> tuple[str, int]:
    """A cell that Python's euc_jp does not have: row 13 (①㈱) and rows 89-92 (髙) of CP932, or IBM's in three bytes."""
    if not isinstance(error, UnicodeDecodeError) or (known := _eucjp_ms_cell(error)) is None:
        raise error
    return known


def _eucjp_ms_replace(error: UnicodeError) -> tuple[str, int]:
    # Nothing is raised here: the codec hands over the same error for every place, and each time that it is raised, it
    # holds one more frame in memory.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _eucjp_ms_cell(error) or ("\ufffd", error.end)


def _eucjp_ms_cell(error: UnicodeDecodeError) -> tuple[str, int] | None:
    """The character at a place that Python's euc_jp cannot decode, and where it ends; None where there is none."""
    start = error.start
    cell = error.object[start : start + 3]
    if cell in _eucjp_ms_cells():
        return _eucjp_ms_cells()[cell], start + 3
    known = _cp932_cells().get(cell[:2])
    return None if known is None else (known, start + 2)


def _to_shift_jis(row: int, column: int) -> bytes:
    """The two bytes of a cell of JIS X 0208; rows and columns count from 1 to 94."""
    lead = (row + 1) // 2 + (0x80 if row <= 62 else 0xC0)
    trail = column + (0x9E if row % 2 == 0 else 0x3F if column < 64 else 0x40)
    return bytes((lead, trail))


@functools.cache  # few files need it, and every process that reads one would take the time for it
def _eucjp_ms_cells() -> dict[bytes, str]:
    """IBM's characters that JIS X 0212 lacks; eucJP-ms has them from 8FF3F3 on, in the order of CP932."""
    ibm = [
        bytes((lead, trail)).decode("cp932")
        for lead in (0xFA, 0xFB, 0xFC)
        for trail in (*range(0x40, 0x7F), *range(0x80, 0xFD))
        if lead < 0xFC or trail <= 0x4B
    ]
    missing = [char for char in ibm if char == "№" or (char not in "￢￤" and not char.encode("euc_jp", "ignore"))]
    cells = [bytes((0x8F, row, column)) for row in (0xF3, 0xF4) for column in range(0xA1, 0xFF)][0x52:]
    return dict(zip(cells, missing, strict=True))


@functools.cache
def _cp932_cells() -> dict[bytes, str]:
    """Every two bytes of EUC-JP whose cell CP932 has."""
    cells = {}
    for row in range(1, 95):
        for column in range(1, 95):
            try:
                cells[bytes((row + 0xA0, column + 0xA0))] = _to_shift_jis(row, column).decode("cp932")
            except UnicodeDecodeError:
                continue
    return cells


codecs.register_error("nagayomi.eucjp-ms", _eucjp_ms)
codecs.register_error("nagayomi.eucjp-ms-replace", _eucjp_ms_replace)

# Escape of ISO 2022 -> the character set of the text after it, up to the next escape or the end of the line.
_ESCAPES = {
    b"\x1b(B": "ascii", b"\x1b(J": "roman", b"\x1b(I": "kana", b"\x1b$@": "euc-jp", b"\x1b$B": "euc-jp",
    b"\x1b&@\x1b$B": "euc-jp", b"\x1b$(B": "euc-jp", b"\x1b$(@": "euc-jp", b"\x1b$(D": "x0212",
    b"\x1b$(O": "euc_jis_2004", b"\x1b$(Q": "euc_jis_2004", b"\x1b$(P": "x0213-2",
    b"\x1b$A": "gb2312", b"\x1b$(C": "euc_kr", b"\x0e": "kana", b"\x0f": "ascii",
}  # fmt: skip
_ESCAPE = re.compile(b"|".join(re.escape(escape) for escape in sorted(_ESCAPES, key=len, reverse=True)) + b"|[\r\n]+")
_DESIGNATION = re.compile(rb"\x1b(?:\$[@BA]|\$\([@BCDOPQ]|\(I)")
_HIGH_BIT = bytes(byte | 0x80 for byte in range(256))
_ROMAN = str.maketrans("\\~", "¥‾")


def is_iso_2022_jp(data: bytes) -> bool:
    """Whether the bytes have seven bits and an escape to a Japanese character set, not just terminal colours."""
    return b"\x1b" in data and data.isascii() and _DESIGNATION.search(data) is not None


def _iso_2022_jp_runs(data: bytes, strict: bool) -> Iterator[str]:
    if not is_iso_2022_jp(data):
        if strict:
            raise UnicodeDecodeError("iso-2022-jp", data, 0, len(data), "no escape, or a byte with the eighth bit")
        yield data.decode("ascii", "replace")
        return
    charset, position = "ascii", 0
    for match in _ESCAPE.finditer(data):
        yield _run(data[position : match.start()], charset, strict)
        if match.group() in _ESCAPES:
            charset = _ESCAPES[match.group()]
        else:  # RFC 1468: a line ends in ASCII
            yield match.group().decode("ascii")
            charset = "ascii"
        position = match.end()
    yield _run(data[position:], charset, strict)


def _run(data: bytes, charset: str, strict: bool) -> str:
    if charset in ("ascii", "roman") or not data:
        text = data.decode("ascii")
        return text.translate(_ROMAN) if charset == "roman" else text
    data = data.translate(_HIGH_BIT)
    errors = "strict" if strict else "replace"
    if charset == "kana":
        return data.decode("cp932", errors)
    if charset in ("x0212", "x0213-2"):
        data = b"".join(b"\x8f" + data[i : i + 2] for i in range(0, len(data), 2))
        charset = "euc-jp" if charset == "x0212" else "euc_jis_2004"
    return _decode_euc_jp(data, strict) if charset == "euc-jp" else data.decode(charset, errors)

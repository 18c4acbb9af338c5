"""Makes old Excel workbooks (BIFF8 and BIFF5) for tests, record by record."""

import struct
from collections.abc import Sequence

from tests.app.files.compound_files import compound

WORKSHEET, CHART = 0, 2
_EOF = b"\x0a\0\0\0"


def record(code: int, layout: str = "", *values: float | bytes, more: bytes = b"") -> bytes:
    """A record: its values packed as struct has it, and `more` bytes."""
    data = struct.pack(f"<{layout}", *values) + more
    return struct.pack("<HH", code, len(data)) + data


def text8(text: str, length: str = "H", flags: int = 0) -> bytes:
    """A text of BIFF8: its length in units, flags, and UTF-16."""
    units = text.encode("utf-16-le", "surrogatepass")
    return struct.pack(f"<{length}B", len(units) // 2, 1 | flags) + units


def label(row: int, column: int, text: str, style: int = 0) -> bytes:
    """A cell with a text of its own."""
    return record(0x204, "HHH", row, column, style, more=text8(text))


def label5(row: int, column: int, text: str, encoding: str = "cp932") -> bytes:
    """The same for BIFF5."""
    data = text.encode(encoding)
    return record(0x204, "HHHH", row, column, 0, len(data), more=data)


def number(row: int, column: int, value: float, style: int = 0) -> bytes:
    return record(0x203, "HHHd", row, column, style, value)


def shared(row: int, column: int, index: int, style: int = 0) -> bytes:
    """A cell with a shared string."""
    return record(0xFD, "HHHI", row, column, style, index)


def rich(text: str, *runs: tuple[int, int]) -> bytes:
    """A shared string whose units have other fonts: (first unit, number of the font)."""
    units = text.encode("utf-16-le")
    return (
        struct.pack("<HBH", len(units) // 2, 9, len(runs)) + units + b"".join(struct.pack("<HH", *run) for run in runs)
    )


def strings(*items: bytes) -> bytes:
    """The table of shared strings."""
    return record(0xFC, "II", len(items), len(items), more=b"".join(items))


def font(is_struck: bool = False, escapement: int = 0) -> bytes:
    return record(
        0x31, "HHHHHBBBB", 200, 8 * is_struck, 0x7FFF, 400, escapement, 0, 0, 128, 0, more=text8("ＭＳ ゴシック", "B")
    )


def style(format_number: int = 0, font_number: int = 0) -> bytes:
    return record(0xE0, "HHHBBBBIIH", font_number, format_number, 0, 0, 0, 0, 0, 0, 0, 0)


def number_format(key: int, code: str) -> bytes:
    return record(0x41E, "H", key, more=text8(code))


def drawn(text: str, kind: int, *runs: tuple[int, int]) -> bytes:
    """A text box (kind 6) or a comment (0x19)."""
    units = text.encode("utf-16-le")
    fonts = b"".join(struct.pack("<HHI", *run, 0) for run in runs)
    return (
        record(0x5D, "HHHH", 0x15, 0x12, kind, 1, more=b"\0" * 18)
        + record(0x1B6, "HH6xHHI", 0, 0, len(units) // 2, len(fonts), 0)
        + record(0x3C, more=b"\1" + units)
        + record(0x3C, more=fonts)
    )


def chart(title: str) -> bytes:
    """A chart over the cells of a sheet, with the name of a series and a title."""
    return (
        _begin(8, 0x20)
        + record(0x100D, "H", 0, more=text8("売上", "B"))
        + record(0x1025)
        + record(0x100D, "H", 0, more=text8(title, "B"))
        + record(0x1027, "HHH", 1, 0, 0)
        + _EOF
    )


def xls(
    *sheets: bytes,
    names: Sequence[str] = (),
    states: Sequence[int] = (),
    kinds: Sequence[int] = (),
    more: bytes = b"",
    version: int = 8,
) -> bytes:
    """A workbook with these sheets, each the records of its cells, named Sheet1 and so on where `names` has no name.

    `states`: 1 for a hidden sheet. `kinds`: CHART for a tab without cells. `more`: records of the whole workbook.
    """
    bodies = [
        _begin(version, 0x10 if kind == WORKSHEET else 0x20) + sheet + _EOF
        for sheet, kind in zip(sheets, _filled(kinds, len(sheets)), strict=True)
    ]
    before = _begin(version, 5) + record(0x42, "H", 1200 if version == 8 else 932) + more
    tabs = [b""] * len(sheets)
    for _ in range(2):  # the second time with the places that the first has shown
        at = len(before) + sum(map(len, tabs)) + len(_EOF)
        for place, (body, state, kind) in enumerate(
            zip(bodies, _filled(states, len(sheets)), _filled(kinds, len(sheets)), strict=True)
        ):
            name = names[place] if place < len(names) else f"Sheet{place + 1}"
            packed = name.encode("cp932")
            named = text8(name, "B") if version == 8 else bytes([len(packed)]) + packed
            tabs[place] = record(0x85, "IBB", at, state, kind, more=named)
            at += len(body)
    stream = before + b"".join(tabs) + _EOF + b"".join(bodies)
    return compound({"Workbook" if version == 8 else "Book": stream})


def _begin(version: int, kind: int) -> bytes:
    if version == 8:
        return record(0x809, "HHHHII", 0x600, kind, 0x0DBB, 1996, 0, 6)
    return record(0x809, "HHHH", 0x500, kind, 0x0DBB, 1996)


def _filled(values: Sequence[int], count: int) -> list[int]:
    return [*values, *[0] * (count - len(values))]

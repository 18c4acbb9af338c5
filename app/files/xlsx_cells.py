"""The cells of a sheet as text: what Excel shows in each, by its value, its style and the shared strings.

Ruby is left out, and so is text that is struck out. Formulas are not computed: their cells hold the result that the
program stored. This module does not know sheets or their order.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from app.files.integers import bounded_integer
from app.files.number_formats import BUILT_IN, GENERAL, shown_number, shown_text
from app.files.raised import lowered, raised
from app.files.safe_xml import descend
from app.files.sheets import Cell

# Excel has 16,384 columns, named A to XFD.
_REFERENCE = re.compile(r"([A-Za-z]{1,3})([0-9]{1,7})")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_FALSE = ("0", "false", "none")


@dataclass(frozen=True, slots=True)
class _Style:
    code: str
    is_struck: bool


class CellReader:
    """Reads cells with the styles and the shared strings of one workbook; each may be missing."""

    def __init__(self, styles: Element | None, strings: Element | None, from_1904: bool) -> None:
        self._styles = _styles(styles) if styles is not None else []
        self._strings = [_rich_text(item) for item in strings.iter("x:si")] if strings is not None else []
        self._from_1904 = from_1904

    def cells(self, rows: Element) -> Iterator[Cell]:
        """The cells of `x:sheetData` that show a text or lack their result, in the order of the file."""
        last_row = 0
        for row in rows.iter("x:row"):
            row_number = bounded_integer(row.get("r")) or last_row + 1
            last_column = 0
            for cell in row.iter("x:c"):
                place = _REFERENCE.fullmatch(cell.get("r", ""))
                column = _column(place.group(1)) if place else last_column + 1
                last_column = column
                text, is_struck = self._shown(cell)
                lacks_result = not text and cell.find("x:f") is not None and not (cell.findtext("x:v") or "")
                lacks_result = lacks_result and cell.get("t") != "str"  # a formula may give an empty text
                if text or is_struck or lacks_result:
                    yield Cell(row_number, column, text, is_struck, lacks_result)
            last_row = row_number

    def _shown(self, cell: Element) -> tuple[str, bool]:
        """The text of a cell, and whether something in it is struck out."""
        style = self._style(cell)
        kind = cell.get("t", "n")
        value = cell.findtext("x:v") or ""
        has_struck = False
        if kind == "s":
            index = bounded_integer(value)
            known = index is not None and 0 <= index < len(self._strings)
            text, has_struck = self._strings[index] if known and index is not None else ("", False)
            text = shown_text(text, style.code) if text else ""
        elif kind == "inlineStr":
            inline = cell.find("x:is")
            text, has_struck = _rich_text(inline) if inline is not None else ("", False)
            text = shown_text(text, style.code) if text else ""
        elif kind == "str":
            text = shown_text(_unescaped(value), style.code) if value else ""
        elif kind == "b":
            text = "TRUE" if value not in ("", *_FALSE) else "FALSE" if value else ""
        elif kind in ("e", "d"):  # an error such as #N/A; a date in the form of ISO 8601
            text = value
        else:
            number = _number(value)
            text = shown_number(number, style.code, self._from_1904) if number is not None else value
        if style.is_struck and text.strip():
            return "", True
        return text, has_struck

    def _style(self, cell: Element) -> _Style:
        index = bounded_integer(cell.get("s"))
        if index is None or not 0 <= index < len(self._styles):
            return _Style(GENERAL, False)
        return self._styles[index]


def _column(letters: str) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e308 else None  # no infinity, and no NaN


def _styles(root: Element) -> list[_Style]:
    """The number format of each style of cells, and whether its font is struck out."""
    codes = dict(BUILT_IN)
    for one in root.iter("x:numFmt"):
        number = bounded_integer(one.get("numFmtId"))
        if number is not None:
            codes[number] = one.get("formatCode", GENERAL)
    fonts = root.find("x:fonts")
    struck = [_is_struck(font) for font in fonts] if fonts is not None else []
    styles = []
    for one in root.find("x:cellXfs") or ():
        font = bounded_integer(one.get("fontId"))
        is_struck = font is not None and 0 <= font < len(struck) and struck[font]
        styles.append(_Style(codes.get(bounded_integer(one.get("numFmtId")) or 0, GENERAL), is_struck))
    return styles


def _is_struck(font: Element | None) -> bool:
    strike = descend(font, "x:strike")
    return strike is not None and strike.get("val", "1") not in _FALSE


def rich_text(item: Element) -> str:
    """The text of a shared string, an inline string or a comment, without ruby and what is struck out."""
    return _rich_text(item)[0]


def _rich_text(item: Element) -> tuple[str, bool]:
    parts, has_struck = [], False
    for child in item:
        if child.tag == "x:t":
            parts.append(child.text or "")
        elif child.tag == "x:r":  # a run with a font of its own; x:rPh is ruby
            text, font = child.findtext("x:t") or "", child.find("x:rPr")
            if _is_struck(font):
                has_struck = has_struck or bool(text.strip())
                continue
            align = descend(font, "x:vertAlign")
            place = align.get("val") if align is not None else ""
            parts.append(raised(text) if place == "superscript" else lowered(text) if place == "subscript" else text)
    return _unescaped("".join(parts)), has_struck


def _unescaped(text: str) -> str:
    """Characters that XML cannot hold are written `_x000D_`, and an underscore before such letters `_x005F_`."""
    return _ESCAPE.sub(lambda found: _character(int(found.group(1), 16)), text)


def _character(code: int) -> str:
    return "\n" if code == 0x0D else chr(code) if not 0xD800 <= code < 0xE000 else ""

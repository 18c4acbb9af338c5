"""The content of a page from PDFium: its glyphs with their places, and the straight lines drawn on it.

Only this module, drawing.py and __main__.py import pypdfium2, and all run only in the child process. Coordinates are
points from the top left corner of the page as it is shown, so rotation and crop are dealt with here. This module does
not know lines of text, reading order or blocks.
"""

import math
import unicodedata
from collections.abc import Iterator
from ctypes import byref, c_double, c_float, c_int, c_void_p, cast, create_string_buffer
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from app.files.pdf.geometry import Box
from app.text.characters import UPRIGHT

# The em square of a font without metrics of its own reaches from .12 em below the base line to .88 em above it, as in
# nearly all Japanese fonts (hhea and OS/2 of Noto CJK, IPA, MS Mincho).
_ASCENT = 0.88
_DESCENT = 0.12
MAX_RULES = 5_000  # of one page; a page with more is a drawing or a map, not a table
_MAX_FORM_DEPTH = 8  # forms within forms; hostile files nest them without end
_BOLD_NAMES = ("bold", "gothic", "ゴシック", "heavy", "black", "-w6", "-w7", "-w8", "-w9")
# The font of the unseen text that Tesseract and OCRmyPDF lay over a scan. Its codes are Unicode. Its table says so for
# all codes in one range, of which PDFium reads the first 256.
_RECOGNISED_TEXT = "glyphless"


@dataclass(slots=True)
class Glyph:
    """A character as it stands on the page. `angle` is its rotation, clockwise, in degrees: 0, 90, 180, 270 or SKEW."""

    text: str  # one character, several for a ligature
    box: Box
    size: float  # of the font, in points
    angle: int
    bold: bool
    recognised: bool = False  # by a program, on a picture; such text is not seen on the page


SKEW = -1
# Radicals that fonts give for these ideographs and NFKC leaves or makes traditional ones. The pairs are those of
# Unicode's EquivalentUnifiedIdeograph.txt, except that Japanese fonts have 戸 and 黒 in place of 戶 and 黑.
_RADICALS = dict(
    zip(
        "⺒⺝⺟⺠⺬⻁⻄⻆⻑⻘⻝⻣⻤⻨⻩⻫⻭⻯⻱⻲⼾⿊",
        "巳月母民示虎西角長青食骨鬼麦黄斉歯竜龜亀戸黒",
        strict=True,
    )
)


@dataclass(slots=True)
class PageContent:
    """The content of one page."""

    width: float
    height: float
    glyphs: list[Glyph]
    rules: list[Box]  # straight lines, horizontal or vertical, as boxes without width or height
    pictures: bool  # the page has images or drawings
    unmapped: int  # glyphs whose character the file does not name


def page_content(page: pdfium.PdfPage, max_characters: int) -> PageContent | None:
    """The content of a page; None for a page with more than `max_characters` characters."""
    to_page = _PageSpace(page)
    textpage = page.get_textpage()
    try:
        if textpage.count_chars() > max_characters:
            return None
        glyphs, unmapped = _glyphs(textpage, to_page)
    finally:
        textpage.close()
    rules, pictures = _drawn(page, to_page)
    return PageContent(to_page.width, to_page.height, glyphs, rules, pictures, unmapped)


class _PageSpace:
    """Turns PDF user space (points, y upwards) into points from the top left corner of the page as it is shown."""

    def __init__(self, page: pdfium.PdfPage) -> None:
        self.rotation: int = page.get_rotation()
        self._left, self._bottom, self._right, self._top = page.get_bbox()
        self.width, self.height = self._right - self._left, self._top - self._bottom
        if self.rotation in (90, 270):
            self.width, self.height = self.height, self.width

    def point(self, x: float, y: float) -> tuple[float, float]:
        if self.rotation == 90:
            return y - self._bottom, x - self._left
        if self.rotation == 180:
            return self._right - x, y - self._bottom
        if self.rotation == 270:
            return self._top - y, self._right - x
        return x - self._left, self._top - y

    def box(self, points: list[tuple[float, float]]) -> Box:
        xs, ys = zip(*[self.point(x, y) for x, y in points], strict=True)
        return Box(min(xs), min(ys), max(xs), max(ys))

    def holds(self, box: Box) -> bool:
        """Whether any of the box is on the page; a glyph outside of it is never seen."""
        return box.right > 0 and box.left < self.width and box.bottom > 0 and box.top < self.height


@dataclass(frozen=True, slots=True)
class _Font:
    bold: bool = False  # bold or Gothic
    recognised: bool = False  # of text that a program recognised on a picture


class _Fonts:
    """The fonts of text objects, each looked at once."""

    def __init__(self) -> None:
        self._known: dict[int, _Font] = {}
        self._name = create_string_buffer(256)

    def of(self, text_object: Any) -> _Font:
        font = pdfium_c.FPDFTextObj_GetFont(text_object) if text_object else None
        if not font:
            return _Font()
        key = _address(font)
        if key not in self._known:
            length = pdfium_c.FPDFFont_GetBaseFontName(font, self._name, len(self._name))
            name = self._name.raw[: min(length, len(self._name))].rstrip(b"\0").decode("utf-8", "replace").lower()
            self._known[key] = _Font(any(word in name for word in _BOLD_NAMES), _RECOGNISED_TEXT in name)
        return self._known[key]


def _glyphs(textpage: pdfium.PdfTextPage, to_page: _PageSpace) -> tuple[list[Glyph], int]:
    """The visible glyphs and real spaces of a page in the order of the file, and how many have no character."""
    found: list[Glyph] = []
    unmapped = 0
    fonts = _Fonts()
    x, y = c_double(), c_double()
    loose, matrix = pdfium_c.FS_RECTF(), pdfium_c.FS_MATRIX()
    to_x, to_y, to_loose, to_matrix = byref(x), byref(y), byref(loose), byref(matrix)
    raw = textpage.raw  # the handle itself: from a PdfTextPage, ctypes asks for it at every call
    last: tuple[int, Box] | None = None  # the text object and the box of the glyph before
    object_before, font = 0, _Font()
    high = 0  # the first half of a character outside the basic plane, which PDFium gives as two
    for index in range(textpage.count_chars()):
        if pdfium_c.FPDFText_IsGenerated(raw, index) == 1:
            continue  # PDFium's own guess of a space or a line end
        code = pdfium_c.FPDFText_GetUnicode(raw, index)
        if 0xD800 <= code < 0xDC00:
            high = code
            continue
        if high and 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)
        high = 0
        text_object = pdfium_c.FPDFText_GetTextObject(raw, index)
        address = _address(text_object)
        if not address or address != object_before:  # all glyphs of one object have one font
            object_before, font = address, fonts.of(text_object)
        if not font.recognised and pdfium_c.FPDFText_HasUnicodeMapError(raw, index) == 1:
            code = 0xFFFD
            unmapped += 1
        text = _readable(code)
        if not text:
            continue
        pdfium_c.FPDFText_GetLooseCharBox(raw, index, to_loose)
        pdfium_c.FPDFText_GetCharOrigin(raw, index, to_x, to_y)
        pdfium_c.FPDFText_GetMatrix(raw, index, to_matrix)
        em = pdfium_c.FPDFText_GetFontSize(raw, index)
        placed = _placed((loose.left, loose.bottom, loose.right, loose.top), (x.value, y.value), matrix, em)
        if placed is None:
            continue
        corners, size, turn = placed
        box = to_page.box(corners)
        if found and last == (address, box):  # one glyph that stands for several characters
            found[-1].text += text
        elif to_page.holds(box):
            last = (address, box)
            angle = SKEW if turn == SKEW else (turn + to_page.rotation) % 360
            found.append(Glyph(text, box, size, angle, font.bold, font.recognised))
    return found, unmapped


def _placed(
    loose: tuple[float, float, float, float], origin: tuple[float, float], matrix: pdfium_c.FS_MATRIX, em: float
) -> tuple[list[tuple[float, float]], float, int] | None:
    """The corners of a glyph's em box, its size in points and its rotation; None for a glyph without any size.

    PDFium's loose box has the true advance, but its height comes from the font and is often only that of the ink. So
    the height is set from the base line, unless the font is for vertical writing, whose origin is the top centre.
    """
    left, bottom, right, top = loose
    size = em * math.hypot(matrix.c, matrix.d)
    if not (math.isfinite(size) and all(map(math.isfinite, (*loose, *origin)))) or size < 0.1 or size > 10_000:
        return None
    turn = round(math.degrees(math.atan2(-matrix.b, matrix.a)))  # clockwise
    quarter = round(turn / 90) * 90
    corners = [(left, bottom), (right, top)]
    if abs(turn - quarter) > 5:
        return corners, size, SKEW
    ax, ay = {0: (1, 0), 90: (0, -1), 180: (-1, 0), 270: (0, 1)}[quarter % 360]  # along the base line, in user space
    ux, uy = -ay, ax  # upwards from the base line
    across = ((left + right) / 2 - origin[0]) * ax + ((bottom + top) / 2 - origin[1]) * ay
    below = ((left + right) / 2 - origin[0]) * ux + ((bottom + top) / 2 - origin[1]) * uy
    if abs(across) < 0.1 * size and below < -0.25 * size:
        return corners, size, quarter % 360  # vertical writing: the loose box hangs from the origin
    advance = (right - left) if ax else (top - bottom)
    along = across - advance / 2  # 0, but where a replacement text (/ActualText) shares one origin
    origin = (origin[0] + ax * along, origin[1] + ay * along)
    start = (origin[0] + ux * -_DESCENT * size, origin[1] + uy * -_DESCENT * size)
    end = (origin[0] + ax * advance + ux * _ASCENT * size, origin[1] + ay * advance + uy * _ASCENT * size)
    return [start, end], size, quarter % 360


def _readable(code: int) -> str:
    """The ordinary character: no variant for vertical writing, no radical in place of an ideograph."""
    if code == 0x02:  # PDFium's mark for a hyphen at the end of a line
        return "-"
    if code < 0x20 or 0x7F <= code < 0xA0 or code in (0xAD, 0xFEFF) or code & 0xFFFE == 0xFFFE or code > 0x10FFFF:
        return "\t" if code == 9 else ""
    if 0xD800 <= code < 0xE000:
        return "\ufffd"
    character = chr(code)
    if character in _RADICALS:
        return _RADICALS[character]
    if 0x2E80 <= code < 0x2FE0 or 0xFB00 <= code < 0xFB07:  # other radicals; Latin ligatures
        return unicodedata.normalize("NFKC", character)
    return UPRIGHT.get(character, character)


def _drawn(page: pdfium.PdfPage, to_page: _PageSpace) -> tuple[list[Box], bool]:
    """The rules of a page, none if it has more than MAX_RULES, and whether it has anything except text."""
    rules: list[Box] = []
    pictures = False
    for item, matrix in _objects(page):
        kind = pdfium_c.FPDFPageObj_GetType(item)
        pictures = pictures or kind in (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_SHADING)
        if kind == pdfium_c.FPDF_PAGEOBJ_PATH:
            pictures = True
            if len(rules) <= MAX_RULES:
                rules += _rules_of(item, matrix, to_page)
    return (rules if len(rules) <= MAX_RULES else []), pictures


_Matrix = tuple[float, float, float, float, float, float]


def _objects(page: pdfium.PdfPage) -> Iterator[tuple[pdfium_c.FPDF_PAGEOBJECT, _Matrix]]:
    """Each object of the page and of the forms in it, and the matrix from its own space to user space."""
    pending = [
        (pdfium_c.FPDFPage_GetObject(page, index), (1.0, 0.0, 0.0, 1.0, 0.0, 0.0), 0)
        for index in range(pdfium_c.FPDFPage_CountObjects(page))
    ]
    own = pdfium_c.FS_MATRIX()
    while pending:
        item, outer, depth = pending.pop()
        if not pdfium_c.FPDFPageObj_GetMatrix(item, byref(own)):
            yield item, outer
            continue
        matrix = _times((own.a, own.b, own.c, own.d, own.e, own.f), outer)
        yield item, matrix
        if pdfium_c.FPDFPageObj_GetType(item) == pdfium_c.FPDF_PAGEOBJ_FORM and depth < _MAX_FORM_DEPTH:
            count = pdfium_c.FPDFFormObj_CountObjects(item)
            pending += [(pdfium_c.FPDFFormObj_GetObject(item, index), matrix, depth + 1) for index in range(count)]


def _rules_of(path: pdfium_c.FPDF_PAGEOBJECT, matrix: _Matrix, to_page: _PageSpace) -> list[Box]:
    """The horizontal and vertical lines of a path: its straight strokes, and filled boxes as thin as a line."""
    fill, stroke = c_int(), c_int()
    pdfium_c.FPDFPath_GetDrawMode(path, byref(fill), byref(stroke))
    found: list[Box] = []
    for points in _outlines(path, matrix):
        if stroke.value:
            sides = [to_page.box([start, end]) for start, end in pairwise(points)]
            found += [side for side in sides if side.is_rule()]
        elif fill.value:
            box = to_page.box(points)
            if box.is_rule():
                found.append(box)
    return found


def _outlines(path: pdfium_c.FPDF_PAGEOBJECT, matrix: _Matrix) -> Iterator[list[tuple[float, float]]]:
    """The corners of each part of a path that has only straight sides, in user space."""
    x, y = c_float(), c_float()
    points: list[tuple[float, float]] = []
    straight = True
    count = min(pdfium_c.FPDFPath_CountSegments(path), 4 * MAX_RULES)
    for index in range(count):
        segment = pdfium_c.FPDFPath_GetPathSegment(path, index)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            if straight and len(points) > 1:
                yield points
            points, straight = [], True
        straight = straight and kind != pdfium_c.FPDF_SEGMENT_BEZIERTO
        pdfium_c.FPDFPathSegment_GetPoint(segment, byref(x), byref(y))
        points.append(_apply(matrix, x.value, y.value))
        if pdfium_c.FPDFPathSegment_GetClose(segment):
            points.append(points[0])
    if straight and len(points) > 1:
        yield points


def _times(inner: _Matrix, outer: _Matrix) -> _Matrix:
    a, b, c, d, e, f = inner
    return (
        *(a * outer[0] + b * outer[2], a * outer[1] + b * outer[3]),
        *(c * outer[0] + d * outer[2], c * outer[1] + d * outer[3]),
        *(e * outer[0] + f * outer[2] + outer[4], e * outer[1] + f * outer[3] + outer[5]),
    )


def _apply(matrix: _Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + c * y + e, b * x + d * y + f


def _address(handle: Any) -> int:
    return cast(handle, c_void_p).value or 0

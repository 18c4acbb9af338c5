"""Sets text by hand into glyphs and pages, as PDFium would give them. The em of a glyph is its size."""

from collections.abc import Sequence

from app.files.document import Document
from app.files.pdf.blocks import document
from app.files.pdf.columns import page_placements
from app.files.pdf.geometry import Box
from app.files.pdf.glyphs import Glyph, PageContent
from app.files.pdf.marks import is_latin
from app.files.pdf.paragraphs import PageLines

WIDTH, HEIGHT = 400.0, 600.0


def across(text: str, left: float, top: float, size: float = 10.0, gap: float = 0.0, bold: bool = False) -> list[Glyph]:
    """A horizontal line; a Latin character is half as wide as a Japanese one."""
    glyphs = []
    for character in text:
        width = size / 2 if is_latin(character) else size
        glyphs.append(Glyph(character, Box(left, top, left + width, top + size), size, 0, bold))
        left += width + gap
    return glyphs


def down(text: str, right: float, top: float, size: float = 10.0) -> list[Glyph]:
    """A vertical line of upright characters."""
    boxes = [Box(right - size, top + size * place, right, top + size * (place + 1)) for place in range(len(text))]
    return [Glyph(character, box, size, 0, False) for character, box in zip(text, boxes, strict=True)]


def turned(text: str, right: float, top: float, size: float = 10.0) -> list[Glyph]:
    """Latin characters in a vertical line, turned clockwise."""
    boxes = [Box(right - size, top + size / 2 * n, right, top + size / 2 * (n + 1)) for n in range(len(text))]
    return [Glyph(character, box, size, 90, False) for character, box in zip(text, boxes, strict=True)]


def page(*parts: Sequence[Glyph], rules: Sequence[Box] = (), pictures: bool = False) -> PageContent:
    return PageContent(WIDTH, HEIGHT, [glyph for part in parts for glyph in part], list(rules), pictures, 0)


def read(*pages: PageContent) -> Document:
    """The Document of these pages."""
    lines = [PageLines(content.width, content.height, page_placements(content), False) for content in pages]
    return document(lines, [])


def blocks(*pages: PageContent) -> list[tuple[str, str]]:
    """The kind and text of each block."""
    found = read(*pages)
    return [(block.kind, found.text[block.start : block.end]) for block in found.blocks]


def texts(*pages: PageContent) -> list[str]:
    return [text for _, text in blocks(*pages)]

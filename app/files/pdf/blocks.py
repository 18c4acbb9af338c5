"""Paragraphs, rows and furniture become the blocks of one Document, and headings get their levels.

This module knows neither PDFium nor the rules that join lines.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from app.files.document import KINDS_BY_TEXT, MARKED_HEADINGS, BlockKind, Document, DocumentBuilder, Page
from app.files.pdf import marks
from app.files.pdf.furniture import find_footnotes, find_furniture
from app.files.pdf.geometry import Box
from app.files.pdf.paragraphs import (
    HEADING_SIZE,
    Item,
    PageLines,
    Paragraph,
    PlacedText,
    body_size,
    ends_early,
    fit_columns,
    half_points,
    items,
    usual_leading,
)
from app.files.pdf.tables import TableRow
from app.files.warnings import FileWarning
from app.text.characters import COLONS, COMMAS
from app.text.line_shapes import NUMBERED
from app.text.structure import kinds_of_paragraphs

_LONGEST_HEADING = 80  # characters
_LONGEST_BOLD_HEADING = 40
_LOWEST_LEVEL = 6
_KIND_OF_SHAPE: dict[str, BlockKind] = {
    **dict.fromkeys(("chapter", *NUMBERED), "clause"),
    "bullet": "list-item",
    "symbol": "list-item",
    "note": "note",
}


def document(pages: Sequence[PageLines], warnings: Sequence[FileWarning]) -> Document:
    """The Document of all pages."""
    body = body_size(pages)
    leading = usual_leading(pages, body)
    placements = [page.placements for page in pages]
    furniture = find_furniture(placements, [(page.width, page.height) for page in pages], body, leading)
    fit_columns(pages, furniture)
    found = items(pages, furniture, find_footnotes(placements, furniture, body), body, leading)
    text = [item.content if item.kind == "text" and isinstance(item.content, Paragraph) else None for item in found]
    kinds = _Kinds(text, body)
    assembly = _Assembly()
    for item in found:
        assembly.add(item, kinds)
    return assembly.document(pages, warnings)


class _Kinds:
    """The kind of block of each paragraph of a document."""

    def __init__(self, content: Sequence[Paragraph | None], body: float) -> None:
        """`content` has None for what is no text: a row, furniture, a footnote."""
        paragraphs = [paragraph for paragraph in content if paragraph is not None]
        self._body = body
        self._last = paragraphs[-1] if paragraphs else None
        characters: Counter[bool] = Counter()
        for paragraph in paragraphs:
            characters[paragraph.bold] += len(paragraph.text)
        self._bold_body = characters[True] > characters[False]  # then bold type means nothing
        self._levels = sorted({_rank(paragraph) for paragraph in paragraphs if self._is_heading(paragraph)})
        set_headings = sum(
            (self._is_heading(one) and not marks.chapter_rank(one.text)) or self._is_bold_heading(one)
            for one in paragraphs
        )
        self._may_be_marked = set_headings < MARKED_HEADINGS
        plain = kinds_of_paragraphs(["" if paragraph is None else paragraph.text for paragraph in content])
        self._plain = {  # by id of a paragraph: the kind and level that it would have in a plain text
            id(paragraph): one for paragraph, one in zip(content, plain, strict=True) if paragraph is not None
        }

    def of(self, paragraph: Paragraph) -> tuple[BlockKind, int]:
        """The kind, and the level of a heading."""
        if self._is_heading(paragraph):
            return "heading", min(self._levels.index(_rank(paragraph)) + 1, _LOWEST_LEVEL)
        if self._is_bold_heading(paragraph):
            depth = max(1, marks.number_depth(paragraph.text))
            return "heading", min(len(self._levels) + depth, _LOWEST_LEVEL)
        if marks.is_contents_line(paragraph.text):
            return "list-item", 0
        kind, level = self._plain[id(paragraph)]
        if kind == "heading" and self._may_be_marked and marks.shape(paragraph.text):
            return "heading", min(len(self._levels) + level, _LOWEST_LEVEL)
        if kind in KINDS_BY_TEXT:
            return kind, 0
        return _KIND_OF_SHAPE.get(marks.shape(paragraph.text), "paragraph"), 0

    def _is_heading(self, paragraph: Paragraph) -> bool:
        """Whether a paragraph is larger than body text, or is numbered as a chapter, and is no sentence."""
        text = paragraph.text
        if (
            len(text) > _LONGEST_HEADING
            or marks.ends_sentence(text)
            or marks.holds_sentence(text)
            or text[-1] in COMMAS
        ):
            return False
        if marks.is_contents_line(text):
            return False
        return paragraph.size >= HEADING_SIZE * self._body or marks.chapter_rank(text) > 0

    def _is_bold_heading(self, paragraph: Paragraph) -> bool:
        text = paragraph.text
        titled = (
            len(text) <= _LONGEST_BOLD_HEADING and not marks.ends_sentence(text) and text[-1] not in COMMAS + COLONS
        )
        return paragraph.bold and not self._bold_body and titled and paragraph is not self._last


def _rank(paragraph: Paragraph) -> tuple[float, int, int]:
    """Sorts headings by level: larger type first, then by their numbers (第１章 before 第１節, 1. before 1.1)."""
    return -half_points(paragraph.size), marks.chapter_rank(paragraph.text), marks.number_depth(paragraph.text)


class _Assembly:
    """Writes items into one text and keeps the places of all characters."""

    def __init__(self) -> None:
        self._builder = DocumentBuilder()
        self._boxes: list[tuple[int, Box]] = []  # with the offset of the character
        self._lines: list[tuple[int, int, int]] = []  # start, end and page of each visual line

    def add(self, item: Item, kinds: _Kinds) -> None:
        content = item.content
        if isinstance(content, TableRow):
            self._add_row(content, item.first_page)
        elif item.kind == "text":
            kind, level = kinds.of(content)
            self._add(kind, content.placed, level)
        else:
            self._add(item.kind, content.placed, 0)

    def _add(self, kind: BlockKind, placed: PlacedText, level: int) -> None:
        span = self._builder.add(kind, placed.text, level)
        if span is not None:
            self._place(span[0], placed)

    def _add_row(self, row: TableRow, page: int) -> None:
        cells = [PlacedText() for _ in row.cells]
        for cell, lines in zip(cells, row.cells, strict=True):
            edge = max((line.flow.end for line in lines), default=0.0)
            for number, line in enumerate(lines):
                if number and ends_early(lines[number - 1], line, edge):
                    cell.end_line()
                cell.add(line, page)
        block = self._builder.add_row([cell.text for cell in cells], row.head)
        if block is not None:
            for (start, _), cell in zip(block.cells, cells, strict=True):
                self._place(start, cell)

    def _place(self, start: int, placed: PlacedText) -> None:
        self._boxes += [(start + offset, box) for offset, box in enumerate(placed.boxes) if box is not None]
        self._lines += [(start + first, start + last, page) for first, last, page in placed.lines]

    def document(self, pages: Sequence[PageLines], warnings: Sequence[FileWarning]) -> Document:
        text = self._builder.text
        boxes = np.full((len(text), 4), np.nan, dtype=np.float32)
        if self._boxes:
            offsets, places = zip(*self._boxes, strict=True)
            boxes[list(offsets)] = places
        starts = tuple(start for start, _, _ in self._lines)
        return Document(text, self._builder.blocks, self._pages(pages), boxes, starts, tuple(warnings))

    def _pages(self, pages: Sequence[PageLines]) -> tuple[Page, ...]:
        """A page spans its visual lines; a page without text spans nothing."""
        spans: dict[int, tuple[int, int]] = {}
        for start, end, number in self._lines:
            spans[number] = (spans.get(number, (start, end))[0], end)
        found = []
        at = 0
        for index, page in enumerate(pages):
            start, at = spans.get(index, (at, at))
            found.append(Page(index + 1, start, at, page.width, page.height, page.scanned))
        return tuple(found)

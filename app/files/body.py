"""The body of a word processor's document -> blocks and pages: paragraphs by their roles, tables, furniture and notes.

DOCX and ODT are read into the items of this module, in their order. It does not know XML or either format.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.files.document import KINDS_BY_TEXT, MARKED_HEADINGS, BlockKind, Document, DocumentBuilder, Page
from app.files.warnings import FileWarning
from app.text.structure import kinds_of_paragraphs


@dataclass(frozen=True, slots=True)
class PageBreak:
    """The next page begins at `offset` in the paragraph's text. `is_wished`: the author set the break, not Word."""

    offset: int
    is_wished: bool


@dataclass(frozen=True, slots=True)
class ParagraphRole:
    """heading_level 0: no heading. `number` is the text that Word writes before the paragraph, separator included."""

    heading_level: int = 0
    is_list_item: bool = False
    is_contents: bool = False  # a line of a table of contents
    number: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph: its text with the number before it, its role, and the page breaks in it."""

    text: str
    role: ParagraphRole
    breaks: tuple[PageBreak, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table, row by row."""

    rows: list[list[str]]
    breaks: list[list[PageBreak]]  # of each row
    heads: list[bool]  # whether a row repeats on every page that the table reaches


Item = Paragraph | Table


def cell_text(items: Iterable[Item]) -> tuple[str, list[PageBreak]]:
    """The text of a cell's paragraphs and of the rows of tables in it, line by line, and the page breaks in it."""
    texts: list[str] = []
    breaks: list[PageBreak] = []
    for item in items:
        if isinstance(item, Paragraph):
            texts.append(item.text)
            breaks += item.breaks
        else:
            texts += [" ".join(filter(None, row)) for row in item.rows]
            breaks += [page_break for row in item.breaks for page_break in row]
    return "\n".join(text.strip() for text in texts if text.strip()), breaks


class BodyBuilder:
    """Adds items to a document in their order, and collects where pages begin."""

    def __init__(self) -> None:
        self._builder = DocumentBuilder()
        self._end = 0  # of what the builder has
        self._breaks: list[tuple[int, PageBreak]] = []
        self._furniture: set[str] = set()

    def add_all(self, items: Iterable[Item], kind: BlockKind) -> None:
        """Add the text of headers, footers or notes as blocks of one kind. A header that repeats is added once."""
        for item in items:
            texts = [item.text] if isinstance(item, Paragraph) else [" ".join(filter(None, row)) for row in item.rows]
            for text in texts:
                if kind == "furniture" and text.strip() in self._furniture:
                    continue
                self._furniture.add(text.strip())
                self._add(kind, text)

    def add_body(self, items: Sequence[Item]) -> None:
        """Add the blocks of the body.

        Most Japanese documents number and title their paragraphs by hand, without styles: where no style gives a
        paragraph its role, it has the kind that it would have as a line of a plain text.
        """
        texts = [item.text if isinstance(item, Paragraph) else "" for item in items]
        styled = sum(isinstance(item, Paragraph) and item.role.heading_level > 0 for item in items)
        for item, plain in zip(items, kinds_of_paragraphs(texts), strict=True):
            if isinstance(item, Paragraph):
                self._add_paragraph(item, plain, styled < MARKED_HEADINGS)
            else:
                self._add_table(item)

    def build(self, stated_pages: int | None, warnings: Sequence[FileWarning]) -> Document:
        """The document. `stated_pages`: the number of pages that the program that wrote the file counted."""
        pages = _pages(self._builder.text, self._breaks, stated_pages)
        return replace(self._builder.build(warnings), pages=pages)

    def _add_paragraph(self, paragraph: Paragraph, plain: tuple[BlockKind, int], may_be_heading: bool) -> None:
        """Add a paragraph; `plain` are the kind and level that it would have in a plain text."""
        role = paragraph.role
        kind: BlockKind = "paragraph"
        level = role.heading_level
        if role.is_contents:
            kind = "furniture"
        elif level:
            kind = "heading"
        elif plain[0] == "heading" and may_be_heading:
            kind, level = plain
        elif role.is_list_item:
            kind = "list-item"
        elif plain[0] in KINDS_BY_TEXT:
            kind = plain[0]
        self._add(kind, paragraph.text, level, paragraph.breaks)

    def _add(self, kind: BlockKind, text: str, level: int = 0, breaks: Sequence[PageBreak] = ()) -> None:
        # The builder drops blanks at the start, so a break before or between them is one before the block.
        first, self._end = self._builder.add(kind, text, level) or (self._end, self._end)
        dropped = len(text) - len(text.lstrip())
        self._breaks += [(min(first + max(mark.offset - dropped, 0), self._end), mark) for mark in breaks]

    def _add_table(self, table: Table) -> None:
        self._builder.end_list()
        for cells, breaks, is_head in zip(table.rows, table.breaks, table.heads, strict=True):
            row = self._builder.add_row(cells, head=is_head)
            self._breaks += [(row.start if row else self._end, mark) for mark in breaks]
            self._end = row.end if row else self._end
        self._builder.end_list()


def _pages(text: str, breaks: Sequence[tuple[int, PageBreak]], stated: int | None) -> tuple[Page, ...]:
    """The pages between the breaks; none where the file does not say where its pages begin.

    Word notes where it began each page, also after a break that the author set: the two are one. Where the file has
    only breaks of the author, they are all the breaks if the file's own count of pages agrees, or if it has no count.
    """
    starts = [0]
    wished_at: int | None = None
    for offset, mark in breaks:
        if mark.is_wished or wished_at is None or text[wished_at:offset].strip():
            starts.append(offset)
        wished_at = offset if mark.is_wished else None
    if len(starts) == 1 or (all(mark.is_wished for _, mark in breaks) and stated not in (None, len(starts))):
        return ()
    pages = []
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True), 1):
        on_page = text[start:end]
        first = start + len(on_page) - len(on_page.lstrip())
        pages.append(Page(number, min(first, end), max(min(first, end), start + len(on_page.rstrip()))))
    return tuple(pages)

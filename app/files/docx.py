"""DOCX -> Document: paragraphs, headings, lists, tables, text boxes, notes, and pages where Word has noted them.

The text is that of the document with all changes accepted: deleted and hidden text and ruby are left out, text boxes
appear once, numbers of lists are written out. Headers and footers are furniture; footnotes, endnotes and comments are
notes at the end. app/files/docx_paragraph.py reads one paragraph; this module knows the parts and their order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from xml.etree.ElementTree import Element

from app.errors import BrokenFile
from app.files.document import KINDS_BY_TEXT, MARKED_HEADINGS, BlockKind, Document, DocumentBuilder, Page
from app.files.docx_paragraph import PageBreak, Paragraph, chosen, read_paragraph
from app.files.docx_styles import Styles, is_on, value
from app.files.integers import bounded_integer
from app.files.limits import FileLimits
from app.files.ooxml import Package, link_of
from app.files.raised import STRUCK_OUT
from app.files.safe_xml import descend
from app.files.warnings import FileWarning
from app.text.structure import kinds_of_paragraphs

# Word has 63 columns at most; only a hostile file has a larger span.
MAX_SPAN = 63
_NOT_BLOCKS = ("w:sectPr", "w:tblPr", "w:tblGrid", "w:trPr", "w:tcPr", "w:del", "w:moveFrom", "w:sdtPr")


@dataclass(frozen=True, slots=True)
class _Table:
    rows: list[list[str]]
    breaks: list[list[PageBreak]]  # of each row
    heads: list[bool]  # whether a row repeats on every page that the table reaches


def read_docx(data: bytes, limits: FileLimits) -> Document:
    """Read a DOCX file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    package = Package(data, limits)
    main = package.main_part() or "word/document.xml"
    links = package.relationships(main)
    body = package.xml(main).find("w:body")
    if body is None:
        raise BrokenFile(f"The file is damaged: {main} has no body.")
    styles = Styles(package.optional_xml(link_of(links, "styles")), package.optional_xml(link_of(links, "numbering")))
    reader = _DocxReader(styles, list(body.iter("w:sectPr")))
    headers, footers = _furniture(package, body, {id_: link.target for id_, link in links.items()})
    reader.add_all(headers, "furniture")
    reader.add_blocks(body)
    reader.add_all(footers, "furniture")
    for part, tag in (("footnotes", "w:footnote"), ("endnotes", "w:endnote"), ("comments", "w:comment")):
        root = package.optional_xml(link_of(links, part))
        notes = root.iter(tag) if root is not None else ()
        reader.add_all((note for note in notes if note.get("w:type", "normal") == "normal"), "note")
    return reader.build(_stated_pages(package))


def _furniture(package: Package, body: Element, targets: dict[str, str]) -> tuple[list[Element], list[Element]]:
    """The headers and the footers that the sections name, each once."""
    found: dict[str, dict[str, Element]] = {"w:headerReference": {}, "w:footerReference": {}}
    for section in body.iter("w:sectPr"):
        for reference in section:
            part = targets.get(reference.get("r:id", ""))
            if reference.tag in found and part is not None and part not in found[reference.tag] and package.has(part):
                found[reference.tag][part] = package.xml(part)
    return list(found["w:headerReference"].values()), list(found["w:footerReference"].values())


def _stated_pages(package: Package) -> int | None:
    """The number of pages that the program that wrote the file counted."""
    root = package.optional_xml(link_of(package.relationships(""), "extended-properties"))
    return bounded_integer(root.findtext("app:Pages")) if root is not None else None


class _DocxReader:
    """Adds blocks to a builder in their order, and collects where pages begin."""

    def __init__(self, styles: Styles, sections: Sequence[Element]) -> None:
        self._styles = styles
        # The properties of a section stand at its end; the ones after them say whether the next section begins a page.
        self._ends_page = {id(this) for this, after in pairwise(sections) if _begins_page(after)}
        self._builder = DocumentBuilder()
        self._end = 0  # of what the builder has
        self._breaks: list[tuple[int, PageBreak]] = []
        self._carried: Paragraph | None = None  # its end mark was deleted: it continues in the next one
        self._furniture: set[str] = set()
        self._warnings: list[FileWarning] = []

    def add_all(self, parents: Iterable[Element], kind: BlockKind) -> None:
        """Add the text of headers, footers or notes as blocks of one kind. A header that repeats is added once."""
        for parent in parents:
            for item in self._all_items(parent):
                texts = [item.text] if isinstance(item, Paragraph) else [" ".join(filter(None, r)) for r in item.rows]
                for text in texts:
                    if kind == "furniture" and text.strip() in self._furniture:
                        continue
                    self._furniture.add(text.strip())
                    self._add(kind, text)

    def add_blocks(self, parent: Element) -> None:
        """Add the blocks of the body.

        Most Japanese documents number and title their paragraphs by hand, without styles: where no style gives a
        paragraph its role, it has the kind that it would have as a line of a plain text.
        """
        items = list(self._all_items(parent))
        texts = [item.text if isinstance(item, Paragraph) else "" for item in items]
        styled = sum(isinstance(item, Paragraph) and item.role.heading_level > 0 for item in items)
        for item, plain in zip(items, kinds_of_paragraphs(texts), strict=True):
            if isinstance(item, Paragraph):
                self._add_paragraph(item, plain, styled < MARKED_HEADINGS)
            else:
                self._add_table(item)

    def build(self, stated_pages: int | None) -> Document:
        pages = _pages(self._builder.text, self._breaks, stated_pages)
        return replace(self._builder.build(self._warnings), pages=pages)

    # --- from elements to items --------------------------------------------------------------------------------------

    def _all_items(self, parent: Element) -> Iterator[Paragraph | _Table]:
        """The items of a body, cell, note or text box. A paragraph that would continue past its end ends there."""
        outer, self._carried = self._carried, None
        yield from self._items(parent)
        if self._carried is not None:
            yield self._carried
        self._carried = outer

    def _items(self, parent: Element) -> Iterator[Paragraph | _Table]:
        """The paragraphs and tables under `parent`, in order; a text box follows the paragraph that holds it."""
        for child in parent:
            if child.tag == "w:p":
                yield from self._paragraph_items(child)
            elif child.tag == "w:tbl":
                box = _only_cell(child)
                if box is not None:
                    yield from self._all_items(box)
                else:
                    yield self._table(child)
            elif child.tag == "mc:AlternateContent":
                yield from self._items(chosen(child))
            elif child.tag == "w:altChunk":
                self._warnings.append(
                    FileWarning("embedded_file", "The document embeds another file, which was not read.")
                )
            elif child.tag not in _NOT_BLOCKS:  # w:sdt, w:customXml, w:ins and the like hold blocks
                yield from self._items(child)

    def _paragraph_items(self, element: Element) -> Iterator[Paragraph | _Table]:
        paragraph = read_paragraph(element, self._styles)
        if paragraph.has_struck and STRUCK_OUT not in self._warnings:
            self._warnings.append(STRUCK_OUT)
        section = descend(element, "w:pPr", "w:sectPr")
        if section is not None and id(section) in self._ends_page:
            mark = PageBreak(len(paragraph.text), is_wished=True)
            paragraph = replace(paragraph, breaks=(*paragraph.breaks, mark))
        boxes = paragraph.text_boxes
        paragraph = paragraph.after(self._carried)
        self._carried = paragraph if paragraph.goes_on else None
        if self._carried is None:
            yield paragraph
        for box in boxes:
            yield from self._all_items(box)

    def _table(self, element: Element) -> _Table:
        rows: list[list[str]] = []
        breaks: list[list[PageBreak]] = []
        heads: list[bool] = []
        for row in _descendants(element, "w:tr"):
            if descend(row, "w:trPr", "w:del") is not None:
                continue
            cells = [""] * min(_count(value(row.find("w:trPr"), "w:gridBefore")), MAX_SPAN)
            row_breaks: list[PageBreak] = []
            for cell in _descendants(row, "w:tc"):
                properties = cell.find("w:tcPr")
                texts, cell_breaks = self._cell(cell)
                cells.append("" if _continues(properties) else "\n".join(texts))
                cells += [""] * (min(_count(value(properties, "w:gridSpan")), MAX_SPAN) - 1)
                row_breaks = max(row_breaks, cell_breaks, key=len)  # each cell of a row over two pages has a break
            header = descend(row, "w:trPr", "w:tblHeader")
            heads.append(header is not None and is_on(header.get("w:val", "1")))
            rows.append(cells)
            breaks.append(row_breaks)
        return _Table(rows, breaks, heads)

    def _cell(self, cell: Element) -> tuple[list[str], list[PageBreak]]:
        """The texts of a cell's paragraphs and of the rows of tables in it."""
        texts: list[str] = []
        breaks: list[PageBreak] = []
        for item in self._all_items(cell):
            if isinstance(item, Paragraph):
                texts.append(item.text)
                breaks += item.breaks
            else:
                texts += [" ".join(filter(None, row)) for row in item.rows]
                breaks += [page_break for row in item.breaks for page_break in row]
        return [text.strip() for text in texts if text.strip()], breaks

    # --- from items to blocks ----------------------------------------------------------------------------------------

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

    def _add_table(self, table: _Table) -> None:
        self._builder.end_list()
        for cells, breaks, is_head in zip(table.rows, table.breaks, table.heads, strict=True):
            row = self._builder.add_row(cells, head=is_head)
            self._breaks += [(row.start if row else self._end, mark) for mark in breaks]
            self._end = row.end if row else self._end
        self._builder.end_list()


def _descendants(parent: Element, tag: str) -> Iterator[Element]:
    """The rows of a table or the cells of a row, also those inside content controls, but not those of tables inside."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif child.tag not in (*_NOT_BLOCKS, "w:tc", "w:p", "w:tbl"):
            yield from _descendants(child, tag)


def _only_cell(table: Element) -> Element | None:
    """The cell of a table that is a box around text."""
    cells = list(islice(table.iter("w:tc"), 2))
    return cells[0] if len(cells) == 1 else None


def _begins_page(section: Element) -> bool:
    return value(section, "w:type") not in ("continuous", "nextColumn")


def _continues(properties: Element | None) -> bool:
    """Whether a cell is the rest of a merged one, whose text stands in its first cell."""
    for tag in ("w:vMerge", "w:hMerge"):
        merge = descend(properties, tag)
        if merge is not None and merge.get("w:val", "continue") == "continue":
            return True
    return False


def _count(text: str | None) -> int:
    return max(bounded_integer(text) or 0, 0)


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

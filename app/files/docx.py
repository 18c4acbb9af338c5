"""DOCX -> Document: paragraphs, headings, lists, tables, text boxes, notes, and pages where Word has noted them.

The text is that of the document with all changes accepted: deleted and hidden text and ruby are left out, text boxes
appear once, numbers of lists are written out. Headers and footers are furniture; footnotes, endnotes and comments are
notes at the end. app/files/docx_paragraph.py reads one paragraph, app/files/body.py makes blocks of the items; this
module knows the parts and their order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, pairwise
from xml.etree.ElementTree import Element

from app.errors import BrokenFile
from app.files.body import BodyBuilder, Item, PageBreak, Table, cell_text
from app.files.document import Document
from app.files.docx_paragraph import WordParagraph, chosen, read_paragraph
from app.files.docx_styles import Styles, is_on, value
from app.files.integers import bounded_integer
from app.files.limits import FileLimits
from app.files.ooxml import Package, link_of
from app.files.raised import STRUCK_OUT
from app.files.safe_xml import descend
from app.files.warnings import FileWarning

# Word has 63 columns at most; only a hostile file has a larger span.
MAX_SPAN = 63
_NOT_BLOCKS = ("w:sectPr", "w:tblPr", "w:tblGrid", "w:trPr", "w:tcPr", "w:del", "w:moveFrom", "w:sdtPr")


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
    builder = BodyBuilder()
    builder.add_all(reader.items_of(headers), "furniture")
    builder.add_body(list(reader.items(body)))
    builder.add_all(reader.items_of(footers), "furniture")
    for part, tag in (("footnotes", "w:footnote"), ("endnotes", "w:endnote"), ("comments", "w:comment")):
        root = package.optional_xml(link_of(links, part))
        notes = root.iter(tag) if root is not None else ()
        own = (note for note in notes if note.get("w:type", "normal") == "normal")
        builder.add_all(reader.items_of(own), "note")
    return builder.build(_stated_pages(package), reader.warnings)


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
    """Reads elements into items, in their order: the numbers of lists are counted."""

    def __init__(self, styles: Styles, sections: Sequence[Element]) -> None:
        self._styles = styles
        # The properties of a section stand at its end; the ones after them say whether the next section begins a page.
        self._ends_page = {id(this) for this, after in pairwise(sections) if _begins_page(after)}
        self._carried: WordParagraph | None = None  # its end mark was deleted: it continues in the next one
        self.warnings: list[FileWarning] = []

    def items_of(self, parents: Iterable[Element]) -> Iterator[Item]:
        """The items of headers, footers or notes, one after another."""
        for parent in parents:
            yield from self.items(parent)

    def items(self, parent: Element) -> Iterator[Item]:
        """The items of a body, cell, note or text box. A paragraph that would continue past its end ends there."""
        outer, self._carried = self._carried, None
        yield from self._items(parent)
        if self._carried is not None:
            yield self._carried
        self._carried = outer

    def _items(self, parent: Element) -> Iterator[Item]:
        """The paragraphs and tables under `parent`, in order; a text box follows the paragraph that holds it."""
        for child in parent:
            if child.tag == "w:p":
                yield from self._paragraph_items(child)
            elif child.tag == "w:tbl":
                box = _only_cell(child)
                if box is not None:
                    yield from self.items(box)
                else:
                    yield self._table(child)
            elif child.tag == "mc:AlternateContent":
                yield from self._items(chosen(child))
            elif child.tag == "w:altChunk":
                self.warnings.append(
                    FileWarning("embedded_file", "The document embeds another file, which was not read.")
                )
            elif child.tag not in _NOT_BLOCKS:  # w:sdt, w:customXml, w:ins and the like hold blocks
                yield from self._items(child)

    def _paragraph_items(self, element: Element) -> Iterator[Item]:
        paragraph = read_paragraph(element, self._styles)
        if paragraph.has_struck and STRUCK_OUT not in self.warnings:
            self.warnings.append(STRUCK_OUT)
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
            yield from self.items(box)

    def _table(self, element: Element) -> Table:
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
                text, cell_breaks = cell_text(self.items(cell))
                cells.append("" if _continues(properties) else text)
                cells += [""] * (min(_count(value(properties, "w:gridSpan")), MAX_SPAN) - 1)
                row_breaks = max(row_breaks, cell_breaks, key=len)  # each cell of a row over two pages has a break
            header = descend(row, "w:trPr", "w:tblHeader")
            heads.append(header is not None and is_on(header.get("w:val", "1")))
            rows.append(cells)
            breaks.append(row_breaks)
        return Table(rows, breaks, heads)


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

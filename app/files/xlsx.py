"""XLSX -> Document: the cells of each sheet as Excel shows them, its text boxes and titles of charts, its comments.

app/files/xlsx_cells.py reads cells, and app/files/sheets.py makes blocks of them. This module knows the parts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from app.files.document import Document
from app.files.integers import bounded_integer
from app.files.limits import FileLimits
from app.files.ooxml import Package, Relationship, link_of
from app.files.pptx_shapes import is_struck, read_shapes
from app.files.shapes import Text, in_reading_order
from app.files.sheets import WorkbookBuilder, check_sheets
from app.files.xlsx_cells import CellReader, rich_text

_TRUE = ("1", "true")


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    is_hidden: bool
    part: str | None  # None: missing in the file


def read_xlsx(data: bytes, limits: FileLimits) -> Document:
    """Read an XLSX file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    package = Package(data, limits)
    main = package.main_part() or "xl/workbook.xml"
    workbook = package.xml(main)
    links = package.relationships(main)
    properties = workbook.find("x:workbookPr")
    cells = CellReader(
        package.optional_xml(link_of(links, "styles")),
        package.optional_xml(link_of(links, "sharedStrings")),
        from_1904=properties is not None and properties.get("date1904") in _TRUE,
    )
    reader = _XlsxReader(package, cells, limits)
    for sheet in _sheets(package, workbook, links):
        reader.add_sheet(sheet)
    return reader.build()


def _sheets(package: Package, workbook: Element, links: dict[str, Relationship]) -> Iterator[_Sheet]:
    """The sheets in the order of their tabs."""
    sheets = workbook.find("x:sheets")
    if sheets is None:
        return
    check_sheets(len(sheets))
    for sheet in sheets:
        part = package.linked_part(links, sheet.get("r:id", ""))
        yield _Sheet(sheet.get("name", ""), sheet.get("state", "visible") != "visible", part)


def _comments(package: Package, links: dict[str, Relationship]) -> Iterator[str]:
    """The comments of a sheet.

    Excel 365 keeps a thread of comments in a part of its own, and for older versions a copy of it next to the plain
    comments, which begins with a notice about those versions; the author of a copy is `tc=` and an id.
    """
    comments = package.optional_xml(link_of(links, "comments"))
    threads = package.optional_xml(link_of(links, "threadedComment"))
    authors = [author.text or "" for author in comments.iter("x:author")] if comments is not None else []
    for comment in comments.iter("x:comment") if comments is not None else ():
        number = bounded_integer(comment.get("authorId"))
        author = authors[number] if number is not None and 0 <= number < len(authors) else ""
        if threads is None or not author.startswith("tc="):
            yield from map(rich_text, comment.iter("x:text"))
    for text in threads.iter("tc:text") if threads is not None else ():
        yield text.text or ""


class _XlsxReader:
    """Adds the sheets to a builder, one page each."""

    def __init__(self, package: Package, cells: CellReader, limits: FileLimits) -> None:
        self._package = package
        self._cells = cells
        self._builder = WorkbookBuilder(limits)

    def add_sheet(self, sheet: _Sheet) -> None:
        """Add a page with the rows, shapes and comments of a sheet; an empty page for a sheet without a part."""
        if sheet.part is None:
            self._builder.start_sheet("")
            self._builder.mark_missing()
            return
        root = self._package.xml(sheet.part)
        links = self._package.relationships(sheet.part)
        self._builder.start_sheet(sheet.name)
        rows = root.find("x:sheetData")
        if rows is not None:
            self._builder.add_cells(self._cells.cells(rows))
        drawing = link_of(links, "drawing")
        if drawing is not None:
            self._add_shapes(drawing)
        for text in _comments(self._package, links):
            self._builder.add_note(text)
        if sheet.is_hidden:
            self._builder.mark_hidden()
        elif any(one.get("hidden") in _TRUE for tag in ("x:row", "x:col") for one in root.iter(tag)):
            self._builder.mark_partly_hidden()

    def build(self) -> Document:
        return self._builder.build()

    def _add_shapes(self, part: str) -> None:
        """Add the text boxes that lie over the cells, and the titles of charts."""
        drawing = self._package.optional_xml(part)
        if drawing is None:
            return
        links = self._package.relationships(part)
        if any(map(is_struck, drawing.iter("a:rPr"))):
            self._builder.mark_struck()
        package = self._package
        shapes = list(read_shapes(drawing, {}, lambda id_: package.optional_xml(package.linked_part(links, id_))))
        for shape in in_reading_order(shapes):
            self._builder.end_list()
            for item in shape.content:
                if isinstance(item, Text):  # the rows of a chart stand in cells
                    self._builder.add_paragraph(item.text, item.is_list_item)

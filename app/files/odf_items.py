"""The paragraphs, lists and tables of OpenDocument -> items, with the numbers of lists and headings written out.

Texts, text boxes, slides and notes have the same elements. This module knows their order, and not where they stand.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from xml.etree.ElementTree import Element

from app.files.body import Item, PageBreak, Paragraph, ParagraphRole, Table, cell_text
from app.files.integers import bounded_integer
from app.files.odf import repeats
from app.files.odf_styles import MAX_LEVEL, ListCounter, Styles
from app.files.odf_text import OdfParagraph, read_paragraph
from app.files.raised import STRUCK_OUT
from app.files.safe_xml import descend
from app.files.warnings import FileWarning

MAX_COLUMNS = 63  # of a table of text, as in Word; only a hostile file has more
MAX_EQUAL_ROWS = 100  # that a table of text writes once, with a count
_CONTENTS = frozenset((
    "text:table-of-content", "text:illustration-index", "text:table-index", "text:object-index", "text:user-index",
    "text:alphabetical-index",
))  # fmt: skip
_SKIPPED = frozenset((
    "text:tracked-changes", "office:forms", "office:annotation-end", "office:event-listeners", "svg:title", "svg:desc",
    "draw:image", "draw:enhanced-geometry", "draw:page-thumbnail", "text:table-of-content-source", "dc:creator",
    "table:table-column", "table:table-columns", "table:table-header-columns",
))  # fmt: skip
_EMBEDDED = FileWarning("embedded_file", "Objects in the document, such as formulas, were not read.")


@dataclass(slots=True)
class _OpenList:
    """A list around the paragraphs that are read; `number` is of the next one, if that begins an item."""

    counter: ListCounter
    style: str | None
    level: int
    begins_item: bool = False
    start: int | None = None  # where the item sets its own number


@dataclass(slots=True)
class OdfReader:
    """Reads elements into items, in their order."""

    styles: Styles
    objects: Callable[[str], Element | None]  # of the file
    footnotes: list[Element] = field(default_factory=list)
    endnotes: list[Element] = field(default_factory=list)
    comments: list[Element] = field(default_factory=list)
    warnings: list[FileWarning] = field(default_factory=list)
    _headings: ListCounter = field(default_factory=ListCounter)
    _lists: dict[str, ListCounter] = field(default_factory=dict)  # by their ids
    _newest: dict[str | None, ListCounter] = field(default_factory=dict)  # of each list style
    _has_begun: bool = False

    def items(self, parent: Element) -> Iterator[Item]:
        """The items of a body, a cell, a note or a text box."""
        yield from self._items(parent, None, is_contents=False)

    def items_of(self, parents: Iterable[Element]) -> Iterator[Item]:
        for parent in parents:
            yield from self.items(parent)

    def _items(self, parent: Element, open_: _OpenList | None, is_contents: bool) -> Iterator[Item]:
        for child in parent:
            tag = child.tag
            if tag in ("text:p", "text:h"):
                yield from self._paragraph_items(child, open_, is_contents)
            elif tag == "text:list":
                yield from self._list_items(child, open_, is_contents)
            elif tag == "table:table":
                box = _only_cell(child)
                yield from self.items(box) if box is not None else [self._table(child)]
            elif tag == "text:soft-page-break":
                yield Paragraph("", ParagraphRole(), (PageBreak(0, is_wished=False),))
            elif tag == "draw:object":
                yield from self._object_items(child)
            elif tag == "office:annotation":
                self.comments.append(child)
            elif tag not in _SKIPPED and child.get("text:display") != "none":  # a section may be hidden
                yield from self._items(child, open_, is_contents or tag in _CONTENTS)

    # --- lists -------------------------------------------------------------------------------------------------------

    def _list_items(self, element: Element, outer: _OpenList | None, is_contents: bool) -> Iterator[Item]:
        style = element.get("text:style-name") or (outer.style if outer is not None else None)
        level = min(outer.level + 1, MAX_LEVEL) if outer is not None else 1
        counter = outer.counter if outer is not None else self._counter(element, style)
        for child in element:
            if child.tag in ("text:list-item", "text:list-header"):
                begins_item = child.tag == "text:list-item"
                start = bounded_integer(child.get("text:start-value"))
                yield from self._items(child, _OpenList(counter, style, level, begins_item, start), is_contents)

    def _counter(self, element: Element, style: str | None) -> ListCounter:
        """The counts of a list: its own, or those of a list that it goes on from."""
        counter = self._lists.get(element.get("text:continue-list", ""))
        if counter is None and element.get("text:continue-numbering") == "true":
            counter = self._newest.get(style)
        counter = counter or ListCounter()
        self._newest[style] = counter
        if (id_ := element.get("xml:id")) is not None:
            self._lists[id_] = counter
        return counter

    def _number(self, element: Element, open_: _OpenList | None) -> str:
        """The number before a paragraph or heading; it is counted, so ask once for each."""
        if open_ is not None:
            if not open_.begins_item:
                return ""
            style = open_.style or self.styles.list_style(element.get("text:style-name"))
            number = open_.counter.count(open_.level, self.styles.levels(style), open_.start)
            open_.begins_item = False
            return number
        is_free = element.get("text:is-list-header") == "true"
        if element.tag != "text:h" or is_free or self.styles.list_style(element.get("text:style-name")) == "":
            return ""
        start = bounded_integer(element.get("text:start-value"))
        return self._headings.count(_heading_level(element), self.styles.outline, start)

    # --- paragraphs --------------------------------------------------------------------------------------------------

    def _paragraph_items(self, element: Element, open_: _OpenList | None, is_contents: bool) -> Iterator[Item]:
        read = read_paragraph(element, self.styles)
        self._keep(read)
        is_item = open_ is not None and open_.begins_item
        number = self._number(element, open_) if read.text.strip() else ""
        lead = len(read.text) - len(read.text.lstrip())
        text = read.text[:lead] + number + read.text[lead:]
        breaks = [
            mark if mark.offset <= lead else replace(mark, offset=mark.offset + len(number)) for mark in read.breaks
        ]
        before, after = self.styles.page_breaks(element.get("text:style-name"))
        if before and self._has_begun:
            breaks.insert(0, PageBreak(0, is_wished=True))
        if after:
            breaks.append(PageBreak(len(text), is_wished=True))
        self._has_begun = True
        level = _heading_level(element) if element.tag == "text:h" else 0
        if not level and self.styles.is_title(element.get("text:style-name")):
            level = 1
        role = ParagraphRole(
            heading_level=0 if is_contents else level,
            is_list_item=is_item and not level,
            is_contents=is_contents,
            number=number,
        )
        yield Paragraph(text, role, tuple(breaks))
        for frame in read.frames:
            yield from self._items(around(frame), None, is_contents)

    def _keep(self, read: OdfParagraph) -> None:
        for note in read.notes:
            if note.tag == "office:annotation":
                self.comments.append(note)
            else:
                notes = self.endnotes if note.get("text:note-class") == "endnote" else self.footnotes
                notes += note.iter("text:note-body")
        if read.has_struck:
            self._warn(STRUCK_OUT)

    def _warn(self, warning: FileWarning) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)

    def _object_items(self, element: Element) -> Iterator[Item]:
        """The titles of a chart and the table that it draws; other objects are named in a warning."""
        chart = descend(self.objects(element.get("xlink:href", "")), "office:body", "office:chart", "chart:chart")
        if chart is None:
            self._warn(_EMBEDDED)
            return
        for child in chart:
            if child.tag in ("chart:title", "chart:subtitle", "table:table"):
                yield from self.items(around(child))

    # --- tables ------------------------------------------------------------------------------------------------------

    def _table(self, element: Element) -> Table:
        table = Table([], [], [])
        for row, is_head in rows_of(element):
            cells: list[str] = []
            row_breaks: list[PageBreak] = []
            for cell in row:
                if cell.tag not in ("table:table-cell", "table:covered-table-cell"):
                    continue
                text, cell_breaks = self._cell(cell)
                count = repeats(cell, "columns", MAX_COLUMNS - len(cells)) if len(cells) < MAX_COLUMNS else 1
                cells += [text] * count
                row_breaks = max(row_breaks, cell_breaks, key=len)  # each cell of a row over two pages has a break
            for _ in range(repeats(row, "rows", MAX_EQUAL_ROWS)):
                table.rows.append(cells)
                table.breaks.append(row_breaks)
                table.heads.append(is_head)
                row_breaks = []
        return table

    def _cell(self, cell: Element) -> tuple[str, list[PageBreak]]:
        """The text of a cell, and the page breaks in it; nothing for a covered cell."""
        if cell.tag == "table:covered-table-cell":
            return "", []
        return cell_text(self.items(cell))


def rows_of(table: Element, *, is_head: bool = False) -> Iterator[tuple[Element, bool]]:
    """The rows of a table, and whether each is a head that repeats on every page."""
    for child in table:
        if child.tag == "table:table-row":
            yield child, is_head
        elif child.tag in ("table:table-header-rows", "table:table-rows", "table:table-row-group"):
            yield from rows_of(child, is_head=is_head or child.tag == "table:table-header-rows")


def _only_cell(table: Element) -> Element | None:
    """The cell of a table that is a box around text."""
    cells = list(islice((cell for row, _ in rows_of(table) for cell in row if cell.tag.endswith("-cell")), 2))
    return cells[0] if len(cells) == 1 else None


def _heading_level(element: Element) -> int:
    return min(max(bounded_integer(element.get("text:outline-level", "1")) or 1, 1), MAX_LEVEL)


def around(element: Element) -> Element:
    """An element that holds this one, for `items`."""
    parent = Element("frame")
    parent.append(element)
    return parent

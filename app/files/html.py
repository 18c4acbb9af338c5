"""HTML -> Document: the headings, paragraphs, list items and rows of tables that a browser shows as text.

Scripts, styles, templates, form controls, hidden and struck-out elements and the small characters of ruby are left out.
Navigation, and the header and footer of the page, are furniture; asides are notes. The tree is walked without
recursion, because it may be as deep as the file is long. Lexbor, which builds it, is C and repeats unclosed formatting
elements in every later paragraph (a file of 74 kB can need 3 GB): files of strangers must be read in a process with
limits. This module does not know CSS.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from selectolax.lexbor import LexborHTMLParser, LexborNode, SelectolaxError

from app.errors import FileTooLarge
from app.files.document import BlockKind, Document, DocumentBuilder
from app.files.encoding import decode
from app.files.html_source import check_depth, declared_charset
from app.files.integers import bounded_integer
from app.files.raised import STRUCK_OUT, lowered, raised
from app.files.spacing import collapsed
from app.files.warnings import FileWarning
from app.text.structure import structure_of

MAX_SPAN = 100

_SKIPPED = frozenset({
    "head", "script", "style", "template", "noscript", "rt", "rp", "rtc", "svg", "canvas", "iframe", "object",
    "embed", "video", "audio", "select", "datalist", "textarea", "button", "input", "map", "frameset", "noframes",
    "dialog", "annotation", "annotation-xml",
})  # fmt: skip
_STRUCK = frozenset({
    "del", "s", "strike",
})  # fmt: skip
_SCRIPTS = {"sup": raised, "sub": lowered}
_HEADING_PARENTS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6", "dt", "summary"})
_HEADING_REACH = 4  # elements between a heading and the button in it
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol", "optgroup", "option", "p",
    "plaintext", "pre", "search", "section", "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
    "xmp",
})  # fmt: skip
_LISTS = frozenset({
    "ul", "ol", "dl", "menu", "dir",
})  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_PREFORMATTED = frozenset({
    "pre", "listing", "xmp", "plaintext",
})  # fmt: skip
_PARTS = frozenset({
    "article", "main", "section",
})  # fmt: skip  # of the page's content, with headers and footers of their own
_FURNITURE_ROLES = frozenset({
    "navigation", "banner", "contentinfo", "search", "menubar", "menu", "toolbar",
})  # fmt: skip
# Marks of notes and the way back from a note, as DPUB-ARIA and EPUB name them.
_NOTE_LINKS = frozenset({"doc-noteref", "doc-backlink", "noteref", "backlink"})
# Names, without - and _, that pages older than <nav> and <footer> give to the same parts.
_NAMED_PARTS = frozenset({
    "div", "dl", "ol", "p", "ul",
})  # fmt: skip
_FURNITURE_NAMES = frozenset({
    "backtotop", "breadcrumb", "breadcrumblist", "breadcrumbs", "copyright", "footer", "globalfooter", "globalnav",
    "globalnavi", "gnav", "gnavi", "nav", "navbar", "navi", "navigation", "pagetop", "pankuzu", "sitefooter",
    "topicpath",
})  # fmt: skip
_DISPLAY_NONE = re.compile(r"display\s*:\s*none", re.IGNORECASE)

_SPACES_AT_LINE_END = re.compile(r" *\n *")


@dataclass(slots=True)
class _Region:
    """The meaning of an element for its content."""

    tag: str
    kind: BlockKind | None = None  # furniture or note
    is_table: bool = False


@dataclass(slots=True)
class _Table:
    """The open row and cell, and the columns that cells of earlier rows still fill."""

    cells: list[str] | None = None
    is_head: bool = True  # of the row: it has no cell of data
    texts: list[str] = field(default_factory=list)
    span: int = 1
    rows_below: int = 0
    filled: dict[int, int] = field(default_factory=dict)  # column -> rows


def read_html(data: bytes, stated: str | None) -> Document:
    """Read an HTML file. `stated` is the charset of its Content-Type; without it the `<meta charset>` counts.

    Raises NotText, UnknownEncoding, UnsafeFile or FileTooLarge.
    """
    decoded = decode(data, stated or declared_charset(data))
    return read_html_text(decoded.text, decoded.warnings)


def read_html_text(text: str, warnings: tuple[FileWarning, ...] = ()) -> Document:
    """Read HTML that is characters already. Raises UnsafeFile or FileTooLarge."""
    check_depth(text)
    try:
        root = LexborHTMLParser(text).root
    except SelectolaxError:  # every text is valid HTML, so only a lack of memory can fail
        raise FileTooLarge("Reading the HTML needs more memory than is allowed.") from None
    reader = _HtmlReader()
    if root is not None:
        reader.read(root)
    return reader.build(warnings)


def _events(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Every node of the tree with True, and every element again with False after all nodes inside it."""
    node: LexborNode | None = root
    while node is not None:
        yield node, True
        child = None if _is_skipped(node) else node.child
        while child is None and node is not None:
            yield node, False
            if node.mem_id == root.mem_id:
                return
            child = node.next
            if child is None:
                node = node.parent
        node = child


def _is_skipped(node: LexborNode) -> bool:
    if not node.is_element_node:
        return False
    if node.tag in _STRUCK or (node.tag == "sup" and _is_note_mark(node)):
        return True
    if node.tag == "a" and _NOTE_LINKS.intersection(_roles(node)):
        return True
    if node.tag in _SKIPPED and not (node.tag == "button" and _is_heading_button(node)):
        return True
    attributes = node.attributes
    return "hidden" in attributes or bool(_DISPLAY_NONE.search(attributes.get("style") or ""))


def _is_note_mark(raised: LexborNode) -> bool:
    """Whether raised characters are the mark of a note, which links into the page (Wikipedia, office programs)."""
    return any(
        link is not None and link.tag == "a" and (link.attributes.get("href") or "").startswith("#")
        for link in (raised.parent, raised.css_first("a"))
    )


def _roles(link: LexborNode) -> list[str]:
    """The words of its `role` and `epub:type`."""
    attributes = link.attributes
    return f"{attributes.get('role') or ''} {attributes.get('epub:type') or ''}".split()


def _is_quoted_mail(quotation: LexborNode) -> bool:
    """Whether mail programs made a quotation, of the mail that is answered."""
    classes = (quotation.attributes.get("class") or "").split()
    return quotation.attributes.get("type") == "cite" or "gmail_quote" in classes


def _is_named_furniture(node: LexborNode) -> bool:
    """Whether the id or a class of an element says that it holds navigation or the foot of the page."""
    names = f"{node.attributes.get('id') or ''} {node.attributes.get('class') or ''}".lower()
    return any(name.replace("-", "").replace("_", "") in _FURNITURE_NAMES for name in names.split())


def _is_heading_button(button: LexborNode) -> bool:
    """Whether a button opens the text below it, and so is its heading, as in an accordion of questions."""
    if "aria-expanded" in button.attributes:
        return True
    parent = button.parent
    for _ in range(_HEADING_REACH):
        if parent is None:
            return False
        if parent.tag in _HEADING_PARENTS:
            return True
        parent = parent.parent
    return False


class _HtmlReader:
    """Walks the tree, gathers text up to the next edge of a block, and adds it as a block of the elements' kind."""

    def __init__(self) -> None:
        self._builder = DocumentBuilder()
        self._parts: list[tuple[str, bool]] = []  # text, and whether its white space counts
        self._regions: list[_Region] = []
        self._counts: dict[str, int] = {}  # open elements by tag
        self._tables: list[_Table] = []
        self._has_struck = False
        self._has_code = False  # in the open block

    def read(self, root: LexborNode) -> None:
        for node, enters in _events(root):
            if node.is_text_node:
                if enters:
                    self._add_text(node.text_content or "")
            elif node.is_element_node:
                if enters:
                    self._enter(node, node.tag or "")
                else:
                    self._leave(node.tag or "")
        self._flush()

    def build(self, warnings: tuple[FileWarning, ...]) -> Document:
        return self._builder.build((*warnings, STRUCK_OUT) if self._has_struck else warnings, kinds_by_text=True)

    def _add_text(self, text: str) -> None:
        self._has_code = self._has_code or bool(self._counts.get("code"))
        for tag, script in _SCRIPTS.items():
            if self._counts.get(tag):
                text = script(text)
        self._parts.append((text, any(self._counts.get(tag) for tag in _PREFORMATTED)))

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
        region = _Region(tag)
        if tag in _STRUCK and node.text().strip():
            self._has_struck = True
        if tag == "br":
            self._parts.append(("\n", True))
        elif tag == "table":
            region.is_table = _is_data(node)
            if region.is_table:
                self._builder.end_list()
                self._tables.append(_Table())
        elif self._tables and tag in ("tr", "td", "th"):
            self._enter_cell(node, tag)
        region.kind = self._kind_of(node, tag)
        self._regions.append(region)
        self._counts[tag] = self._counts.get(tag, 0) + 1

    def _leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._flush()
        region = self._regions.pop()
        self._counts[tag] -= 1
        if region.is_table:
            self._end_row()
            self._tables.pop()
            self._builder.end_list()
        elif self._tables and tag in ("td", "th"):
            self._end_cell()
        elif self._tables and tag == "tr":
            self._end_row()
        elif tag in _LISTS and not any(self._counts.get(list_) for list_ in _LISTS):
            self._builder.end_list()

    def _kind_of(self, node: LexborNode, tag: str) -> BlockKind | None:
        """furniture or note, if the element makes its content that."""
        if tag == "nav" or node.attributes.get("role") in _FURNITURE_ROLES:
            return "furniture"
        if tag in ("header", "footer") and not any(self._counts.get(part) for part in _PARTS):
            return "furniture"
        if tag in _NAMED_PARTS and _is_named_furniture(node) and not any(self._counts.get(part) for part in _PARTS):
            return "furniture"
        if tag == "blockquote" and _is_quoted_mail(node):
            return "note"
        return "note" if tag == "aside" else None

    def _flush(self) -> None:
        """End the block that is open."""
        text = _rendered(self._parts)
        is_typed = not self._has_code and all(is_preformatted and text != "\n" for text, is_preformatted in self._parts)
        self._parts = []
        self._has_code = False
        if not text.strip():
            return
        if self._tables:
            self._tables[-1].texts.append(text)
            return
        regions = [region for region in self._regions if region.kind]
        level = next((_HEADINGS[region.tag] for region in reversed(self._regions) if region.tag in _HEADINGS), 0)
        # The title of a page often stands in its header, and the title of a menu in the menu.
        if regions and not (level and all(region.tag == "header" for region in regions)):
            self._builder.add(regions[0].kind or "furniture", text)
        elif level:
            self._builder.add("heading", text, level)
        elif any(self._counts.get(tag) for tag in ("li", "dt", "dd")):
            self._builder.add("list-item", text)
        elif is_typed:
            self._add_plain_text(text)
        else:
            self._builder.add("paragraph", text)

    def _add_plain_text(self, text: str) -> None:
        """Add text whose lines stand as they were typed (<pre>). The page's own elements are its headings."""
        text = text.strip("\r\n")
        blocks = structure_of(text).blocks
        self._builder.add_text(
            text,
            [replace(block, kind="paragraph", level=0) if block.kind == "heading" else block for block in blocks],
        )

    # --- tables ------------------------------------------------------------------------------------------------------

    def _enter_cell(self, node: LexborNode, tag: str) -> None:
        table = self._tables[-1]
        if tag == "tr":
            self._end_row()
            table.cells = []
            table.is_head = True
            return
        if table.cells is None:
            table.cells = []
        self._fill(table)
        table.is_head = table.is_head and (tag == "th" or bool(self._counts.get("thead")))
        table.span = _span(node.attributes.get("colspan"))
        table.rows_below = _span(node.attributes.get("rowspan")) - 1
        table.texts = []

    def _end_cell(self) -> None:
        table = self._tables[-1]
        if table.cells is None:
            return
        column = len(table.cells)
        for offset in range(table.span):
            if table.rows_below:
                table.filled[column + offset] = table.rows_below
        table.cells += ["\n".join(table.texts)] + [""] * (table.span - 1)
        table.texts = []

    def _end_row(self) -> None:
        table = self._tables[-1]
        if table.texts:  # a caption, or text between the rows
            for text in table.texts:
                self._builder.add("paragraph", text)
            table.texts = []
        if table.cells is None:
            return
        self._fill(table)
        kind = next((region.kind for region in self._regions if region.kind), None)
        if kind:
            self._builder.add(kind, " ".join(filter(None, table.cells)))
        else:
            self._builder.add_row(table.cells, head=table.is_head)
        table.cells = None

    @staticmethod
    def _fill(table: _Table) -> None:
        """An empty cell for each column that a cell of a row above reaches into."""
        assert table.cells is not None
        while (rows := table.filled.get(len(table.cells), 0)) > 0:
            table.filled[len(table.cells)] = rows - 1
            table.cells.append("")


def _is_data(table: LexborNode) -> bool:
    """Whether a table has rows of data: two cells in a row, and no headings or tables inside, unlike a page layout."""
    if table.attributes.get("role") in ("presentation", "none"):
        return False
    cells = most = 0
    for node, enters in _events(table):
        if not enters or not node.is_element_node or node.mem_id == table.mem_id:
            continue
        if node.tag == "table" or node.tag in _HEADINGS:
            return False
        if node.tag == "tr":
            cells = 0
        elif node.tag in ("td", "th"):
            cells += 1
            most = max(most, cells)
    return most > 1


def _span(text: str | None) -> int:
    return min(max(bounded_integer(text) or 1, 1), MAX_SPAN)


def _rendered(parts: list[tuple[str, bool]]) -> str:
    """The text of a block: white space as a browser shows it, and none for a line end between Japanese characters."""
    texts: list[str] = []
    run: list[str] = []
    for text, is_preformatted in [*parts, ("", True)]:
        if is_preformatted:
            texts += [collapsed("".join(run)), text]
            run = []
        else:
            run.append(text)
    rendered = "".join(texts)
    is_plain = not any(is_preformatted and text != "\n" for text, is_preformatted in parts)
    return _SPACES_AT_LINE_END.sub("\n", rendered) if is_plain else rendered

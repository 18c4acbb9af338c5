"""A Document: the text of a file, its blocks, and the page and place of each character.

All later steps (sentences, windows, answers, summaries) work on `Document.text`; an offset into it is enough to name
the page, the headings above, and the boxes to draw. `DocumentBuilder` builds a text block by block, so that only this
module decides about separators. This module does not know file formats.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from app.files.warnings import FileWarning
from app.text.blocks import Block as Block
from app.text.blocks import BlockKind as BlockKind
from app.text.blocks import Spans
from app.text.structure import has_mark, kinds_of_paragraphs
from app.text.tables import is_head, is_long

BLOCK_SEPARATOR = "\n\n"
ROW_SEPARATOR = "\n"  # between the rows of a table and between the items of a list
CELL_SEPARATOR = "\t"

# Kinds of which two in a row belong together, by the table or list to which they belong.
_TOGETHER: dict[BlockKind, str] = {"table-head": "table", "table-row": "table", "list-item": "list"}
_TABS = re.compile(r"\t+")
_CELL_BREAKS = re.compile(r"[\t\n\r\v\f\x85\u2028\u2029]+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*+\n\s*+")
# With as many headings in elements, styles or type of headings, the author marks headings so, and no other line is one.
MARKED_HEADINGS = 2
# Kinds that the text of a paragraph shows.
KINDS_BY_TEXT: frozenset[BlockKind] = frozenset(("list-item", "clause", "note", "furniture"))
# Kinds of which an empty line ends the block.
_TEXT_KINDS: frozenset[BlockKind] = frozenset(("paragraph", "list-item", "note"))


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or a slide: the span of its text, half-open in code points, and its size in points, 0 where unknown."""

    number: int  # from 1, in the order of the file
    start: int
    end: int
    width: float = 0.0
    height: float = 0.0
    scanned: bool = False  # the page has pictures but no text: it was not read


@dataclass(frozen=True, slots=True)
class PageBox:
    """A rectangle on a page, in points from the top left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, eq=False)
class Document:
    """The text of one file and its structure.

    Blocks stand in the order of the text, do not overlap, and hold every visible character. Pages also stand in order;
    a paragraph may begin on one page and end on the next. Raises ValueError if one of these rules is broken.
    """

    text: str
    blocks: tuple[Block, ...]
    pages: tuple[Page, ...] = ()  # empty for files without pages
    boxes: npt.NDArray[np.float32] | None = None  # (characters, 4): left, top, right, bottom in points; NaN: no box
    line_starts: tuple[int, ...] = ()  # offsets at which a visual line begins; needed where there are boxes
    warnings: tuple[FileWarning, ...] = ()  # sentences for the user, such as which pages could not be read

    def __post_init__(self) -> None:
        _check_blocks(self.text, self.blocks)
        _check_pages(self.text, self.pages)
        if self.boxes is not None and self.boxes.shape != (len(self.text), 4):
            raise ValueError(f"The boxes have the shape {self.boxes.shape}, the text has {len(self.text)} characters.")

    def page_of(self, offset: int) -> int | None:
        """The number of the page that the character at `offset` stands on; None for files without pages.

        The white space between two pages counts to the first of them.
        """
        index = bisect_right(self._page_starts, offset) - 1
        while index > 0 and self.pages[index].start == self.pages[index].end:
            index -= 1  # nothing stands on a page without text
        return self.pages[index].number if index >= 0 else None

    def heading_path(self, offset: int) -> tuple[str, ...]:
        """The headings above `offset`, the highest level first. A character of a heading has that heading as last."""
        index = bisect_right(self._heading_starts, offset) - 1
        return self._heading_paths[index] if index >= 0 else ()

    def boxes_of(self, start: int, end: int) -> list[PageBox]:
        """The boxes around the characters from `start` to `end`, one for each visual line; empty without boxes."""
        if self.boxes is None:
            return []
        inside = self.line_starts[bisect_right(self.line_starts, start) : bisect_left(self.line_starts, end)]
        found = []
        for first, last in zip((start, *inside), (*inside, end), strict=True):
            boxes = self.boxes[first:last]  # (n, 4)
            boxes = boxes[~np.isnan(boxes[:, 0])]
            page = self.page_of(first)
            if len(boxes) and page is not None:
                left, top = boxes[:, :2].min(axis=0).tolist()
                right, bottom = boxes[:, 2:].max(axis=0).tolist()
                found.append(PageBox(page, left, top, right, bottom))
        return found

    @cached_property
    def _page_starts(self) -> list[int]:
        return [page.start for page in self.pages]

    @cached_property
    def _headings(self) -> list[Block]:
        return [block for block in self.blocks if block.kind == "heading"]

    @cached_property
    def _heading_starts(self) -> list[int]:
        return [block.start for block in self._headings]

    @cached_property
    def _heading_paths(self) -> list[tuple[str, ...]]:
        """For each heading, the headings that hold from it on, itself the last."""
        paths = []
        open_: list[Block] = []
        for heading in self._headings:
            while open_ and open_[-1].level >= heading.level:
                open_.pop()
            open_.append(heading)
            paths.append(tuple(map(self._read, open_)))
        return paths

    def _read(self, block: Block) -> str:
        """The text of a block without ruby and markup."""
        bounds = [block.start, *(bound for span in block.omitted for bound in span), block.end]
        return "".join(self.text[start:end] for start, end in zip(bounds[::2], bounds[1::2], strict=True)).strip()


class DocumentBuilder:
    """Builds a text block by block; files without boxes need nothing else.

    Blocks are separated by an empty line, rows of a table and items of a list by a line end, cells by a tab. So an
    empty line inside a paragraph ends it.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blocks: list[Block] = []
        self._pages: list[tuple[int, float, float]] = []  # start, width, height
        self._length = 0
        self._same_list = False

    def start_page(self, width: float = 0.0, height: float = 0.0) -> None:
        """Begin the next page: everything that is added from now on stands there."""
        self._pages.append((self._length, width, height))
        self._same_list = False

    def add(self, kind: BlockKind, text: str, level: int = 0) -> tuple[int, int] | None:
        """Add a text without the white space around it, as one block or as the blocks between its empty lines.

        Returns the span of the text, or None for a text of white space alone, which adds nothing.
        """
        text = text.strip()
        if not text:
            return None
        start = self._separate(kind)
        gaps = [match.span() for match in _BLANK_LINE.finditer(text)] if kind in _TEXT_KINDS else []
        bounds = [0, *(bound for gap in gaps for bound in gap), len(text)]
        spans = zip(bounds[::2], bounds[1::2], strict=True)
        self._append(text, [Block(kind, start + first, start + last, level) for first, last in spans])
        return start, self._length

    def add_row(self, cells: Sequence[str], head: bool = False) -> Block | None:
        """Add a row of a table, or its head; None where all cells are empty.

        A line end or a tab in a cell becomes a space; in a cell that is long enough to be a text, line ends stay.
        """
        texts = [_cell_text(cell.strip()) for cell in cells]
        if not any(texts):
            return None
        kind: BlockKind = "table-head" if head else "table-row"
        start = end = self._separate(kind)
        spans = []
        for text in texts:
            spans.append((end, end + len(text)))
            end += len(text) + len(CELL_SEPARATOR)
        row = Block(kind, start, end - len(CELL_SEPARATOR), cells=tuple(spans))
        self._append(CELL_SEPARATOR.join(texts), [row])
        return row

    def add_text(self, text: str, blocks: Sequence[Block]) -> None:
        """Add blocks with their text, unchanged from the first block to the last."""
        if not blocks:
            return
        first = blocks[0].start
        shift = self._separate(blocks[0].kind) - first
        for block in blocks:
            self._blocks.append(
                replace(
                    block,
                    start=block.start + shift,
                    end=block.end + shift,
                    cells=tuple((start + shift, end + shift) for start, end in block.cells),
                    omitted=tuple((start + shift, end + shift) for start, end in block.omitted),
                )
            )
        self._parts.append(text[first : blocks[-1].end])
        self._length = blocks[-1].end + shift
        self._same_list = False

    def end_list(self) -> None:
        """End the table or list: the next row or item begins another one."""
        self._same_list = False

    @property
    def text(self) -> str:
        return "".join(self._parts)

    @property
    def length(self) -> int:
        """Characters of the text so far."""
        return self._length

    @property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(self._blocks)

    def build(self, warnings: Sequence[FileWarning] = (), *, kinds_by_text: bool = False) -> Document:
        """The Document of all blocks added so far. A page ends where its last block does.

        The first row of a table without a marked head is its head if its words name the columns. `kinds_by_text`: a
        paragraph with a number or another mark has the kind that it shows, in files that seldom say it.
        """
        text = self.text
        blocks = tuple(_with_heads(text, _by_text(text, self._blocks) if kinds_by_text else self._blocks))
        return Document(text, blocks, self._built_pages(), warnings=tuple(warnings))

    def _built_pages(self) -> tuple[Page, ...]:
        ends = [block.end for block in self._blocks]
        starts = [block.start for block in self._blocks]
        pages = []
        for number, (mark, width, height) in enumerate(self._pages, 1):
            next_mark = self._pages[number][0] if number < len(self._pages) else self._length
            first = bisect_left(starts, mark)
            last = bisect_right(ends, next_mark) - 1
            start, end = (starts[first], ends[last]) if first <= last else (mark, mark)
            pages.append(Page(number, start, end, width, height))
        return tuple(pages)

    def _separate(self, kind: BlockKind) -> int:
        """Write the separator between the last block and a block of `kind`; return the start of the new block."""
        if self._blocks:
            group = _TOGETHER.get(kind)
            close = self._same_list and group is not None and group == _TOGETHER.get(self._blocks[-1].kind)
            separator = ROW_SEPARATOR if close else BLOCK_SEPARATOR
            self._parts.append(separator)
            self._length += len(separator)
        return self._length

    def _append(self, text: str, blocks: Sequence[Block]) -> None:
        self._parts.append(text)
        self._length = blocks[-1].end
        self._blocks += blocks
        self._same_list = True


def _cell_text(cell: str) -> str:
    return (_TABS if is_long((0, len(cell))) else _CELL_BREAKS).sub(" ", cell)


def _by_text(text: str, blocks: Sequence[Block]) -> list[Block]:
    """The blocks; paragraphs with a mark are clauses, items, notes, and headings where hardly any heading is marked."""
    own = ["" if block.cells else text[block.start : block.end] for block in blocks]
    may_be_heading = sum(block.kind == "heading" for block in blocks) < MARKED_HEADINGS
    found = []
    for block, content, (kind, level) in zip(blocks, own, kinds_of_paragraphs(own), strict=True):
        if block.kind == "paragraph" and (
            kind in KINDS_BY_TEXT or (kind == "heading" and may_be_heading and has_mark(content))
        ):
            block = replace(block, kind=kind, level=level)
        found.append(block)
    return found


def _with_heads(text: str, blocks: Sequence[Block]) -> Iterator[Block]:
    end = 0
    for place, block in enumerate(blocks):
        is_first = text[end : block.start] != ROW_SEPARATOR
        end = block.end
        if block.kind == "table-row" and is_first:
            following = list(_rows_below(text, blocks[place : place + 4]))
            if len(following) > 1 and is_head(text, block.cells, following):
                block = replace(block, kind="table-head")
        yield block


def _rows_below(text: str, blocks: Sequence[Block]) -> Iterator[Spans]:
    """The cells of the rows after the first of these blocks, as far as its table goes."""
    for above, block in pairwise(blocks):
        if block.kind != "table-row" or text[above.end : block.start] != ROW_SEPARATOR:
            return
        yield block.cells


def _check_blocks(text: str, blocks: Sequence[Block]) -> None:
    at = 0
    for block in blocks:
        if not at <= block.start < block.end <= len(text):
            raise ValueError(
                f"{block} begins before {at}, is empty, or goes past the end of the text at {len(text)}: blocks stand "
                "in order and do not overlap."
            )
        _check_gap(text, at, block.start)
        _check_cells(block)
        if (block.level > 0) != (block.kind == "heading"):
            raise ValueError(f"{block}: headings have a level from 1 on, all other blocks have level 0.")
        at = block.end
    _check_gap(text, at, len(text))


def _check_gap(text: str, start: int, end: int) -> None:
    for offset in range(start, end):
        character = text[offset]
        if not character.isspace() and unicodedata.category(character) not in ("Cc", "Cf"):
            raise ValueError(f"The character at {offset} (U+{ord(character):04X}) is visible and lies in no block.")


def _check_cells(block: Block) -> None:
    if block.cells and block.kind not in ("table-row", "table-head"):
        raise ValueError(f"{block} has cells and is no row of a table.")
    at = block.start
    for start, end in block.cells:
        if not at <= start <= end <= block.end:
            raise ValueError(f"The cell from {start} to {end} of {block} is out of order or outside its row.")
        at = end


def _check_pages(text: str, pages: Sequence[Page]) -> None:
    at = 0
    for page in pages:
        if not at <= page.start <= page.end <= len(text):
            raise ValueError(f"{page} begins before {at} or goes past the end of the text at {len(text)}.")
        at = page.end

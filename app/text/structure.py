"""The structure of plain text: its blocks, and the reading text with the way back to the text as it was sent.

A block is a paragraph, a heading, an item, a clause, a row, a note or furniture. Lines that were wrapped at the edge
of a page are one block, so that no later step sees half a sentence. The reading text is the text without the parts that
are not read: the line ends of wrapped lines, ruby, markup, page furniture inside a paragraph.

Time is linear in the text, and no text fails. This module does not know words, tokens or files.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np

from app.text.block_kinds import settle_kinds
from app.text.blocks import Block, BlockKind, Spans
from app.text.characters import BLANKS, LINE_ENDS, plain_forms, widths
from app.text.furniture import mark_furniture
from app.text.graphemes import whole_spans
from app.text.groups import Group
from app.text.line_shapes import MAX_LABEL_CHARACTERS, gaps_of, mark_messages, ruled_title, shape_of
from app.text.lines import Line, lines_of
from app.text.markup import markup_spans
from app.text.tables import mark_csv
from app.text.wrapping import continued
from app.types import IntArray

_LATIN_BEFORE = re.compile(r"[A-Za-z0-9,.;:!?)\]'\"]")


@dataclass(frozen=True)
class ReadingText:
    """The text that is read, and the place of each of its code points in the text as sent."""

    text: str
    offsets: IntArray | None  # (characters of the reading text,), strictly increasing; None: the two texts are the same

    @cached_property
    def plain(self) -> str:
        """The text as the rules for Japanese see it: with the ordinary forms of its punctuation."""
        return plain_forms(self.text)

    def between(self, start: int, end: int, source: str) -> str:
        """The part of `source`, the text as sent, that is read from `start` to `end`."""
        if self.offsets is None:
            return source[start:end]
        first, last = np.searchsorted(self.offsets, [start, end]).tolist()
        return self.text[first:last]

    def to_source(self, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """Half-open spans of the reading text as spans of the text as sent; empty spans stay empty."""
        if self.offsets is None or not len(self.offsets):
            return starts, ends
        source_starts = self.offsets[np.minimum(starts, len(self.offsets) - 1)]
        source_ends = np.where(ends > starts, self.offsets[np.maximum(ends - 1, 0)] + 1, source_starts)
        return source_starts, source_ends.astype(np.int32)


@dataclass(frozen=True)
class Structure:
    """A text and its blocks. They stand in the order of the text, do not overlap, and hold every visible character."""

    text: str
    blocks: tuple[Block, ...]

    def blocks_in(self, start: int, end: int) -> Sequence[Block]:
        """The blocks that lie wholly or partly between two offsets."""
        first = bisect_right(self.blocks, start, key=lambda block: block.end)
        return self.blocks[first : bisect_left(self.blocks, end, lo=first, key=lambda block: block.start)]

    @cached_property
    def reading(self) -> ReadingText:
        """The text without the spans that its blocks omit; a line end that is left inside a block becomes a space."""
        if not any(block.omitted for block in self.blocks):
            return ReadingText(self.text, None)
        parts: list[str] = []
        kept = np.ones(len(self.text), dtype=np.bool_)
        position = 0
        for block in self.blocks:
            for start, end in block.omitted:
                part = self.text[position:start]
                if start > block.start and part[-1:] in LINE_ENDS:
                    part = part[:-1] + " " if part else part
                parts.append(part)
                kept[start:end] = False
                position = end
        parts.append(self.text[position:])
        return ReadingText("".join(parts), np.flatnonzero(kept).astype(np.int32))

    def spans_in_reading(self, blocks: Sequence[Block]) -> list[tuple[int, int]]:
        """The span of each of these blocks in the reading text; empty for a block that is not read."""
        return self.in_reading([(block.start, block.end) for block in blocks])

    def in_reading(self, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Spans of the text as spans of the reading text; empty where nothing is read."""
        offsets = self.reading.offsets
        if offsets is None:
            return list(spans)
        bounds = np.array(spans, dtype=np.int32).reshape(-1, 2)
        found = np.searchsorted(offsets, bounds)
        return [(start, end) for start, end in found.tolist()]


def structure_of(text: str, *, wrapped: bool = True) -> Structure:
    """The blocks of a plain text. `wrapped`: lines may be cut at the edge of a page; otherwise each is a block."""
    lines = lines_of(text)
    sent_widths = widths(text)
    sent, text = text, plain_forms(text)
    visible = [index for index, line in enumerate(lines) if line.first < line.last]
    for index in visible:
        lines[index].shape = shape_of(text, lines[index])
    mark_messages(text, lines, visible)
    mark_furniture(text, lines, visible)
    for index in visible:
        line = lines[index]
        line.gaps = gaps_of(text, line)
        if line.gaps and not line.shape and line.gaps[0][0] - line.first <= MAX_LABEL_CHARACTERS:
            line.shape = "" if "。" in text[line.first : line.gaps[0][0]] else "label"
    mark_csv(text, lines, visible)
    body = [index for index in visible if lines[index].shape not in ("page", "head")]
    goes_on = continued(text, lines, body, sent_widths) if wrapped else [False] * len(body)
    groups: list[Group] = []
    open_ = False
    for index, after in zip(body, goes_on, strict=True):
        if open_:
            groups[-1].lines.append(index)
        else:
            groups.append(Group([index], lines[index].shape))
        open_ = after
    covered = [(group.lines[0], group.lines[-1]) for group in groups]
    ends = [last for _, last in covered]
    for index in visible:  # page furniture outside paragraphs
        if lines[index].shape in ("page", "head"):
            place = bisect_left(ends, index)
            if place == len(covered) or covered[place][0] > index:
                groups.append(Group([index], lines[index].shape, kind="furniture"))
    groups.sort(key=lambda group: group.lines[0])
    settle_kinds(text, lines, groups)
    markup = markup_spans(text)
    starts = [start for start, _ in markup]
    blocks = []
    spans = _whole(sent, [(_begin(text, lines[group.lines[0]]), lines[group.lines[-1]].last) for group in groups])
    cells = iter(_whole(sent, [cell for group in groups for cell in group.cells]))
    for group, (start, end) in zip(groups, spans, strict=True):
        inside = markup[bisect_left(starts, start) : bisect_left(starts, end)]
        blocks.append(
            Block(
                group.kind,
                start,
                end,
                group.level,
                tuple(islice(cells, len(group.cells))),
                _omitted(text, lines, group, start, end, inside),
            )
        )
    structure = Structure(sent, tuple(blocks))
    if markup and set(structure.reading.text) <= set(BLANKS):  # a text of nothing but markup is read as it is
        return Structure(sent, tuple(replace(block, omitted=()) for block in blocks))
    return structure


def kinds_of_paragraphs(texts: Sequence[str]) -> list[tuple[BlockKind, int]]:
    """The kind and level that each of these paragraphs would have if its lines were lines of a plain text.

    Lines of several kinds are a paragraph, and so are a blank text and a row of cells.
    """
    lines = [text.translate(_NO_TABS).splitlines() for text in texts]
    plain = structure_of("\n".join("\n".join(own) for own in lines), wrapped=False)
    blocks = iter(plain.blocks)
    found: list[tuple[BlockKind, int]] = []
    for own in lines:
        seen = {(block.kind, block.level) for block in islice(blocks, sum(bool(line.strip(BLANKS)) for line in own))}
        one = seen.pop() if len(seen) == 1 else ("paragraph", 0)
        found.append(("paragraph", 0) if one[0] == "table-row" or (one[0] == "heading" and len(own) > 1) else one)
    return found


# A tab in a paragraph stands after its number, or moves a word.
_NO_TABS = str.maketrans("\t", "\u3000")


def has_mark(text: str) -> bool:
    """Whether a text begins with a number, a bullet or another mark, or stands in brackets."""
    return bool(shape_of(plain_forms(text), lines_of(text)[0]))


def _whole(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans with whole characters (grapheme clusters) at their ends."""
    bounds = np.array(spans, dtype=np.int32).reshape(-1, 2)
    starts, ends = whole_spans(text, bounds[:, 0], bounds[:, 1])
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _begin(text: str, line: Line) -> int:
    """Where the visible part of a line begins, marks of quotation included."""
    if not line.quotes:
        return line.first
    start = line.start
    while text[start] not in ">＞":
        start += 1
    return start


def _omitted(
    text: str, lines: Sequence[Line], group: Group, start: int, end: int, markup: list[tuple[int, int]]
) -> Spans:
    """The spans of a block that are not read."""
    spans = []
    first = lines[group.lines[0]]
    if first.first > start:
        spans.append((start, first.first))
    if group.shape == "ruled":
        begin, stop = ruled_title(text, first)
        spans += [(first.first, begin), (stop, first.last)]
    for before, after in zip(group.lines, group.lines[1:], strict=False):
        cut = lines[before].last
        space = (
            _LATIN_BEFORE.match(text, cut - 1)
            and text[lines[after].first].isascii()
            and text[lines[after].first].isalnum()
            and not (text[cut - 1].isdigit() and text[lines[after].first].isdigit())
        )
        spans.append((cut + bool(space), lines[after].first))
    if not markup:
        return tuple(spans)
    merged: list[tuple[int, int]] = []
    for begin, stop in sorted((*spans, *((max(begin, start), min(stop, end)) for begin, stop in markup))):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        elif begin < stop:
            merged.append((begin, stop))
    return tuple(merged)

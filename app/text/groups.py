"""Groups of lines, each of which is one block, and the neighbours of each group.

This module knows lines; `app.text.block_kinds` decides what a group is in its text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.text.blocks import BlockKind, Spans
from app.text.line_shapes import ends_sentence
from app.text.lines import Line


@dataclass(slots=True)
class Group:
    """The lines of one block."""

    lines: list[int]
    shape: str
    kind: BlockKind = "paragraph"
    level: int = 0
    cells: Spans = ()


@dataclass(frozen=True)
class Groups:
    """All groups of a text, in its order."""

    text: str
    lines: Sequence[Line]
    all: Sequence[Group]

    def first_line(self, group: Group) -> Line:
        return self.lines[group.lines[0]]

    def last_line(self, group: Group) -> Line:
        return self.lines[group.lines[-1]]

    def content(self, group: Group) -> str:
        return self.text[self.first_line(group).first : self.last_line(group).last]

    def is_last(self, place: int) -> bool:
        return place + 1 == len(self.all)

    def near(self, place: int, step: int) -> Group | None:
        """The next group before or after, if no blank line stands between."""
        other = place + step
        if not 0 <= other < len(self.all):
            return None
        here, there = self.all[place], self.all[other]
        if (there.lines[0] - here.lines[-1] if step > 0 else here.lines[0] - there.lines[-1]) != 1:
            return None
        return there

    def near_shape(self, place: int, step: int) -> str | None:
        near = self.near(place, step)
        return near.shape if near else None

    def ends_sentence(self, group: Group) -> bool:
        """Whether a group ends like a sentence."""
        return ends_sentence(self.text, self.last_line(group))

    def sentence_before(self, place: int) -> bool:
        """Whether the group before ends like a sentence."""
        return place > 0 and self.ends_sentence(self.all[place - 1])

    def same_quotes(self, one: Group, other: Group) -> bool:
        """Whether two groups stand at the same depth of quotation."""
        return self.first_line(one).quotes == self.first_line(other).quotes

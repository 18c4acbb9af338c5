"""Boxes on a page, and the same boxes in the direction of the text. This module does not know characters or PDFium."""

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

_RULE_WIDTH = 2.5  # points; a line drawn thicker than that is a bar
_RULE_LENGTH = 5.0


class Box(NamedTuple):
    """A rectangle in points from the top left corner of the page."""

    left: float
    top: float
    right: float
    bottom: float

    def is_rule(self) -> bool:
        """Whether the box is as thin and long as a ruled line."""
        short, long = sorted((self.right - self.left, self.bottom - self.top))
        return short <= _RULE_WIDTH and long >= _RULE_LENGTH


class FlowBox(NamedTuple):
    """A box in the direction of the text, in XSL's words: a line runs from start to end, lines from before to after.

    For every direction of writing, start < end and before < after hold, so the same code lays out all of them.
    """

    start: float
    end: float
    before: float
    after: float

    @property
    def middle(self) -> float:
        """The middle of the line, half way from before to after."""
        return (self.before + self.after) / 2

    def overlap(self, other: "FlowBox") -> float:
        """The share of the thinner box that lies next to the other: 1 on the same line, 0 on different lines."""
        shared = min(self.after, other.after) - max(self.before, other.before)
        return max(0.0, shared) / max(1e-6, min(self.after - self.before, other.after - other.before))


def around(boxes: Iterable[FlowBox]) -> FlowBox:
    """The smallest box that holds all of `boxes`, of which there is at least one."""
    starts, ends, befores, afters = zip(*boxes, strict=True)
    return FlowBox(min(starts), max(ends), min(befores), max(afters))


class Direction(Enum):
    """The direction in which the characters of a line follow each other on the page.

    Vertical Japanese writing runs down and its lines follow from right to left, like the lines of text that was turned
    clockwise.
    """

    RIGHT = "right"
    DOWN = "down"
    LEFT = "left"
    UP = "up"

    def flow(self, box: Box) -> FlowBox:
        left, top, right, bottom = box
        if self is Direction.RIGHT:
            return FlowBox(left, right, top, bottom)
        if self is Direction.DOWN:
            return FlowBox(top, bottom, -right, -left)
        if self is Direction.LEFT:
            return FlowBox(-right, -left, -bottom, -top)
        return FlowBox(-bottom, -top, left, right)

    def box(self, flow: FlowBox) -> Box:
        """The box on the page; the inverse of `flow`."""
        start, end, before, after = flow
        if self is Direction.RIGHT:
            return Box(start, before, end, after)
        if self is Direction.DOWN:
            return Box(-after, start, -before, end)
        if self is Direction.LEFT:
            return Box(-end, -after, -start, -before)
        return Box(before, -end, after, -start)

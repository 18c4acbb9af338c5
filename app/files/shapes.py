"""Shapes of a slide or over a sheet, whatever the format: their content, their places, and the order of reading.

This module does not know formats. The unit of a place is that of the file.
"""

from dataclasses import dataclass

from app.files.document import DocumentBuilder

Place = tuple[int, int, int, int]  # left, top, right, bottom

NOWHERE = (0, 1 << 40, 0, 1 << 40)  # shapes without a place are read last
_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "sldNum", "hdr")


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph of a shape."""

    text: str
    is_list_item: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    cells: list[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """The content of a shape, and its place."""

    content: list[Text | Row]
    place: Place
    placeholder: str | None  # title, body, ftr …; None for a shape that is no placeholder

    @property
    def is_title(self) -> bool:
        return self.placeholder in _TITLES

    @property
    def is_furniture(self) -> bool:
        return self.placeholder in _FURNITURE


def in_reading_order(shapes: list[Shape]) -> list[Shape]:
    """The title, then line by line from the top, shapes side by side from the left, furniture last.

    Shapes stand side by side when they share half of the lower one's height with the first of their line.
    """
    titles = [shape for shape in shapes if shape.is_title]
    furniture = [shape for shape in shapes if shape.is_furniture]
    rest = [shape for shape in shapes if not shape.is_title and not shape.is_furniture]
    lines: list[list[Shape]] = []
    for shape in sorted(rest, key=lambda shape: (shape.place[1], shape.place[0])):
        if lines and _side_by_side(lines[-1][0].place, shape.place):
            lines[-1].append(shape)
        else:
            lines.append([shape])
    ordered = [shape for line in lines for shape in sorted(line, key=lambda shape: shape.place[0])]
    return titles + ordered + furniture


def add_shape(builder: DocumentBuilder, shape: Shape) -> None:
    """Add the content of a shape as blocks. A title over several lines is one heading."""
    builder.end_list()
    if shape.is_title:
        lines = [item.text for item in shape.content if isinstance(item, Text) and item.text.strip()]
        builder.add("heading", "\n".join(lines), level=1)
        return
    for item in shape.content:
        if isinstance(item, Row):
            builder.add_row(item.cells)
        elif shape.is_furniture:
            builder.add("furniture", item.text)
        else:
            builder.add("list-item" if item.is_list_item else "paragraph", item.text)


def _side_by_side(first: Place, second: Place) -> bool:
    shared = min(first[3], second[3]) - max(first[1], second[1])
    lower = min(first[3] - first[1], second[3] - second[1])
    apart = first[2] <= second[0] or second[2] <= first[0]
    return apart and lower > 0 and shared * 2 >= lower

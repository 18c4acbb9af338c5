"""The shapes of a slide or over a sheet: their texts, tables and diagrams, in reading order.

This module does not know packages or parts. Places are in English Metric Units from the top left corner of the slide.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from app.files.integers import bounded_integer
from app.files.numbering import format_number
from app.files.raised import lowered, raised
from app.files.safe_xml import descend
from app.files.shapes import NOWHERE, Place, Row, Shape, Text

_ANCHORS = ("p:twoCellAnchor", "p:oneCellAnchor", "p:absoluteAnchor")  # each holds a shape over the cells of a sheet
_BULLETED = ("body", "obj")
_TRUE = ("1", "true", "on")
# PowerPoint's names of numbers: the kind of number, and the characters around it.
_NUMBER_SHAPES = {
    "arabic": "decimal", "arabicDb": "decimalFullWidth", "alphaLc": "lowerLetter", "alphaUc": "upperLetter",
    "romanLc": "lowerRoman", "romanUc": "upperRoman", "circleNumDb": "decimalEnclosedCircle",
    "circleNumWdWhite": "decimalEnclosedCircle", "circleNumWdBlack": "decimalEnclosedCircle",
    "ea1JpnChsDb": "japaneseCounting", "ea1JpnKor": "japaneseCounting", "ea1Chs": "japaneseCounting",
    "ea1Cht": "japaneseCounting",
}  # fmt: skip
_NUMBER_FRAMES = {"ParenBoth": "({})", "ParenR": "{})", "Period": "{}.", "Plain": "{}", "Minus": "{}-", "": "{}"}


@dataclass(frozen=True, slots=True)
class _Scale:
    """The mapping of coordinates inside a group to those outside: x -> x * scale + shift."""

    scale_x: float = 1.0
    shift_x: float = 0.0
    scale_y: float = 1.0
    shift_y: float = 0.0

    def __call__(self, place: Place) -> Place:
        left, top, right, bottom = place
        return (
            round(left * self.scale_x + self.shift_x),
            round(top * self.scale_y + self.shift_y),
            round(right * self.scale_x + self.shift_x),
            round(bottom * self.scale_y + self.shift_y),
        )

    def inside(self, outer: "_Scale") -> "_Scale":
        """This scale inside a group with its own scale, bounded, so that nested groups never reach infinity."""
        return _Scale(
            _bounded(self.scale_x * outer.scale_x),
            _bounded(self.shift_x * outer.scale_x + outer.shift_x),
            _bounded(self.scale_y * outer.scale_y),
            _bounded(self.shift_y * outer.scale_y + outer.shift_y),
        )


def _bounded(value: float) -> float:
    return max(min(value, 1e12), -1e12)


def read_shapes(
    tree: Element, inherited: Mapping[tuple[str, str], Place], linked: Callable[[str], Element | None]
) -> Iterator[Shape]:
    """The shapes of a slide or a sheet in the order of the file, groups opened.

    `inherited` gives the place that the layout gives a placeholder of a (type, index); `linked` gives the part of a
    relationship's id, the data of a SmartArt or a chart, or None if it cannot be read.
    """
    yield from _shapes(tree, _Scale(), inherited, linked)


def placeholder_places(tree: Element) -> dict[tuple[str, str], Place]:
    """The places that a layout or master gives its placeholders, by type and index, and by type alone."""
    places: dict[tuple[str, str], Place] = {}
    for shape in tree.iter("p:sp"):
        placeholder = descend(shape, "p:nvSpPr", "p:nvPr", "p:ph")
        place = _own_place(shape)
        if placeholder is not None and place is not None:
            kind = placeholder.get("type", "obj")
            places[kind, placeholder.get("idx", "")] = place
            places.setdefault((kind, ""), place)
            places.setdefault(("", placeholder.get("idx", "")), place)
    return places


def _shapes(
    parent: Element,
    scale: _Scale,
    inherited: Mapping[tuple[str, str], Place],
    linked: Callable[[str], Element | None],
) -> Iterator[Shape]:
    for child in parent:
        if child.tag == "mc:AlternateContent":
            choice = child.find("mc:Choice")
            alternative = choice if choice is not None and len(choice) else child.find("mc:Fallback")
            if alternative is not None:
                yield from _shapes(alternative, scale, inherited, linked)
        elif child.tag in _ANCHORS:
            yield from _shapes(child, scale, inherited, linked)
        elif child.tag == "p:grpSp":
            if not _is_hidden(child, "p:nvGrpSpPr"):
                yield from _shapes(child, _group_scale(child, scale), inherited, linked)
        elif child.tag in ("p:sp", "p:cxnSp"):
            body = child.find("p:txBody")
            if body is not None and not _is_hidden(child, "p:nvSpPr"):
                yield _text_shape(child, body, scale, inherited)
        elif child.tag == "p:graphicFrame" and not _is_hidden(child, "p:nvGraphicFramePr"):
            content = _graphic(child, linked)
            if content:
                place = _own_place(child)
                yield Shape(content, scale(place) if place else NOWHERE, None)


def _is_hidden(shape: Element, properties: str) -> bool:
    """Whether the shape is hidden in the selection pane."""
    names = descend(shape, properties, "p:cNvPr")
    return names is not None and names.get("hidden") in _TRUE


def _text_shape(shape: Element, body: Element, scale: _Scale, inherited: Mapping[tuple[str, str], Place]) -> Shape:
    placeholder = descend(shape, "p:nvSpPr", "p:nvPr", "p:ph")
    kind = placeholder.get("type", "obj") if placeholder is not None else None
    place = _own_place(shape)
    if place is not None:
        place = scale(place)
    elif placeholder is not None and kind is not None:
        index = placeholder.get("idx", "")
        place = inherited.get((kind, index)) or inherited.get(("", index)) or inherited.get((kind, ""))
    texts = _texts(body, bulleted=kind in _BULLETED)
    return Shape(list(texts), place or NOWHERE, kind)


def _own_place(shape: Element) -> Place | None:
    for frame in (descend(shape, "p:spPr", "a:xfrm"), shape.find("p:xfrm")):
        offset, extent = descend(frame, "a:off"), descend(frame, "a:ext")
        if offset is not None and extent is not None:
            left, top = _integer(offset, "x"), _integer(offset, "y")
            return left, top, left + _integer(extent, "cx"), top + _integer(extent, "cy")
    return None


def _group_scale(group: Element, outer: _Scale) -> _Scale:
    """How the coordinates inside a group become those of the slide."""
    frame = descend(group, "p:grpSpPr", "a:xfrm")
    offset, extent = descend(frame, "a:off"), descend(frame, "a:ext")
    child_offset, child_extent = descend(frame, "a:chOff"), descend(frame, "a:chExt")
    if offset is None or extent is None or child_offset is None or child_extent is None:
        return outer
    scale_x = _integer(extent, "cx") / (_integer(child_extent, "cx") or 1)
    scale_y = _integer(extent, "cy") / (_integer(child_extent, "cy") or 1)
    shift_x = _integer(offset, "x") - _integer(child_offset, "x") * scale_x
    shift_y = _integer(offset, "y") - _integer(child_offset, "y") * scale_y
    return _Scale(scale_x, shift_x, scale_y, shift_y).inside(outer)


def _integer(element: Element, name: str) -> int:
    """A coordinate; 0 for text that is no number, and bounded, so that no product of scales overflows."""
    return bounded_integer(element.get(name)) or 0


def _graphic(frame: Element, linked: Callable[[str], Element | None]) -> list[Text | Row]:
    """The rows of a table, the title and values of a chart, or the texts of the points of a SmartArt diagram."""
    data = descend(frame, "a:graphic", "a:graphicData")
    table = descend(data, "a:tbl")
    if table is not None:
        return [Row(_cells(row)) for row in table.iter("a:tr")]
    chart = descend(data, "c:chart")
    if chart is not None:
        part = linked(chart.get("r:id", ""))
        return _chart(part) if part is not None else []
    links = descend(data, "dgm:relIds")
    points = linked(links.get("r:dm", "")) if links is not None else None
    if points is None:
        return []
    return [text for body in points.iter("dgm:t") for text in _texts(body, bulleted=True)]


def _chart(part: Element) -> list[Text | Row]:
    """The title of a chart, and a row for each category with the values of all series."""
    body = descend(part, "c:chart", "c:title", "c:tx", "c:rich")
    title = _texts(body, bulleted=False) if body is not None else []
    series = list(part.iter("c:ser"))
    names = ["".join(_points(one, "c:tx").values()) for one in series]
    categories = [_points(one, "c:cat", "c:xVal") for one in series]
    values = [_points(one, "c:val", "c:yVal") for one in series]
    labels = {index: text for one in reversed(categories) for index, text in one.items()}
    rows = [Row(["", *names])] if any(names) else []
    for index in sorted(labels.keys() | {index for one in values for index in one}):
        rows.append(Row([labels.get(index, ""), *(one.get(index, "") for one in values)]))
    return [*title, *rows]


def _points(series: Element, *tags: str) -> dict[int, str]:
    """What the file remembers of the categories or values of a series, by their numbers."""
    found = [point for part in series if part.tag in tags for point in part.iter("c:pt")]
    return {_integer(point, "idx"): "".join(value.text or "" for value in point.iter("c:v")) for point in found}


def _cells(row: Element) -> list[str]:
    """The cells of a row, empty where a merged cell continues."""
    cells = []
    for cell in row.iter("a:tc"):
        merged = cell.get("hMerge") in _TRUE or cell.get("vMerge") in _TRUE
        body = cell.find("a:txBody")
        texts = _texts(body, bulleted=False) if body is not None and not merged else []
        cells.append("\n".join(text.text for text in texts))
    return cells


def _texts(body: Element, bulleted: bool) -> list[Text]:
    """The paragraphs of a text body. `bulleted`: its master gives bullets to paragraphs that do not set them."""
    texts = []
    counts: dict[tuple[int, str], int] = {}
    for paragraph in body.iter("a:p"):
        properties = paragraph.find("a:pPr")
        numbered = descend(properties, "a:buAutoNum")
        text = _line(paragraph)
        level = _integer(properties, "lvl") if properties is not None else 0
        if not text.strip():
            continue
        counts = {key: count for key, count in counts.items() if key[0] <= level}
        if numbered is not None:
            kind = numbered.get("type", "arabicPeriod")
            start = max(_integer(numbered, "startAt"), 1)
            counts[level, kind] = counts.get((level, kind), start - 1) + 1
            text = _number(counts[level, kind], kind) + " " + text.lstrip()
        bullet = numbered is not None or descend(properties, "a:buChar") is not None
        texts.append(Text(text, bullet or (bulleted and descend(properties, "a:buNone") is None)))
    return texts


def _line(paragraph: Element) -> str:
    parts = []
    for child in paragraph:
        if child.tag == "a:br":
            parts.append("\n")
        elif child.tag in ("a:r", "a:fld"):
            properties = child.find("a:rPr")
            text = child.findtext("a:t") or ""
            if properties is None:
                parts.append(text)
            elif not is_struck(properties):
                offset = properties.get("baseline", "0")
                parts.append(lowered(text) if offset.startswith("-") else raised(text) if offset.strip("0%") else text)
        elif child.tag not in ("a:pPr", "a:endParaRPr"):  # a formula, in one of two forms
            parts += [text.text or "" for text in child.iter("m:t")]
    return "".join(parts)


def is_struck(run_properties: Element) -> bool:
    """Whether a run with these `a:rPr` is struck out."""
    return run_properties.get("strike", "noStrike") != "noStrike"


def _number(count: int, kind: str) -> str:
    for frame in ("ParenBoth", "ParenR", "Period", "Plain", "Minus", ""):
        shape = _NUMBER_SHAPES.get(kind.removesuffix(frame))
        if kind.endswith(frame) and shape is not None:
            return _NUMBER_FRAMES[frame].format(format_number(count, shape))
    return f"{count}."

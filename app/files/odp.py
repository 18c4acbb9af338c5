"""ODP -> Document: each slide a page, its title a heading, then its frames in the order in which they are read.

As for PPTX, speaker's notes are notes at the end of their slide, dates, footers and slide numbers are furniture, and
hidden slides are read and named in a warning. app/files/odf_items.py reads the text of a frame.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from app.errors import FileTooLarge
from app.files.body import Paragraph
from app.files.document import Document, DocumentBuilder
from app.files.limits import FileLimits
from app.files.odf import OdfFile, open_odf
from app.files.odf_items import OdfReader
from app.files.pptx import MAX_SLIDES
from app.files.shapes import NOWHERE, Place, Row, Shape, Text, add_shape, in_reading_order
from app.files.warnings import FileWarning, numbers_in_words

# The classes of frames by the names that PPTX has for them.
_PLACEHOLDERS = {
    "title": "title", "outline": "body", "header": "hdr", "footer": "ftr", "date-time": "dt", "page-number": "sldNum",
}  # fmt: skip
_LENGTH = re.compile(r"(-?[0-9]{1,6}(?:\.[0-9]{1,9})?)(cm|mm|in|pt|pc|px)")
_POINTS = {"cm": 72 / 2.54, "mm": 72 / 25.4, "in": 72.0, "pt": 1.0, "pc": 12.0, "px": 0.75}
_UNITS = 100  # places of shapes are whole numbers: hundredths of a point


def read_odp(data: bytes, limits: FileLimits) -> Document:
    """Read an ODP file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    file = open_odf(data, "office:presentation", limits)
    slides = file.body.findall("draw:page")
    if len(slides) > MAX_SLIDES:
        raise FileTooLarge(f"The presentation has {len(slides):,} slides; at most {MAX_SLIDES:,} are read.")
    sizes = _page_sizes(file)
    reader = OdfReader(file.styles, file.objects)
    builder = DocumentBuilder()
    hidden: list[int] = []
    for number, slide in enumerate(slides, 1):
        style = slide.get("draw:style-name")
        if file.styles.of_drawing("drawing-page", style, "presentation:visibility") == "hidden":
            hidden.append(number)
        builder.start_page(*sizes.get(slide.get("draw:master-page-name", ""), (0.0, 0.0)))
        for shape in in_reading_order(list(_shapes(slide, reader))):
            add_shape(builder, shape)
        notes = [frame for part in slide.iter("presentation:notes") for frame in part]
        for element in [*(one for one in notes if one.get("presentation:class") == "notes"), *reader.comments]:
            for item in reader.items(element):
                if isinstance(item, Paragraph):
                    builder.add("note", item.text)
        reader.comments.clear()
    warnings = list(reader.warnings)
    if hidden:
        sentence = f"Hidden slides were read as well: {numbers_in_words(hidden)}."
        warnings.append(FileWarning("hidden_slides", sentence, hidden))
    return builder.build(warnings)


def _shapes(parent: Element, reader: OdfReader) -> Iterator[Shape]:
    """The shapes of a slide, groups opened: places in a group are places on the slide."""
    for child in parent:
        if child.tag in ("draw:g", "draw:a"):
            yield from _shapes(child, reader)
        elif child.tag == "office:annotation":
            reader.comments.append(child)
        elif child.tag.startswith("draw:"):
            yield Shape(list(_content(child, reader)), _place(child), _placeholder(child))


def _content(frame: Element, reader: OdfReader) -> Iterator[Text | Row]:
    is_outline = frame.get("presentation:class") == "outline"
    for item in reader.items(frame):
        if isinstance(item, Paragraph):
            yield Text(item.text, item.role.is_list_item or is_outline)
        else:
            yield from map(Row, item.rows)


def _placeholder(frame: Element) -> str | None:
    return _PLACEHOLDERS.get(frame.get("presentation:class", ""))


def _place(frame: Element) -> Place:
    left, top = _points(frame.get("svg:x")), _points(frame.get("svg:y"))
    if left is None or top is None:
        return NOWHERE
    right = left + (_points(frame.get("svg:width")) or 0)
    bottom = top + (_points(frame.get("svg:height")) or 0)
    return round(left * _UNITS), round(top * _UNITS), round(right * _UNITS), round(bottom * _UNITS)


def _page_sizes(file: OdfFile) -> dict[str, tuple[float, float]]:
    """Width and height in points of the slides of each master."""
    sizes = {}
    for master in file.masters.iter("style:master-page") if file.masters is not None else ():
        layout = file.page_layouts.get(master.get("style:page-layout-name", ""))
        for properties in layout.iter("style:page-layout-properties") if layout is not None else ():
            width, height = _points(properties.get("fo:page-width")), _points(properties.get("fo:page-height"))
            sizes[master.get("style:name", "")] = (width or 0.0, height or 0.0)
    return sizes


def _points(length: str | None) -> float | None:
    match = _LENGTH.fullmatch(length or "")
    return float(match[1]) * _POINTS[match[2]] if match else None

"""PPTX -> Document: each slide a page, its title a heading, then its shapes in the order in which they are read.

Speaker's notes are notes at the end of their slide; dates, footers and slide numbers are furniture; hidden slides are
read and named in a warning. app/files/pptx_shapes.py reads the shapes of a slide; this module knows the parts.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from app.errors import FileTooLarge
from app.files.document import Document, DocumentBuilder
from app.files.limits import FileLimits
from app.files.ooxml import Package, Relationship, link_of
from app.files.pptx_shapes import is_struck, placeholder_places, read_shapes
from app.files.raised import STRUCK_OUT
from app.files.safe_xml import descend
from app.files.shapes import Place, Text, add_shape, in_reading_order
from app.files.warnings import FileWarning, numbers_in_words

# PowerPoint has no limit; all slides of a hostile presentation may be the same part.
MAX_SLIDES = 10_000
_POINTS = 12_700  # English Metric Units in a point


def read_pptx(data: bytes, limits: FileLimits) -> Document:
    """Read a PPTX file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    package = Package(data, limits)
    main = package.main_part() or "ppt/presentation.xml"
    presentation = package.xml(main)
    width, height = _size(presentation)
    reader = _PptxReader(package)
    for number, part in enumerate(_slides(package, main, presentation), 1):
        reader.add_slide(number, part, width, height)
    return reader.build()


def _slides(package: Package, main: str, presentation: Element) -> Iterator[str | None]:
    """The parts of the slides in the order of the presentation; None for a part that is missing."""
    links = package.relationships(main)
    slides = presentation.find("p:sldIdLst")
    if slides is None:
        return
    if len(slides) > MAX_SLIDES:
        raise FileTooLarge(f"The presentation has {len(slides):,} slides; at most {MAX_SLIDES:,} are read.")
    for slide in slides:
        yield package.linked_part(links, slide.get("r:id", ""))


def _size(presentation: Element) -> tuple[float, float]:
    """Width and height of the slides in points; 0 where the file does not say."""
    size = presentation.find("p:sldSz")
    try:
        return (int(size.get("cx", "0")) / _POINTS, int(size.get("cy", "0")) / _POINTS) if size is not None else (0, 0)
    except ValueError:
        return 0, 0


class _PptxReader:
    """Adds the slides to a builder, one page each."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self._builder = DocumentBuilder()
        self._places: dict[str, dict[tuple[str, str], Place]] = {}  # of layouts and masters
        self._has_struck = False
        self._hidden: list[int] = []
        self._missing: list[int] = []

    def add_slide(self, number: int, part: str | None, width: float, height: float) -> None:
        """Add a page with the shapes of a slide and its notes; an empty page for a slide without a part."""
        self._builder.start_page(width, height)
        if part is None:
            self._missing.append(number)
            return
        slide = self._package.xml(part)
        if slide.get("show", "1") in ("0", "false"):
            self._hidden.append(number)
        links = self._package.relationships(part)
        tree = descend(slide, "p:cSld", "p:spTree")
        if tree is not None:
            self._has_struck = self._has_struck or any(map(is_struck, tree.iter("a:rPr")))
            shapes = list(read_shapes(tree, self._layout_places(links), lambda id_: self._linked(links, id_)))
            for shape in in_reading_order(shapes):
                add_shape(self._builder, shape)
        notes = self._package.optional_xml(link_of(links, "notesSlide"))
        notes_tree = descend(notes, "p:cSld", "p:spTree")
        if notes_tree is not None:
            for shape in read_shapes(notes_tree, {}, lambda _: None):
                if shape.placeholder == "body":
                    for text in shape.content:
                        if isinstance(text, Text):
                            self._builder.add("note", text.text)

    def build(self) -> Document:
        warnings = []
        if self._hidden:
            sentence = f"Hidden slides were read as well: {numbers_in_words(self._hidden)}."
            warnings.append(FileWarning("hidden_slides", sentence, self._hidden))
        if self._missing:
            sentence = f"Slides are missing from the file: {numbers_in_words(self._missing)}."
            warnings.append(FileWarning("missing_slides", sentence, self._missing))
        if self._has_struck:
            warnings.append(STRUCK_OUT)
        return self._builder.build(warnings)

    def _layout_places(self, links: dict[str, Relationship]) -> dict[tuple[str, str], Place]:
        """The places that the slide's layout, or the layout's master, give to placeholders without a place."""
        layout = link_of(links, "slideLayout")
        if layout is None or not self._package.has(layout):
            return {}
        if layout not in self._places:
            master = link_of(self._package.relationships(layout), "slideMaster")
            places = {}
            for part in (master, layout):
                tree = descend(self._package.optional_xml(part), "p:cSld", "p:spTree")
                if tree is not None:
                    places.update(placeholder_places(tree))
            self._places[layout] = places
        return self._places[layout]

    def _linked(self, links: dict[str, Relationship], id_: str) -> Element | None:
        """The part of a chart, or the data of a SmartArt diagram."""
        return self._package.optional_xml(self._package.linked_part(links, id_))

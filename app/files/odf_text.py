"""One paragraph of OpenDocument: its text, the page breaks in it, and the frames and notes that are anchored to it.

Deleted, struck-out and hidden text, the small characters of ruby and the marks of notes are left out. White space in
the XML counts as one space, as OpenDocument says; programs write more of it as elements. This module does not know the
paragraphs around it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from app.files.body import PageBreak
from app.files.integers import bounded_integer
from app.files.odf_styles import Styles
from app.files.raised import lowered, raised

MAX_SPACES = 1_000  # of one element
# Elements without text of their own, or with invisible text.
_SKIPPED = frozenset((
    "text:ruby-text", "text:hidden-text", "text:script", "text:tracked-changes", "text:deletion", "office:forms",
    "office:event-listeners", "office:annotation-end", "svg:title", "svg:desc", "text:note-citation",
))  # fmt: skip
_TEXT_OF = {"text:tab": "\t", "text:line-break": "\n"}
_SCRIPTS: dict[int, Callable[[str], str]] = {1: raised, -1: lowered}
_WHITE_SPACE = re.compile(r"[ \t\r\n]+")


@dataclass(slots=True)
class OdfParagraph:
    """`frames` and `notes` are the elements of drawings, of foot and end notes, and of comments."""

    text: str = ""
    breaks: list[PageBreak] = field(default_factory=list)
    frames: list[Element] = field(default_factory=list)
    notes: list[Element] = field(default_factory=list)
    has_struck: bool = False


def read_paragraph(element: Element, styles: Styles) -> OdfParagraph:
    """Read a `text:p` or `text:h`."""
    found = OdfParagraph()
    style = element.get("text:style-name")
    if styles.is_hidden("paragraph", style):
        return found
    if styles.is_struck("paragraph", style):
        found.has_struck = _has_text(element)
        return found
    parts = _Parts()
    _read(element, styles, found, parts, str)
    found.text = "".join(parts.texts)
    return found


@dataclass(slots=True)
class _Parts:
    texts: list[str] = field(default_factory=list)
    length: int = 0
    ends_in_space: bool = True  # a space there is the same as the one that the paragraph has already

    def add(self, text: str) -> None:
        self.texts.append(text)
        self.length += len(text)
        self.ends_in_space = False

    def add_source(self, text: str | None, script: Callable[[str], str]) -> None:
        """Add characters of the XML."""
        text = _WHITE_SPACE.sub(" ", text or "")
        if self.ends_in_space:
            text = text.lstrip(" ")
        if text:
            self.add(script(text))
            self.ends_in_space = text.endswith(" ")


def _read(parent: Element, styles: Styles, found: OdfParagraph, parts: _Parts, script: Callable[[str], str]) -> None:
    parts.add_source(parent.text, script)
    for child in parent:
        tag = child.tag
        if tag in _TEXT_OF:
            parts.add(_TEXT_OF[tag])
        elif tag == "text:s":
            parts.add(" " * min(max(bounded_integer(child.get("text:c", "1")) or 1, 1), MAX_SPACES))
        elif tag == "text:soft-page-break":
            found.breaks.append(PageBreak(parts.length, is_wished=False))
        elif tag == "text:span":
            _read_span(child, styles, found, parts, script)
        elif tag in ("text:note", "office:annotation"):
            found.notes.append(child)
        elif tag.startswith("draw:") and tag != "draw:a":
            found.frames.append(child)
        elif tag not in _SKIPPED:  # links, fields, the base of ruby
            _read(child, styles, found, parts, script)
        parts.add_source(child.tail, script)


def _read_span(span: Element, styles: Styles, found: OdfParagraph, parts: _Parts, script: Callable[[str], str]) -> None:
    style = span.get("text:style-name")
    if styles.is_hidden("text", style):
        return
    if styles.is_struck("text", style):
        found.has_struck = found.has_struck or _has_text(span)
        return
    _read(span, styles, found, parts, _SCRIPTS.get(styles.script(style), script))


def _has_text(element: Element) -> bool:
    return any(text.strip() for text in element.itertext())

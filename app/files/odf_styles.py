"""The styles and lists of an OpenDocument file: hidden, struck out, raised, page breaks, and the numbers of lists.

This module keeps the counters of the numbered lists, and does not know text.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from app.files.integers import bounded_integer
from app.files.numbering import format_number
from app.files.safe_xml import descend

MAX_LEVEL = 10  # OpenDocument numbers ten levels of lists and headings
# The longest chain of styles based on each other; a chain may even be a circle.
_MAX_STYLE_DEPTH = 20
_TITLES = ("title", "表題", "タイトル")
# OpenDocument names a kind of number by its first member; numbering.py has OOXML's names.
_NUMBER_SHAPES = {
    "1": "decimal", "１": "decimalFullWidth", "a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman",
    "I": "upperRoman", "①": "decimalEnclosedCircle", "一": "japaneseCounting", "壱": "japaneseLegal",
    "壹": "japaneseLegal", "ア": "aiueoFullWidth", "ｱ": "aiueo", "イ": "irohaFullWidth", "ｲ": "iroha",
    "甲": "ideographTraditional", "子": "ideographZodiac",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Style:
    """A style without the styles that it is based on."""

    name: str  # as the user sees it
    parent: str | None
    list_style: str | None
    master_page: str | None
    text: dict[str, str]  # attributes of its text properties
    paragraph: dict[str, str]  # and of those of the paragraph or the drawing


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of a list or of the headings. An empty `shape`: no number."""

    shape: str
    prefix: str
    suffix: str
    separator: str  # between number and text
    start: int
    shown_levels: int


@dataclass(slots=True)
class ListCounter:
    """The counts of one list, level by level from 1."""

    counts: dict[int, int] = field(default_factory=dict)

    def count(self, level: int, levels: dict[int, _Level], start: int | None) -> str:
        """The number before the next paragraph of this level, separator included; empty for a bullet."""
        this = levels.get(level)
        first = this.start if this is not None else 1
        self.counts[level] = self.counts.get(level, first - 1) + 1 if start is None else start
        for deeper in [other for other in self.counts if other > level]:
            del self.counts[deeper]
        if this is None or not this.shape:
            return ""
        shown = [other for other in range(max(level - this.shown_levels + 1, 1), level + 1) if other in levels]
        numbers = [
            format_number(self.counts.get(other, levels[other].start), levels[other].shape)
            for other in shown
            if levels[other].shape
        ]
        return f"{this.prefix}{'.'.join(numbers)}{this.suffix}{this.separator}"


class Styles:
    """The styles of one part: those that the user names, and those that the program made for single places."""

    def __init__(self, common: Element | None, automatic: Element | None) -> None:
        self._styles: dict[tuple[str, str], _Style] = {}
        self._lists: dict[str, dict[int, _Level]] = {}
        self.outline: dict[int, _Level] = {}
        for element in (*(common if common is not None else ()), *(automatic if automatic is not None else ())):
            if element.tag == "style:style":
                self._styles[element.get("style:family", ""), element.get("style:name", "")] = _style(element)
            elif element.tag == "text:list-style":
                self._lists[element.get("style:name", "")] = dict(_levels(element))
            elif element.tag == "text:outline-style":
                self.outline = dict(_levels(element))

    def is_hidden(self, family: str, name: str | None) -> bool:
        return self._text_property(family, name, "text:display") == "none"

    def is_struck(self, family: str, name: str | None) -> bool:
        names = ("style:text-line-through-style", "style:text-line-through-type")
        return any(self._text_property(family, name, key) not in (None, "none") for key in names)

    def script(self, name: str | None) -> int:
        """1 for raised text, -1 for lowered text, 0 for other text."""
        position = (self._text_property("text", name, "style:text-position") or "").split()
        if not position:
            return 0
        if position[0] in ("super", "sub"):
            return 1 if position[0] == "super" else -1
        shift = position[0].rstrip("%")
        return -1 if shift.startswith("-") else 1 if shift.strip("0.") else 0

    def page_breaks(self, name: str | None) -> tuple[bool, bool]:
        """Whether a paragraph begins a page, and whether the one after it does."""
        chain = self._chain("paragraph", name)
        before = any(style.master_page for style in chain[:1]) or _first(chain, "fo:break-before") == "page"
        return before, _first(chain, "fo:break-after") == "page"

    def is_title(self, name: str | None) -> bool:
        return any(style.name.lower() in _TITLES for style in self._chain("paragraph", name))

    def list_style(self, name: str | None) -> str | None:
        """The list style of a paragraph style; empty where the style takes its paragraphs out of every list."""
        chain = self._chain("paragraph", name)
        return next((style.list_style for style in chain if style.list_style is not None), None)

    def levels(self, list_style: str | None) -> dict[int, _Level]:
        return self._lists.get(list_style or "", {})

    def of_drawing(self, family: str, name: str | None, key: str) -> str | None:
        """A property of a slide, a sheet, a row or a column."""
        return _first(self._chain(family, name), key)

    def _text_property(self, family: str, name: str | None, key: str) -> str | None:
        return next((style.text[key] for style in self._chain(family, name) if key in style.text), None)

    def _chain(self, family: str, name: str | None) -> list[_Style]:
        """A style and the styles that it is based on, the nearest first."""
        chain: list[_Style] = []
        while (style := self._styles.get((family, name or ""))) is not None and len(chain) < _MAX_STYLE_DEPTH:
            chain.append(style)
            name = style.parent
        return chain


def _first(chain: Iterable[_Style], key: str) -> str | None:
    return next((style.paragraph[key] for style in chain if key in style.paragraph), None)


def _style(element: Element) -> _Style:
    text: dict[str, str] = {}
    paragraph: dict[str, str] = {}
    for properties in element:
        (text if properties.tag == "style:text-properties" else paragraph).update(properties.attrib)
    return _Style(
        name=element.get("style:display-name", element.get("style:name", "")),
        parent=element.get("style:parent-style-name"),
        list_style=element.get("style:list-style-name"),
        master_page=element.get("style:master-page-name"),
        text=text,
        paragraph=paragraph,
    )


def _levels(element: Element) -> Iterable[tuple[int, _Level]]:
    for level in element:
        shape = level.get("style:num-format", "").partition(",")[0].strip()
        yield (
            bounded_integer(level.get("text:level")) or 1,
            _Level(
                shape=_NUMBER_SHAPES.get(shape, "decimal") if shape else "",
                prefix=level.get("style:num-prefix", ""),
                suffix=level.get("style:num-suffix", ""),
                separator=_separator(level.find("style:list-level-properties")),
                start=bounded_integer(level.get("text:start-value")) or 1,
                shown_levels=bounded_integer(level.get("text:display-levels")) or 1,
            ),
        )


def _separator(properties: Element | None) -> str:
    """A space where the program leaves room after the number; files before OpenDocument 1.2 say so in widths."""
    alignment = descend(properties, "style:list-level-label-alignment")
    if alignment is not None:
        return "" if alignment.get("text:label-followed-by") == "nothing" else " "
    widths = ("text:min-label-width", "text:min-label-distance")
    return " " if properties is not None and any(properties.get(width) for width in widths) else ""

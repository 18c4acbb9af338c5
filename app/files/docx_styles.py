"""The role of a paragraph of Word, by its properties and style: heading and level, list item with number, hidden.

This module reads styles.xml and numbering.xml once, keeps the counters of the numbered lists, and does not know text.
"""

import re
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from app.files.body import ParagraphRole
from app.files.integers import bounded_integer
from app.files.numbering import format_number
from app.files.safe_xml import descend

_HEADING_NAME = re.compile(r"(?:heading|見出し) ?([1-9])", re.IGNORECASE)
_TOC_NAME = re.compile(r"(?:toc|目次) ?\d|toc heading", re.IGNORECASE)
_TITLE_NAMES = ("title", "表題")
_PLACEHOLDER = re.compile(r"%([1-9])")
# The longest chain of styles based on each other; a chain may even be a circle.
_MAX_STYLE_DEPTH = 20
_BODY_TEXT = 9  # the outline level of text that is no heading; levels count from 0


@dataclass(frozen=True, slots=True)
class Style:
    """The properties that a style sets itself, without the styles it is based on; None where it sets none."""

    name: str
    based_on: str | None
    outline_level: int | None
    number_id: str | None
    number_level: int | None
    hidden: bool | None


@dataclass(frozen=True, slots=True)
class _Level:
    """A level of a numbered list."""

    start: int
    shape: str  # "bullet" has no number
    text: str  # `第%1条`
    suffix: str
    legal: bool  # all numbers in plain digits


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level]
    counts: dict[int, int] = field(default_factory=dict)
    restarted: set[str] = field(default_factory=set)  # ids of numbers whose override of the start was applied


class Styles:
    """The styles and lists of one document."""

    def __init__(self, styles: Element | None, numbering: Element | None) -> None:
        self._styles: dict[str, Style] = {}
        self._default: str | None = None
        for element in styles.iter("w:style") if styles is not None else ():
            style_id = element.get("w:styleId", "")
            self._styles[style_id] = _style(element)
            if element.get("w:type") == "paragraph" and is_on(element.get("w:default", "0")):
                self._default = style_id
        self._lists: dict[str, _List] = {}
        self._numbers: dict[str, tuple[_List, dict[int, int]]] = {}  # id -> list, starts that override
        if numbering is not None:
            self._read_numbering(numbering)

    def role(self, properties: Element | None) -> ParagraphRole:
        """The role of a paragraph with these `w:pPr`. Counts its number: call it once for each, in their order."""
        chain = self._chain(value(properties, "w:pStyle") or self._default)
        names = [style.name for style in chain]
        outline = bounded_integer(value(properties, "w:outlineLvl"))
        if outline is None:
            outline = next((style.outline_level for style in chain if style.outline_level is not None), None)
        level = outline + 1 if outline is not None and 0 <= outline < _BODY_TEXT else 0
        if not level and outline is None and names:
            level = _level_by_name(names)
        number_id, number_level = self._number_of(properties, chain)
        number = self._count(number_id, number_level)
        is_contents = bool(names) and _TOC_NAME.fullmatch(names[0]) is not None
        return ParagraphRole(
            heading_level=0 if is_contents else level,
            is_list_item=number is not None and not level,
            is_contents=is_contents,
            number=number or "",
        )

    def is_struck(self, run_properties: Element | None) -> bool:
        """Whether a run with these `w:rPr` is struck out by itself; character styles are not asked."""
        strikes = (descend(run_properties, tag) for tag in ("w:strike", "w:dstrike"))
        return any(strike is not None and is_on(strike.get("w:val", "1")) for strike in strikes)

    def is_hidden(self, run_properties: Element | None) -> bool:
        """Whether a run with these `w:rPr` is hidden text."""
        if run_properties is None:
            return False
        vanish = run_properties.find("w:vanish")
        if vanish is not None:
            return is_on(vanish.get("w:val", "1"))
        chain = self._chain(value(run_properties, "w:rStyle"))
        return next((style.hidden for style in chain if style.hidden is not None), False)

    def _chain(self, style_id: str | None) -> list[Style]:
        """A style and the styles that it is based on, the nearest first."""
        chain: list[Style] = []
        while style_id in self._styles and len(chain) < _MAX_STYLE_DEPTH:
            chain.append(self._styles[style_id])
            style_id = chain[-1].based_on
        return chain

    def _number_of(self, properties: Element | None, chain: list[Style]) -> tuple[str | None, int]:
        own = descend(properties, "w:numPr")
        number_id = value(own, "w:numId")
        level = bounded_integer(value(own, "w:ilvl"))
        if number_id is None:
            number_id = next((style.number_id for style in chain if style.number_id is not None), None)
        if level is None:
            level = next((style.number_level for style in chain if style.number_level is not None), 0)
        return number_id, level

    def _count(self, number_id: str | None, level: int) -> str | None:
        """The number or bullet before the next paragraph of a list; None for a paragraph in no list."""
        if number_id is None or number_id not in self._numbers:  # 0 takes a paragraph out of its style's list
            return None
        list_, overrides = self._numbers[number_id]
        if level not in list_.levels:
            return ""
        if level in overrides and f"{number_id}:{level}" not in list_.restarted:
            list_.restarted.add(f"{number_id}:{level}")
            list_.counts[level] = overrides[level]
        else:
            start = list_.levels[level].start
            list_.counts[level] = list_.counts.get(level, start - 1) + 1
        for deeper in [other for other in list_.counts if other > level]:
            del list_.counts[deeper]
        return _number_text(list_, level)

    def _read_numbering(self, numbering: Element) -> None:
        links: dict[str, _List] = {}
        linked: list[tuple[str, str]] = []
        for element in numbering.iter("w:abstractNum"):
            list_id = element.get("w:abstractNumId", "")
            self._lists[list_id] = _List(dict(_level(level) for level in element.iter("w:lvl")))
            if link := value(element, "w:styleLink"):
                links[link] = self._lists[list_id]
            if link := value(element, "w:numStyleLink"):
                linked.append((list_id, link))
        for list_id, link in linked:
            self._lists[list_id] = links.get(link, self._lists[list_id])
        for element in numbering.iter("w:num"):
            list_of_number = self._lists.get(value(element, "w:abstractNumId") or "")
            if list_of_number is None:
                continue
            overrides = {}
            levels = dict(list_of_number.levels)
            for override in element.iter("w:lvlOverride"):
                start = bounded_integer(value(override, "w:startOverride"))
                if start is not None:
                    overrides[bounded_integer(override.get("w:ilvl")) or 0] = start
                levels.update(_level(level) for level in override.iter("w:lvl"))
            # The list still counts on: only the form of its numbers is another.
            self._numbers[element.get("w:numId", "")] = (replace(list_of_number, levels=levels), overrides)


def is_on(value: str) -> bool:
    """The value of an attribute that is true or false."""
    return value not in ("0", "false", "off")


def value(parent: Element | None, tag: str) -> str | None:
    """The `w:val` of a child."""
    child = descend(parent, tag)
    return child.get("w:val") if child is not None else None


def _style(element: Element) -> Style:
    paragraph = element.find("w:pPr")
    numbers = descend(paragraph, "w:numPr")
    vanish = descend(element, "w:rPr", "w:vanish")
    return Style(
        name=value(element, "w:name") or "",
        based_on=value(element, "w:basedOn"),
        outline_level=bounded_integer(value(paragraph, "w:outlineLvl")),
        number_id=value(numbers, "w:numId"),
        number_level=bounded_integer(value(numbers, "w:ilvl")),
        hidden=is_on(vanish.get("w:val", "1")) if vanish is not None else None,
    )


def _level(element: Element) -> tuple[int, _Level]:
    suffix = value(element, "w:suff")
    legal = element.find("w:isLgl")
    return bounded_integer(element.get("w:ilvl")) or 0, _Level(
        start=bounded_integer(value(element, "w:start")) or 0,
        shape=value(element, "w:numFmt") or "decimal",
        text=value(element, "w:lvlText") or "",
        suffix="" if suffix == "nothing" else " ",
        legal=legal is not None and is_on(legal.get("w:val", "1")),
    )


def _number_text(list_: _List, level: int) -> str:
    """`第%1条` with the counts of the levels; nothing for a bullet, whose sign is often of a font's private use."""
    this = list_.levels[level]
    if this.shape == "bullet":
        return ""

    def number(match: re.Match[str]) -> str:
        other = int(match.group(1)) - 1
        if other not in list_.levels:
            return ""
        count = list_.counts.get(other, list_.levels[other].start)
        return format_number(count, "decimal" if this.legal else list_.levels[other].shape)

    text = _PLACEHOLDER.sub(number, this.text)
    return text + this.suffix if text else ""


def _level_by_name(names: list[str]) -> int:
    """The level in the name of a style, or of a style it is based on; 0 for none."""
    for name in names:
        if match := _HEADING_NAME.fullmatch(name):
            return int(match.group(1))
        if name.lower() in _TITLE_NAMES:
            return 1
    return 0

"""One paragraph of Word: its text, its role, the page breaks in it and the text boxes that are anchored to it.

Deleted, moved, struck-out and hidden text, the small characters of ruby, the codes of fields and the marks of notes are
left out. This module does not know the paragraphs around it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.etree.ElementTree import Element

from app.files.body import PageBreak, Paragraph
from app.files.docx_equations import equation_text
from app.files.docx_styles import Styles, is_on, value
from app.files.raised import fraction, lowered, raised
from app.files.safe_xml import descend

# Elements without text of their own, or with invisible text.
_SKIPPED = (
    "w:pPr", "w:rPr", "w:del", "w:moveFrom", "w:delText", "w:delInstrText", "w:fldData", "w:rt",
    "w:rubyPr", "w:sdtPr", "w:footnoteReference", "w:endnoteReference", "w:commentReference", "w:annotationRef",
)  # fmt: skip
_TEXT_OF = {"w:tab": "\t", "w:ptab": "\t", "w:cr": "\n", "w:noBreakHyphen": "\u2011"}
_SCRIPTS: dict[str, Callable[[str], str]] = {"superscript": raised, "subscript": lowered, "baseline": str}
# Characters of symbol fonts without Unicode, in the private use area or below it.
_SYMBOLS = {
    "symbol": dict(zip(range(0xB0, 0xBC), "°±″≥×∝∂•÷≠≡≈", strict=True)) | {0x2D: "−", 0xDE: "⇒", 0xAE: "→"},
    "wingdings": {
        0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x6C: "●", 0x6D: "❍", 0x6E: "■", 0x6F: "□", 0x70: "□", 0x71: "❑", 0x75: "◆",
        0x76: "❖", 0x77: "◆", 0x9F: "•", 0xA1: "○", 0xA7: "▪", 0xA8: "□", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→",
        0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
    } | {0x80 + digit: "⓪①②③④⑤⑥⑦⑧⑨⑩"[digit] for digit in range(11)},
    "wingdings 2": {0x50: "✓", 0x52: "☑", 0x54: "☒", 0xA3: "□"},
}  # fmt: skip
_UNKNOWN_SYMBOL = "〓"  # Japanese printers set it for a character that they did not have


@dataclass(frozen=True, slots=True)
class WordParagraph(Paragraph):
    text_boxes: tuple[Element, ...]
    has_struck: bool  # a part of it is struck out, and was left out
    goes_on: bool  # its end mark was deleted: the next paragraph continues in the same line

    def after(self, carried: "WordParagraph | None") -> "WordParagraph":
        """This paragraph with the text of the paragraph before it that continues in it."""
        if carried is None:
            return self
        moved = (PageBreak(mark.offset + len(carried.text), mark.is_wished) for mark in self.breaks)
        return replace(
            self,
            text=carried.text + self.text,
            breaks=(*carried.breaks, *moved),
            has_struck=carried.has_struck or self.has_struck,
        )


@dataclass(slots=True)
class _Found:
    styles: Styles
    parts: list[str] = field(default_factory=list)
    length: int = 0
    breaks: list[PageBreak] = field(default_factory=list)
    text_boxes: list[Element] = field(default_factory=list)
    script: Callable[[str], str] = str  # of the open run: plain, raised or lowered
    has_struck: bool = False
    fields: list[list[str]] = field(default_factory=list)  # the codes of the open fields

    def add(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)


def read_paragraph(element: Element, styles: Styles) -> WordParagraph:
    """Read a `w:p`. Its number in a list is counted: read each paragraph once, in their order."""
    properties = element.find("w:pPr")
    role = styles.role(properties)
    found = _Found(styles)
    before = descend(properties, "w:pageBreakBefore")
    if before is not None and is_on(before.get("w:val", "1")):
        found.breaks.append(PageBreak(0, is_wished=True))
    _read_inline(element, found)
    text = "".join(found.parts)
    if text.strip() and role.number:
        lead = len(text) - len(text.lstrip())
        text = text[:lead] + role.number + text[lead:]
        found.breaks = [
            mark if mark.offset <= lead else PageBreak(mark.offset + len(role.number), mark.is_wished)
            for mark in found.breaks
        ]
    goes_on = descend(properties, "w:rPr", "w:del") is not None
    return WordParagraph(text, role, tuple(found.breaks), tuple(found.text_boxes), found.has_struck, goes_on)


def chosen(alternate: Element) -> Element:
    """One of two forms of a drawing, for new and for old programs: the new one if it has text, else the old one."""
    choice, fallback = alternate.find("mc:Choice"), alternate.find("mc:Fallback")
    if choice is None or (fallback is not None and not _has_text(choice)):
        return fallback if fallback is not None else alternate
    return choice


def _has_text(element: Element) -> bool:
    return any(child.tag in ("w:t", "a:t") and child.text for child in element.iter())


def _read_inline(parent: Element, found: _Found) -> None:
    for child in parent:
        tag = child.tag
        if tag in ("w:t", "m:t"):
            found.add(found.script(child.text or ""))
        elif tag == "w:fldChar":
            _read_field_mark(child, found)
        elif tag == "w:instrText":
            if found.fields:
                found.fields[-1].append(child.text or "")
        elif tag in _SKIPPED:
            continue
        elif tag == "w:r":
            _read_run(child, found)
        elif tag in _MATHS:
            found.add(_MATHS[tag](child, found.styles))
        elif tag == "w:br":
            _read_break(child, found)
        elif tag == "w:lastRenderedPageBreak":
            found.breaks.append(PageBreak(found.length, is_wished=False))
        elif tag in _TEXT_OF:
            found.add(_TEXT_OF[tag])
        elif tag == "w:sym":
            found.add(_symbol(child))
        elif tag == "w:txbxContent":
            found.text_boxes.append(child)
        elif tag == "mc:AlternateContent":
            _read_inline(chosen(child), found)
        else:  # links, content controls, inserted text, drawings, the base of ruby
            _read_inline(child, found)


def _read_run(run: Element, found: _Found) -> None:
    properties = run.find("w:rPr")
    if found.styles.is_hidden(properties):
        return
    if found.styles.is_struck(properties):
        found.has_struck = found.has_struck or _has_text(run)
        return
    outer = found.script
    found.script = _SCRIPTS.get(value(properties, "w:vertAlign") or "", outer)
    _read_inline(run, found)
    found.script = outer


def _part(formula: Element, tag: str, styles: Styles) -> str:
    """The text of one part of a formula: the numerator, the exponent and so on."""
    found = _Found(styles)
    if (part := formula.find(tag)) is not None:
        _read_inline(part, found)
    return "".join(found.parts)


def _fraction(formula: Element, styles: Styles) -> str:
    return fraction(_part(formula, "m:num", styles), _part(formula, "m:den", styles))


def _power(formula: Element, styles: Styles) -> str:
    return _part(formula, "m:e", styles) + raised(_part(formula, "m:sup", styles))


def _index(formula: Element, styles: Styles) -> str:
    return _part(formula, "m:e", styles) + lowered(_part(formula, "m:sub", styles))


_MATHS = {"m:f": _fraction, "m:sSup": _power, "m:sSub": _index}


def _read_break(element: Element, found: _Found) -> None:
    if element.get("w:type") == "page":
        found.breaks.append(PageBreak(found.length, is_wished=True))
    found.add("\n")


def _read_field_mark(element: Element, found: _Found) -> None:
    """A field begins with its code. At the end, the text of a code is added that Word shows without a result."""
    match element.get("w:fldCharType"):
        case "begin":
            found.fields.append([])
        case "separate" if found.fields:
            found.fields[-1].clear()
        case "end" if found.fields:
            found.add(equation_text("".join(found.fields.pop())))


def _symbol(element: Element) -> str:
    font = element.get("w:font", "").lower()
    try:
        code = int(element.get("w:char", ""), 16)
    except ValueError:
        return _UNKNOWN_SYMBOL
    if font in _SYMBOLS:
        return _SYMBOLS[font].get(code & 0xFF, _UNKNOWN_SYMBOL)
    is_character = 0x20 <= code <= 0xFFFD and not 0xD800 <= code <= 0xF8FF
    return chr(code) if is_character else _UNKNOWN_SYMBOL

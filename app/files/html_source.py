"""HTML before a parser reads it: the charset that the bytes declare, and how many elements are open at once.

This module does not know the tree of an HTML file.
"""

import re

from app.errors import UnsafeFile

MAX_DEPTH = 10_000  # of elements that need an end tag; a search for an open element is linear in the depth
_DECLARATION_BYTES = 4096

# Elements whose end tag is optional, or that have none.
_MAY_STAY_OPEN = frozenset({
    "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option", "optgroup", "rt", "rp",
    "rb", "rtc", "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr", "html", "head", "body", "frame", "basefont", "bgsound", "keygen",
})  # fmt: skip
_FOREIGN = frozenset({"svg", "math"})
_RAW_TEXT = frozenset({
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes",
})  # fmt: skip
_TAG = re.compile(r"<!--|<(/?)([a-zA-Z][^\s/>]*)")
_META_CHARSET = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")


def declared_charset(data: bytes) -> str | None:
    """The charset that the first bytes of an HTML or XHTML file declare. (UTF-16 declared in ASCII means UTF-8.)"""
    head = data[:_DECLARATION_BYTES]
    match = _META_CHARSET.search(head) or _XML_ENCODING.search(head)
    if match is None:
        return None
    name = match.group(1).decode("ascii")
    return "utf-8" if name.lower().startswith("utf-16") else name


def check_depth(text: str) -> None:
    """Raise UnsafeFile if more elements are open at once than the limit, before a parser builds them."""
    depth = position = 0
    foreign = 0  # open elements of SVG and MathML, where a tag that ends in /> has no end tag
    close = -1  # the next >
    while match := _TAG.search(text, position):
        position = match.end()
        if match.group() == "<!--":
            position = text.find("-->", position) + 3
            if position < 3:
                return
            continue
        name = match.group(2).lower()
        if name in _MAY_STAY_OPEN:
            continue
        if match.group(1):
            depth = max(depth - 1, 0)
            foreign = max(foreign - (name in _FOREIGN), 0)
            continue
        if foreign:
            if close < position:
                close = text.find(">", position) if close < len(text) else close
                close = len(text) if close < 0 else close
            if text[close - 1] == "/":
                continue
        foreign += name in _FOREIGN
        if name in _RAW_TEXT:
            position = text.find("</", position)
            if position < 0:
                return
            continue
        depth += 1
        if depth > MAX_DEPTH:
            raise UnsafeFile(
                f"The HTML has more than {MAX_DEPTH:,} elements open inside each other, which is the limit."
            )

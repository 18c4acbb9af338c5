"""XML of untrusted files -> elements with short tags such as `w:p`, with bounds on depth, elements and names.

defusedxml refuses a document type, so that no entity can be declared: none of the formats read here has one. Namespaces
become the prefixes that their standards use, the strict ones of ISO 29500 the same as the transitional ones that Word
writes. This module does not know packages or documents.
"""

import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from app.errors import BrokenFile, UnsafeFile

# Word nests four levels for each table in a table; readers walk elements recursively.
MAX_DEPTH = 150
# An element takes some 300 bytes. A thousand pages of Word have about a million elements.
MAX_ELEMENTS = 3_000_000
# A namespace's name is repeated in every tag and attribute: a long one multiplies a small file.
MAX_NAMESPACE_CHARACTERS = 300

_LONG = f"{{{MAX_NAMESPACE_CHARACTERS}}}"
_LONG_NAMESPACE = re.compile(rf"(?<=\s)xmlns[\w:.-]*\s*=\s*(?:\"[^\"]{_LONG}|'[^']{_LONG})")

_PREFIXES = {
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main": "w:",
    "http://purl.oclc.org/ooxml/wordprocessingml/main": "w:",
    "http://schemas.openxmlformats.org/drawingml/2006/main": "a:",
    "http://purl.oclc.org/ooxml/drawingml/main": "a:",
    "http://schemas.openxmlformats.org/presentationml/2006/main": "p:",
    "http://purl.oclc.org/ooxml/presentationml/main": "p:",
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "x:",
    "http://purl.oclc.org/ooxml/spreadsheetml/main": "x:",
    "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments": "tc:",
    # The shapes over the cells of a sheet have the same elements as those of a slide.
    "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing": "p:",
    "http://purl.oclc.org/ooxml/drawingml/spreadsheetDrawing": "p:",
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships": "r:",
    "http://purl.oclc.org/ooxml/officeDocument/relationships": "r:",
    "http://schemas.openxmlformats.org/package/2006/relationships": "rel:",
    "http://schemas.openxmlformats.org/package/2006/content-types": "types:",
    "http://schemas.openxmlformats.org/officeDocument/2006/extended-properties": "app:",
    "http://purl.oclc.org/ooxml/officeDocument/extendedProperties": "app:",
    "http://schemas.openxmlformats.org/officeDocument/2006/math": "m:",
    "http://purl.oclc.org/ooxml/officeDocument/math": "m:",
    "http://schemas.openxmlformats.org/drawingml/2006/chart": "c:",
    "http://purl.oclc.org/ooxml/drawingml/chart": "c:",
    "http://schemas.openxmlformats.org/drawingml/2006/diagram": "dgm:",
    "http://purl.oclc.org/ooxml/drawingml/diagram": "dgm:",
    "http://schemas.openxmlformats.org/markup-compatibility/2006": "mc:",
    "http://schemas.microsoft.com/office/word/2010/wordprocessingShape": "wps:",
    "urn:schemas-microsoft-com:vml": "v:",
    "http://www.w3.org/XML/1998/namespace": "xml:",
    "http://www.w3.org/1999/xlink": "xlink:",
    "urn:oasis:names:tc:opendocument:xmlns:office:1.0": "office:",
    "urn:oasis:names:tc:opendocument:xmlns:style:1.0": "style:",
    "urn:oasis:names:tc:opendocument:xmlns:text:1.0": "text:",
    "urn:oasis:names:tc:opendocument:xmlns:table:1.0": "table:",
    "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0": "draw:",
    "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0": "presentation:",
    "urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0": "fo:",
    "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0": "svg:",
    "urn:oasis:names:tc:opendocument:xmlns:chart:1.0": "chart:",
    "urn:oasis:names:tc:opendocument:xmlns:meta:1.0": "meta:",
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0": "manifest:",
}


def parse_xml(data: bytes, part: str) -> Element:
    """The root of the XML in `data`; `part` names it in errors.

    Raises BrokenFile for XML that is not well formed, UnsafeFile for a document type or XML past the bounds.
    """
    text = _decoded(data, part)
    if text.count("<") > 2 * MAX_ELEMENTS:
        raise UnsafeFile(f"The file's XML has more than {MAX_ELEMENTS:,} elements in {part}.")
    if _LONG_NAMESPACE.search(text):
        raise UnsafeFile(f"The XML of {part} has a namespace of more than {MAX_NAMESPACE_CHARACTERS} characters.")
    parser = DefusedXMLParser(target=TreeBuilder(), forbid_dtd=True)
    try:
        parser.feed(text)
        root: Element = parser.close()
    except DefusedXmlException:
        raise UnsafeFile(f"The file declares a document type or XML entities in {part}, which is refused.") from None
    except ParseError as error:
        raise BrokenFile(f"The file is damaged: {part} is not well-formed XML ({error}).") from None
    _shorten(root, part)
    return root


def descend(element: Element | None, *tags: str) -> Element | None:
    """The first child with the first tag, its first child with the second tag, and so on; None if one is missing."""
    for tag in tags:
        if element is None:
            return None
        element = element.find(tag)
    return element


def _decoded(data: bytes, part: str) -> str:
    """The characters: XML of these formats is UTF-8 or UTF-16 with a mark."""
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BrokenFile(f"The file is damaged: {part} is not valid {encoding} at byte {error.start}.") from None
    return text


def _shorten(root: Element, part: str) -> None:
    """Give every tag and attribute its short name, and measure the depth on the way."""
    short = _ShortNames()
    level, depth = [root], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise UnsafeFile(f"The XML of {part} is nested more than {MAX_DEPTH} elements deep, which is the limit.")
        for element in level:
            element.tag = short[element.tag]
            names = element.keys()
            if any(name[0] == "{" for name in names):
                attributes = {short[name]: value for name, value in element.items()}
                element.attrib.clear()
                element.attrib.update(attributes)
        level = [child for element in level for child in element]


class _ShortNames(dict[str, str]):
    def __missing__(self, name: str) -> str:
        uri, _, local = name.rpartition("}")
        short = self[name] = _PREFIXES[uri[1:]] + local if uri[1:] in _PREFIXES else name
        return short

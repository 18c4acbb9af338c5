"""EPUB -> Document: the chapters of a book in reading order, each read as HTML.

The package document (OPF) names the chapters and their order (https://www.w3.org/TR/epub-33/). What ruby, notes and
tables of contents become is decided in app/files/html.py. A book has no pages. This module does not know HTML.
"""

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from app.errors import BrokenFile, EncryptedFile
from app.files.document import Document, DocumentBuilder
from app.files.encoding import decode
from app.files.html import read_html_text
from app.files.html_source import declared_charset
from app.files.limits import FileLimits
from app.files.ooxml import Package
from app.files.sniff import CONTAINER
from app.files.warnings import FileWarning

_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTER_TYPES = frozenset(("application/xhtml+xml", "text/html"))
# HTML knows no element that ends in its own tag, except those that never have content: after <title/>, all is title.
_ENDED_TAG = re.compile(r"<([A-Za-z][^\s/<>]*+)((?:[^<>\"'/]++|/(?!>)|\"[^\"]*+\"|'[^']*+')*+)/>")
_WITHOUT_CONTENT = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
))  # fmt: skip


def read_epub(data: bytes, limits: FileLimits) -> Document:
    """Read a book.

    Raises:
        EncryptedFile: a chapter is encrypted, as in books that are protected against copying.
        BrokenFile, UnsafeFile, FileTooLarge, NotText, UnknownEncoding: as for archives and HTML.
    """
    package = Package(data, limits)
    chapters, missing = _chapters(package)
    if encrypted := _encrypted(package).intersection(chapters):
        raise EncryptedFile(
            f"The book is protected against copying (DRM): {min(encrypted)} is encrypted. Send a book without that."
        )
    builder = DocumentBuilder()
    warnings: list[FileWarning] = []
    for chapter in chapters:
        source = package.read(chapter)
        decoded = decode(source, declared_charset(source))
        read = read_html_text(_ENDED_TAG.sub(_with_end_tag, decoded.text), decoded.warnings)
        builder.add_text(read.text, read.blocks)
        warnings += read.warnings
    if missing:
        count = f"{missing} chapter" if missing == 1 else f"{missing} chapters"
        warnings.append(FileWarning("missing_chapters", f"The book names {count} that the file does not hold."))
    return builder.build(warnings)


def _chapters(package: Package) -> tuple[list[str], int]:
    """The parts that hold the text, in reading order, and how many more the book names. A part counts once."""
    opf = _package_document(package)
    root = package.xml(opf)
    hrefs = {
        item.get("id"): item.get("href", "")
        for item in _named(root, "item")
        if item.get("media-type", "").lower() in _CHAPTER_TYPES
    }
    links = [hrefs[id_] for item in _named(root, "itemref") if (id_ := item.get("idref")) in hrefs]
    parts = dict.fromkeys(_resolved(posixpath.dirname(opf), href) for href in links)
    if not parts:
        raise BrokenFile(f"The book names no chapters: {opf} has no spine of XHTML.")
    found = [part for part in parts if package.has(part)]
    return found, len(parts) - len(found)


def _package_document(package: Package) -> str:
    for rootfile in _named(package.xml(CONTAINER), "rootfile"):
        if path := rootfile.get("full-path"):
            return _resolved("", path)
    raise BrokenFile(f"The book is incomplete: {CONTAINER} names no package document.")


def _encrypted(package: Package) -> set[str]:
    """The parts that are encrypted. Fonts often are, though the book can be read."""
    root = package.optional_xml(_ENCRYPTION)
    return {_resolved("", element.get("URI", "")) for element in _named(root, "CipherReference")}


def _named(root: Element | None, name: str) -> Iterator[Element]:
    """The elements with a name, in whatever namespace: books of 2002 and of today differ."""
    return (element for element in (root.iter() if root is not None else ()) if element.tag.endswith("}" + name))


def _resolved(folder: str, href: str) -> str:
    """The name of the part behind a link from a folder."""
    return posixpath.normpath(posixpath.join("/", folder, unquote(href.partition("#")[0]))).lstrip("/")


def _with_end_tag(tag: re.Match[str]) -> str:
    name, attributes = tag.groups()
    return tag.group() if name.lower() in _WITHOUT_CONTENT else f"<{name}{attributes}></{name}>"

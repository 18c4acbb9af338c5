"""The parts of an OpenDocument file (ODT, ODS, ODP), and the names that all three share.

OpenDocument 1.3 (https://docs.oasis-open.org/office/OpenDocument/v1.3/) names every part that is read here. This module
does not know texts, sheets or slides.
"""

import posixpath
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from app.errors import BrokenFile, EncryptedFile
from app.files.integers import bounded_integer
from app.files.limits import FileLimits
from app.files.odf_styles import Styles
from app.files.ooxml import Package
from app.files.safe_xml import descend

_MANIFEST = "META-INF/manifest.xml"
_CONTENT = "content.xml"


@dataclass(frozen=True, slots=True)
class OdfFile:
    """The parts of one file.

    Args:
        body: `office:text`, `office:spreadsheet` or `office:presentation`.
        styles: of the body.
        masters: `office:master-styles`, the headers, footers and layouts of pages; None where the file has none.
        master_styles: of these.
        objects: the charts and formulas in the document, by the names that `draw:object` has for them.
        stated_pages: the number of pages that the program that wrote the file counted.
    """

    body: Element
    styles: Styles
    masters: Element | None
    master_styles: Styles
    page_layouts: dict[str, Element]
    objects: Callable[[str], Element | None]
    stated_pages: int | None


def open_odf(data: bytes, body_tag: str, limits: FileLimits) -> OdfFile:
    """Open a file.

    Raises:
        EncryptedFile: the file has a password.
        BrokenFile, UnsafeFile, FileTooLarge: as for other archives of XML.
    """
    package = Package(data, limits)
    manifest = package.optional_xml(_MANIFEST)
    if manifest is not None and next(manifest.iter("manifest:encryption-data"), None) is not None:
        raise EncryptedFile("The file is protected with a password; save it without one.")
    content = package.xml(_CONTENT)
    body = descend(content, "office:body", body_tag)
    if body is None:
        raise BrokenFile(f"The file is damaged: {_CONTENT} has no {body_tag}.")
    shared = package.optional_xml("styles.xml")
    common = descend(shared, "office:styles")
    own = descend(shared, "office:automatic-styles")
    statistic = descend(package.optional_xml("meta.xml"), "office:meta", "meta:document-statistic")
    return OdfFile(
        body,
        Styles(common, descend(content, "office:automatic-styles")),
        descend(shared, "office:master-styles"),
        Styles(common, own),
        {layout.get("style:name", ""): layout for layout in (own.iter("style:page-layout") if own is not None else ())},
        lambda name: package.optional_xml(posixpath.join(posixpath.normpath(name), _CONTENT)),
        bounded_integer(statistic.get("meta:page-count")) if statistic is not None else None,
    )


def repeats(element: Element, axis: str, most: int) -> int:
    """How often a row or cell stands in the table: programs write equal ones once, with a count. At most `most`."""
    return min(max(bounded_integer(element.get(f"table:number-{axis}-repeated", "1")) or 1, 1), most)

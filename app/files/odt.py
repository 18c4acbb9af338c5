"""ODT -> Document: the text of OpenDocument, with headings, lists, tables, text boxes, notes and pages.

What is read, and in which order, is the same as for DOCX: changes are accepted, hidden text and ruby are left out,
headers and footers are furniture, foot and end notes and comments stand at the end. app/files/odf_items.py reads the
elements, app/files/body.py makes blocks of them.
"""

from app.files.body import BodyBuilder
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.odf import open_odf
from app.files.odf_items import OdfReader

_HEADERS = ("style:header", "style:header-first", "style:header-left")
_FOOTERS = ("style:footer", "style:footer-first", "style:footer-left")


def read_odt(data: bytes, limits: FileLimits) -> Document:
    """Read an ODT file. Raises BrokenFile, EncryptedFile, UnsafeFile or FileTooLarge."""
    file = open_odf(data, "office:text", limits)
    reader = OdfReader(file.styles, file.objects)
    furniture = OdfReader(file.master_styles, file.objects)
    builder = BodyBuilder()
    pages = list(file.masters.iter("style:master-page")) if file.masters is not None else []
    headers, footers = (
        [part for page in pages for part in page if part.tag in tags and part.get("style:display") != "false"]
        for tags in (_HEADERS, _FOOTERS)
    )
    builder.add_all(furniture.items_of(headers), "furniture")
    builder.add_body(list(reader.items(file.body)))
    builder.add_all(furniture.items_of(footers), "furniture")
    for notes in (reader.footnotes, reader.endnotes, reader.comments):
        builder.add_all(reader.items_of(list(notes)), "note")
    return builder.build(file.stated_pages, reader.warnings)

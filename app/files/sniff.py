"""The kind of a file, found by its first bytes and its content, not by its name.

Names and content types only choose between kinds of text that look alike: Markdown, tables and plain text. For a kind
that is not read, the error names the kind and the kinds that are accepted.
"""

import re
from pathlib import PurePath
from typing import Literal

from app.errors import BrokenFile, EncryptedFile, FileError, FileTooLarge, UnsupportedFile
from app.files.captions import is_captions
from app.files.compound import SIGNATURE, root_names
from app.files.limits import FileLimits
from app.files.ooxml import Package

Kind = Literal[
    "pdf", "docx", "pptx", "xlsx", "xls", "odt", "odp", "ods", "epub", "html", "markdown", "eml", "msg", "captions",
    "table", "text",
]  # fmt: skip

ACCEPTED = (
    "PDF, DOCX, PPTX, XLSX, XLS, ODT, ODP, ODS, EPUB, HTML, Markdown, EML, MSG, VTT, SRT, CSV, TSV and plain text"
)

CONTAINER = "META-INF/container.xml"  # names the package document of an EPUB

_HEAD_BYTES = 16_384
# PDF's standard allows a kilobyte of any bytes before its mark, and some programs write them.
_PDF_MARK_WITHIN = 1024
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_EPUB_TYPE = b"application/epub+zip"  # an IDML of InDesign has a container of the same name

# (offset, bytes, name of the kind)
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture; text in pictures is not read"),
    (0, b"\xff\xd8\xff", "a JPEG picture; text in pictures is not read"),
    (0, b"GIF87a", "a GIF picture; text in pictures is not read"),
    (0, b"GIF89a", "a GIF picture; text in pictures is not read"),
    (0, b"II*\0", "a TIFF picture; text in pictures is not read"),
    (0, b"MM\0*", "a TIFF picture; text in pictures is not read"),
    (6, b"\0\0\0\0", "a BMP picture; text in pictures is not read"),
    (8, b"WEBP", "a WebP picture; text in pictures is not read"),
    (0, b"8BPS", "a Photoshop picture; text in pictures is not read"),
    (4, b"ftyphei", "a HEIC picture; text in pictures is not read"),
    (4, b"ftypmif", "a HEIC picture; text in pictures is not read"),
    (4, b"ftypavif", "an AVIF picture; text in pictures is not read"),
    (4, b"ftyp", "a video or sound file; speech is not read"),
    (8, b"WAVE", "a sound file; speech is not read"),
    (8, b"AVI ", "a video; speech is not read"),
    (0, b"ID3", "an MP3 sound file; speech is not read"),
    (0, b"\xff\xfb", "an MP3 sound file; speech is not read"),
    (0, b"\xff\xf3", "an MP3 sound file; speech is not read"),
    (0, b"OggS", "an Ogg sound file; speech is not read"),
    (0, b"fLaC", "a FLAC sound file; speech is not read"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM video; speech is not read"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; send the files in it"),
    (0, b"Rar!\x1a\x07", "a RAR archive; send the files in it"),
    (2, b"-lh", "an LZH archive; send the files in it"),
    (0, b"MSCF", "a CAB archive; send the files in it"),
    (0, b"\x1f\x8b", "a file packed with gzip; unpack it"),
    (0, b"BZh", "a file packed with bzip2; unpack it"),
    (0, b"\xfd7zXZ\0", "a file packed with xz; unpack it"),
    (0, b"\x28\xb5\x2f\xfd", "a file packed with zstd; unpack it"),
    (257, b"ustar", "a tar archive; send the files in it"),
    (0, b"MZ", "a program for Windows"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3\0", "a SQLite database"),
)
# Marks of formats that are ASCII, which programs put after a byte order mark or white space as well.
_ASCII_MARKS = ((b"{\\rtf", "an RTF document; save it as DOCX"), (b"%!PS", "a PostScript file; save it as PDF"))
_BEFORE_MARK = b"\xef\xbb\xbf \t\r\n\0"
# Some of these letters also begin texts ("MZ", "BM", "ID3", "BZh"): they count only where the bytes are no text.
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_OFFICE_KINDS: tuple[tuple[str, Kind], ...] = (
    ("word/document.xml", "docx"), ("ppt/presentation.xml", "pptx"), ("xl/workbook.xml", "xlsx")
)  # fmt: skip
_ODF_TYPE = "application/vnd.oasis.opendocument."
_ODF_KINDS: dict[str, Kind] = {"text": "odt", "presentation": "odp", "spreadsheet": "ods"}
_ZIP_KINDS = (
    ("xl/workbook.bin", "an Excel workbook of a binary kind (XLSB); save it as XLSX"),
    ("visio/document.xml", "a Visio drawing; save it as PDF"),
    ("Index/Document.iwa", "a document of Pages, Numbers or Keynote; export it as DOCX, XLSX, PPTX or PDF"),
    ("mimetype", "an OpenDocument file other than a text, slides or sheets; save it as PDF"),
    ("META-INF/MANIFEST.MF", "a Java archive"),
)
_ENCRYPTED_PACKAGE = "EncryptedPackage"  # of a DOCX, PPTX or XLSX with a password
_COMPOUND_KINDS: dict[str, Kind] = {"Workbook": "xls", "Book": "xls", "__properties_version1.0": "msg"}
_REFUSED_COMPOUND_KINDS = {
    "WordDocument": "a Word document of the old binary kind (DOC); save it as DOCX",
    "PowerPoint Document": "a PowerPoint presentation of the old binary kind (PPT); save it as PPTX",
}
_MAIL_HEADER = re.compile(rb"([A-Za-z][A-Za-z0-9-]*):[ \t]?|[ \t]|From ")
_MAIL_NAMES = frozenset({
    b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"received", b"return-path", b"mime-version",
    b"content-type", b"delivered-to", b"reply-to", b"dkim-signature", b"content-transfer-encoding",
    b"snapshot-content-location",
})  # fmt: skip
# Without one of these headers, "From: …" and "Subject: …" may be lines of an ordinary text.
_MAIL_PROOFS = frozenset({b"message-id", b"received", b"return-path", b"mime-version", b"delivered-to"})
_BEFORE_HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*", re.DOTALL)
_HTML_START = re.compile(
    r"<(?:!doctype\s+html|html|head|body|title|meta|link|script|style|div|table|h[1-6]|p|br|font|center|article|section|"
    r"main|header|nav|ul|ol|a|b|span|iframe)\b", re.IGNORECASE
)  # fmt: skip
_HTML_PROOF = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HTML_TAG = re.compile(r"</?(?:p|div|br|h[1-6]|table|tr|td|ul|ol|li|a|span|b|font|html|body)\b[^<>]*>", re.IGNORECASE)

_BY_EXTENSION: dict[str, Kind] = {
    ".md": "markdown", ".markdown": "markdown", ".mkd": "markdown", ".mdown": "markdown", ".qmd": "markdown",
    ".csv": "table", ".tsv": "table", ".tab": "table", ".html": "html", ".htm": "html", ".xhtml": "html",
    ".eml": "eml", ".mht": "eml", ".mhtml": "eml",
}  # fmt: skip
_BY_CONTENT_TYPE: dict[str, Kind] = {
    "text/markdown": "markdown", "text/x-markdown": "markdown", "text/csv": "table", "application/csv": "table",
    "text/tab-separated-values": "table", "text/html": "html", "application/xhtml+xml": "html",
    "message/rfc822": "eml", "multipart/related": "eml",
}  # fmt: skip


def kind_of(data: bytes, name: str | None, content_type: str | None, limits: FileLimits) -> Kind:
    """The kind of a file.

    Raises FileTooLarge past `limits.max_file_bytes`, FileError for an empty file, UnsupportedFile for a kind that is
    not read, EncryptedFile for an office file with a password, BrokenFile and the errors of Package for a damaged one.
    """
    _check_size(data, limits)
    head = data[:_HEAD_BYTES]
    if _is_pdf(data):
        return "pdf"
    if head.startswith(_ZIP):
        return _zip_kind(data, limits)
    if head.startswith(SIGNATURE):
        return _compound_kind(data)
    if what := _magic(head):
        raise unsupported(what)
    return _text_kind(data, name, content_type)


def what_is_no_text(head: bytes) -> str | None:
    """The name of a known binary kind for a file that begins with these bytes."""
    if _is_pdf(head):
        return "a PDF"
    if head.startswith(_ZIP):
        return "an office file or another zip archive"
    if head.startswith(SIGNATURE):
        return "an office document of an old binary kind"
    return (_magic(head) or "").partition(";")[0] or None


def unsupported(what: str) -> UnsupportedFile:
    """The error for a file of the kind `what`."""
    return UnsupportedFile(f"The file is {what}. Accepted are {ACCEPTED}.")


def _is_pdf(data: bytes) -> bool:
    """Whether a file is a PDF: it begins with the mark, or has mark and trailer; a text may only mention the mark."""
    at = data[:_PDF_MARK_WITHIN].find(b"%PDF-")
    return at >= 0 and (not data[:at].strip(_BEFORE_MARK) or b"startxref" in data[-_PDF_MARK_WITHIN:])


def _magic(head: bytes) -> str | None:
    """The name of a kind that is not read, for the first bytes of a file of that kind."""
    for mark, what in _ASCII_MARKS:
        if head.lstrip(_BEFORE_MARK).startswith(mark):
            return what
    found = (what for offset, magic, what in _MAGIC if head.startswith(magic, offset) and _is_magic(head, magic))
    return next(found, None)


def _is_magic(head: bytes, magic: bytes) -> bool:
    if magic == b"\0\0\0\0":
        return head.startswith(b"BM")
    return magic in (b"{\\rtf", b"%!PS") or _NOT_IN_TEXT.search(head) is not None


def _zip_kind(data: bytes, limits: FileLimits) -> Kind:
    package = Package(data, limits)
    if package.has(CONTAINER) and (not package.has("mimetype") or package.read("mimetype").startswith(_EPUB_TYPE)):
        return "epub"
    if (odf := _odf_kind(package)) is not None:
        return odf
    main = package.main_part() or ""
    for part, what in _ZIP_KINDS:
        if package.has(part):
            raise unsupported(what)
    for part, kind in _OFFICE_KINDS:
        if package.has(part) or main.startswith(part.partition("/")[0] + "/"):
            return kind
    raise unsupported("a zip archive; send the files in it")


def _odf_kind(package: Package) -> Kind | None:
    """The kind that the part `mimetype` states; templates and master documents are read as what they are for."""
    if not package.has("mimetype"):
        return None
    stated = package.read("mimetype").decode("ascii", "replace").strip()
    name = stated.removeprefix(_ODF_TYPE).removesuffix("-template").removesuffix("-master")
    return _ODF_KINDS.get(name) if stated.startswith(_ODF_TYPE) else None


def _compound_kind(data: bytes) -> Kind:
    """The kind by the streams of the root: documents and messages may hold others in storages of their own.

    Where damage hides the root, the names decide that stand anywhere, so that its reader says what is wrong.
    """
    known = (_ENCRYPTED_PACKAGE, *_COMPOUND_KINDS, *_REFUSED_COMPOUND_KINDS)
    names = root_names(data) or {name for name in known if name.encode("utf-16-le") in data}
    if not names:
        raise BrokenFile("The file is an old office document or a message, and it is damaged or cut off.")
    if _ENCRYPTED_PACKAGE in names:
        raise EncryptedFile("The file is protected with a password; save it without one.")
    for name in known:
        if name in _COMPOUND_KINDS and name in names:
            return _COMPOUND_KINDS[name]
        if name in _REFUSED_COMPOUND_KINDS and name in names:
            raise unsupported(_REFUSED_COMPOUND_KINDS[name])
    raise unsupported("an office document of an old binary kind; save it as DOCX, PPTX, XLSX or PDF")


def _text_kind(data: bytes, name: str | None, content_type: str | None) -> Kind:
    """The kind of a text: by its structure if that is clear, else by the stated type."""
    stated = _stated_kind(name, content_type)
    if _is_mail(data, stated == "eml"):
        return "eml"
    head = _characters(data[:_HEAD_BYTES])
    if is_captions(head):
        return "captions"
    body = head[len(_BEFORE_HTML.match(head).group()) :]  # type: ignore[union-attr]  # it matches the empty text
    if _HTML_PROOF.match(body):
        return "html"
    if head.lstrip("\ufeff \t\r\n").startswith("<?xml") or body.lower().startswith("<svg"):
        raise unsupported("XML of a kind that is not read")
    if stated == "html" and _HTML_TAG.search(head):
        return "html"
    if stated in ("markdown", "table"):
        return stated
    if _HTML_START.match(body) and len(_HTML_TAG.findall(head)) > 1:
        return "html"
    return "text"


def _stated_kind(name: str | None, content_type: str | None) -> Kind | None:
    """The kind by the name, else by the content type, which browsers guess from the name, often as text/plain."""
    extension = PurePath(name.replace("\\", "/")).suffix.lower() if name else ""
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return _BY_EXTENSION.get(extension) or _BY_CONTENT_TYPE.get(media_type)


def _is_mail(data: bytes, is_stated: bool) -> bool:
    """Whether the file begins with headers of mail up to an empty line."""
    names = set()
    lines = data[:_HEAD_BYTES].lstrip(b"\xef\xbb\xbf").split(b"\n")
    if len(data) > _HEAD_BYTES:
        lines.pop()  # cut off
    for line in lines:
        if not line.strip(b"\r"):
            break
        match = _MAIL_HEADER.match(line)
        if match is None:
            return False
        if match.group(1):
            names.add(match.group(1).lower())
    return len(names & _MAIL_NAMES) >= (1 if is_stated else 3) and (is_stated or bool(names & _MAIL_PROOFS))


def _characters(head: bytes) -> str:
    """The ASCII of a text, also of UTF-16 with a byte order mark."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    return head.decode("latin-1").removeprefix("ï»¿")


def _check_size(data: bytes, limits: FileLimits) -> None:
    if len(data) > limits.max_file_bytes:
        raise FileTooLarge(f"The file has {len(data):,} bytes; {limits.max_file_bytes:,} are allowed.")
    if not data:
        raise FileError("The file is empty: it has no bytes.")


def check_characters(characters: int, limits: FileLimits) -> None:
    """Raise FileTooLarge past `limits.max_characters`."""
    if characters > limits.max_characters:
        raise FileTooLarge(f"The file has {characters:,} characters of text; {limits.max_characters:,} are allowed.")

"""The reader of each kind of file except PDF, in this process. It imports only the modules that the kind needs."""

from app.errors import UnsupportedFile
from app.files.document import Document
from app.files.encoding import decode
from app.files.limits import FileLimits
from app.files.sniff import Kind, check_characters


def read_as(kind: Kind, data: bytes, charset: str | None, limits: FileLimits) -> Document:
    """Read a file of a known kind; `charset` is the stated encoding of a text. Raises the subclasses of FileError.

    Office files, HTML, Markdown and mail of strangers are read in a process with limits: see app/files/read.py.
    """
    try:
        document = _read(kind, data, charset, limits)
    except ImportError as error:
        raise UnsupportedFile(
            f"Files of the kind {kind} cannot be read here: the extra `files` is not installed ({error})."
        ) from None
    check_characters(len(document.text), limits)
    return document


def _read(kind: Kind, data: bytes, charset: str | None, limits: FileLimits) -> Document:
    match kind:
        case "docx":
            from app.files.docx import read_docx

            return read_docx(data, limits)
        case "pptx":
            from app.files.pptx import read_pptx

            return read_pptx(data, limits)
        case "xlsx":
            from app.files.xlsx import read_xlsx

            return read_xlsx(data, limits)
        case "xls":
            from app.files.xls import read_xls

            return read_xls(data, limits)
        case "odt":
            from app.files.odt import read_odt

            return read_odt(data, limits)
        case "odp":
            from app.files.odp import read_odp

            return read_odp(data, limits)
        case "ods":
            from app.files.ods import read_ods

            return read_ods(data, limits)
        case "epub":
            from app.files.epub import read_epub

            return read_epub(data, limits)
        case "html":
            from app.files.html import read_html

            return read_html(data, charset)
        case "eml":
            from app.files.eml import read_eml

            return read_eml(data)
        case "msg":
            from app.files.msg import read_msg

            return read_msg(data)
        case "captions":
            from app.files.captions import read_captions

            decoded = decode(data, charset)
            check_characters(len(decoded.text), limits)
            return read_captions(decoded.text, decoded.warnings)
        case "markdown":
            from app.files.markdown import read_markdown

            decoded = decode(data, charset)
            return read_markdown(decoded.text, decoded.warnings)
        case "table":
            from app.files.table import read_table

            decoded = decode(data, charset)
            return read_table(decoded.text, limits, decoded.warnings)
        case "text":
            from app.text.structure import structure_of

            decoded = decode(data, charset)
            check_characters(len(decoded.text), limits)  # before the structure is computed
            return Document(decoded.text, structure_of(decoded.text).blocks, warnings=decoded.warnings)
        case "pdf":
            raise ValueError("PDF is read by app.files.pdf in a process of its own.")

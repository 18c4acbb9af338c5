"""The child process: reads one PDF, or draws pages of it, under limits, and ends.

The frame around the reading is in app/files/child.py.
"""

from collections.abc import Sequence
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from app.errors import BrokenFile, EncryptedFile, FileTooLarge
from app.files import wire
from app.files.child import answer_one
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.pdf.blocks import document
from app.files.pdf.columns import page_placements
from app.files.pdf.drawing import draw_page
from app.files.pdf.glyphs import PageContent, page_content
from app.files.pdf.paragraphs import PageLines
from app.files.warnings import FileWarning

_UNMAPPED_SHARE = 0.05  # of the characters of a page; below it they are symbols and bullets


def _answer(header: dict[str, Any], data: bytes, limits: FileLimits) -> bytes:
    pdf = _opened(data, limits)
    if header["task"] == "draw":
        pictures = [draw_page(_page(pdf, index), header["width"], limits.max_pixels) for index in header["pages"]]
        return wire.encode({}, *pictures)
    return wire.document_message(_read(pdf, limits))


def _opened(data: bytes, limits: FileLimits) -> pdfium.PdfDocument:
    try:
        pdf = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise EncryptedFile("The PDF is encrypted and needs a password; save a copy without one.") from None
        raise BrokenFile("The file is not a PDF, or a PDF that is cut off or damaged.") from None
    if len(pdf) > limits.max_pages:
        raise FileTooLarge(f"The PDF has {len(pdf)} pages; at most {limits.max_pages} are allowed.")
    if not len(pdf):
        raise BrokenFile("The PDF has no pages.")
    return pdf


def _page(pdf: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    if not 0 <= index < len(pdf):
        raise BrokenFile(f"The PDF has no page {index + 1}; it has {len(pdf)}.")
    try:
        return _flattened(pdf, index)
    except pdfium.PdfiumError:
        raise BrokenFile(f"Page {index + 1} of the PDF is damaged.") from None


def _flattened(pdf: pdfium.PdfDocument, index: int) -> pdfium.PdfPage:
    """A page with what was filled into its form and written on it as part of its content."""
    page = pdf[index]
    if pdfium_c.FPDFPage_GetAnnotCount(page) < 1:
        return page
    done = pdfium_c.FPDFPage_Flatten(page, pdfium_c.FLAT_NORMALDISPLAY)
    if done != pdfium_c.FLATTEN_SUCCESS:
        return page
    page.close()
    return pdf[index]


def _read(pdf: pdfium.PdfDocument, limits: FileLimits) -> Document:
    pages: list[PageLines] = []
    damaged, unmapped, recognised = [], [], []
    left = limits.max_characters
    for index in range(len(pdf)):
        try:
            page = _flattened(pdf, index)
        except pdfium.PdfiumError:
            damaged.append(index + 1)
            pages.append(PageLines(0.0, 0.0, [], scanned=False))
            continue
        content = page_content(page, left)
        page.close()
        if content is None:
            raise FileTooLarge(f"The PDF has more than {limits.max_characters} characters, which is the limit.")
        left -= len(content.glyphs)
        if content.unmapped > _UNMAPPED_SHARE * len(content.glyphs):
            unmapped.append(index + 1)
        if any(glyph.recognised for glyph in content.glyphs):
            recognised.append(index + 1)
        pages.append(_lines(content))
    scanned = [number for number, lines in enumerate(pages, 1) if lines.scanned]
    warnings = [
        *_scan_warnings(scanned),
        *_damage_warnings(damaged),
        *_unmapped_warnings(unmapped),
        *_recognised_warnings(recognised),
    ]
    return document(pages, warnings)


def _lines(content: PageContent) -> PageLines:
    placements = page_placements(content)
    return PageLines(content.width, content.height, placements, scanned=content.pictures and not placements)


def _scan_warnings(pages: Sequence[int]) -> list[FileWarning]:
    if not pages:
        return []
    sentence = (
        f"{_pages_hold(pages)} no text, only pictures, as a scan does; {_they(pages)} not read. OCR makes text of them."
    )
    return [FileWarning("pages_without_text", sentence, pages)]


def _damage_warnings(pages: Sequence[int]) -> list[FileWarning]:
    if not pages:
        return []
    sentence = f"{_named(pages)} of the PDF {'is' if len(pages) == 1 else 'are'} damaged; {_they(pages)} not read."
    return [FileWarning("damaged_pages", sentence, pages)]


def _unmapped_warnings(pages: Sequence[int]) -> list[FileWarning]:
    if not pages:
        return []
    sentence = f"{_pages_hold(pages)} characters that their fonts do not name; they are U+FFFD in the text."
    return [FileWarning("unnamed_characters", sentence, pages)]


def _recognised_warnings(pages: Sequence[int]) -> list[FileWarning]:
    if not pages:
        return []
    sentence = f"{_pages_hold(pages)} text that a program recognised on a picture; some characters may be wrong."
    return [FileWarning("recognised_text", sentence, pages)]


def _pages_hold(pages: Sequence[int]) -> str:
    return f"{_named(pages)} {'holds' if len(pages) == 1 else 'hold'}"


def _they(pages: Sequence[int]) -> str:
    return "it was" if len(pages) == 1 else "they were"


def _named(pages: Sequence[int]) -> str:
    """Page 3; Pages 3 and 4; Pages 1-5, 8 and 10."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][-1] + 1:
            runs[-1].append(page)
        else:
            runs.append([page])
    names: list[str] = []
    for run in runs:
        names += [str(page) for page in run] if len(run) < 3 else [f"{run[0]}-{run[-1]}"]
    if len(pages) == 1:
        return f"Page {names[0]}"
    return f"Pages {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"Pages {names[0]}"


if __name__ == "__main__":
    answer_one(_answer)

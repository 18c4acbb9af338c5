"""Where the pages of Word files begin: at the breaks that Word has noted, and at those that the author set."""

import pytest

from app.files.document import Document
from app.files.docx import read_docx
from app.files.limits import FileLimits
from tests.app.files.packages import docx, paragraph

RENDERED = "<w:lastRenderedPageBreak/>"
WISHED = '<w:br w:type="page"/>'


def _read(body: str, **parts: str) -> Document:
    return read_docx(docx(body, **parts), FileLimits())


def _pages(document: Document) -> list[str]:
    return [document.text[page.start : page.end] for page in document.pages]


def test_pages_begin_where_word_began_them_also_in_a_paragraph() -> None:
    body = f"<w:p><w:r><w:t>一頁の文と、</w:t>{RENDERED}<w:t>二頁に続く文。</w:t></w:r></w:p>" + paragraph("二頁の文。")
    assert _pages(_read(body)) == ["一頁の文と、", "二頁に続く文。\n\n二頁の文。"]


def test_a_wished_break_and_the_page_that_word_began_there_are_one() -> None:
    body = (
        f"{paragraph('一頁。')}<w:p><w:r>{WISHED}</w:r></w:p><w:p><w:r>{RENDERED}<w:t>二頁。</w:t></w:r></w:p>"
        f"<w:p><w:pPr><w:pageBreakBefore/></w:pPr><w:r>{RENDERED}<w:t>三頁。</w:t></w:r></w:p>"
        f"<w:p><w:pPr><w:sectPr/></w:pPr><w:r><w:t>三頁の終わり。</w:t></w:r></w:p>{paragraph('四頁。')}<w:sectPr/>"
    )
    assert _pages(_read(body)) == ["一頁。", "二頁。", "三頁。\n\n三頁の終わり。", "四頁。"]


def test_a_section_that_goes_on_on_the_same_page_begins_none() -> None:
    body = (
        "<w:p><w:pPr><w:sectPr/></w:pPr><w:r><w:t>一段組。</w:t></w:r></w:p>"
        + paragraph("二段組。")
        + '<w:sectPr><w:type w:val="continuous"/></w:sectPr>'
    )
    assert _read(body).pages == ()


def test_a_row_over_two_pages_begins_one_page() -> None:
    cell = f"<w:tc><w:p><w:r><w:t>上</w:t>{RENDERED}<w:t>下</w:t></w:r></w:p></w:tc>"
    body = f"{paragraph('前。')}<w:tbl><w:tr>{cell}{cell}</w:tr></w:tbl>"
    assert _pages(_read(body)) == ["前。", "上下\t上下"]


def test_a_document_without_breaks_has_no_pages() -> None:
    assert _read(paragraph("短い文書。")).pages == ()


def test_wished_breaks_are_no_pages_when_the_program_counted_more_pages() -> None:
    body = paragraph("一。") + f"<w:p><w:r>{WISHED}<w:t>二。</w:t></w:r></w:p>"
    assert len(_read(body).pages) == 2
    assert len(_read(body, app="<Pages>2</Pages>").pages) == 2
    assert _read(body, app="<Pages>12</Pages>").pages == ()


@pytest.mark.parametrize("indent", ["　" * 14, "\t" * 5, ""])
def test_a_break_before_the_blanks_of_a_paragraph_begins_the_page_with_it(indent: str) -> None:
    signed = f"<w:p><w:r>{RENDERED}<w:t xml:space='preserve'>{indent}令和６年４月１日</w:t></w:r></w:p>"
    document = _read(paragraph("契約期間は三年とする。") + signed)
    assert [document.page_of(document.text.index(text)) for text in ("契約", "三年", "令和")] == [1, 1, 2]


def test_pages_before_an_indented_paragraph_stay_in_order() -> None:
    part = f"<w:p><w:r>{RENDERED}<w:t>第１部</w:t></w:r></w:p>"
    signed = f"<w:p><w:r>{RENDERED}<w:t xml:space='preserve'>{'　' * 14}令和６年４月１日</w:t></w:r></w:p>"
    document = _read(paragraph("序文の本文である。") + part + signed)
    assert [document.page_of(document.text.index(text)) for text in ("序文", "第１部", "令和")] == [1, 2, 3]

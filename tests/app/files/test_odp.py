"""Slides of OpenDocument, and in which order they are read. The fixture of LibreOffice is made by
`soffice --headless --convert-to odp --outdir tests/app/files/data tests/app/files/data/slides.fodp`, without thumbnail.
"""

from pathlib import Path

import pytest

from app.errors import FileTooLarge
from app.files import odp as reader
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.odp import read_odp
from app.files.pptx import read_pptx
from tests.app.files.packages import odf

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits()


def _frame(text: str, kind: str = "", at: tuple[str, str] | None = None) -> str:
    place = f'svg:x="{at[0]}" svg:y="{at[1]}" svg:width="5cm" svg:height="2cm"' if at else ""
    lines = "".join(f"<text:p>{line}</text:p>" for line in text.split("\n"))
    return f'<draw:frame presentation:class="{kind}" {place}><draw:text-box>{lines}</draw:text-box></draw:frame>'


def _read(*slides: str, styles: str = "", masters: str = "") -> Document:
    pages = "".join(
        f'<draw:page draw:style-name="s{number}" draw:master-page-name="M">{slide}</draw:page>'
        for number, slide in enumerate(slides, 1)
    )
    return read_odp(odf("presentation", pages, styles, masters), LIMITS)


def _blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_an_odp_of_libreoffice_is_read_as_the_pptx_of_the_same_slides() -> None:
    odp = read_odp((DATA / "slides.odp").read_bytes(), LIMITS)
    pptx = read_pptx((DATA / "slides.pptx").read_bytes(), LIMITS)

    assert [(kind, text.replace(". ", ".")) for kind, text in _blocks(pptx)] == _blocks(odp)  # of numbers in a list
    assert [page.number for page in odp.pages] == [page.number for page in pptx.pages] == [1, 2, 3]
    assert odp.warnings == pptx.warnings == ("Hidden slides were read as well: 3.",)


def test_frames_are_read_by_their_places_after_the_title_and_before_furniture() -> None:
    document = _read(
        _frame("三頁", "page-number", ("1cm", "0cm"))
        + _frame("右", at=("9cm", "5.1cm"))
        + f"<draw:g>{_frame('左', at=('10mm', '50mm'))}</draw:g>"
        + _frame("下の文\n二つ目の文", at=("1in", "4in"))
        + "<draw:custom-shape><text:p>場所のない形</text:p><draw:enhanced-geometry/></draw:custom-shape>"
        + _frame("題の\n二行目", "title", ("1cm", "15cm"))
        + _frame("項目", "outline", ("1cm", "16cm"))
    )
    assert _blocks(document) == [
        ("heading", "題の\n二行目"),
        ("paragraph", "左"),
        ("paragraph", "右"),
        ("paragraph", "下の文"),
        ("paragraph", "二つ目の文"),
        ("list-item", "項目"),
        ("paragraph", "場所のない形"),
        ("furniture", "三頁"),
    ]


def test_notes_and_comments_stand_at_the_end_of_their_slide() -> None:
    frames = _frame("話すこと", "notes") + _frame("2026年", "date-time")
    notes = f"<presentation:notes><draw:page-thumbnail/>{frames}</presentation:notes>"
    comment = "<office:annotation><text:p>要確認</text:p></office:annotation>"
    document = _read(f"{comment}{notes}{_frame('文。')}", _frame("次。"))

    assert _blocks(document) == [("paragraph", "文。"), ("note", "話すこと"), ("note", "要確認"), ("paragraph", "次。")]
    assert [page.number for page in document.pages] == [1, 2]


def test_slides_have_the_size_of_their_master() -> None:
    masters = (
        '<office:automatic-styles><style:page-layout style:name="L"><style:page-layout-properties '
        'fo:page-width="25.4cm" fo:page-height="5in"/></style:page-layout></office:automatic-styles>'
        "<office:master-styles>"
        '<style:master-page style:name="M" style:page-layout-name="L"/></office:master-styles>'
    )
    (page,) = _read(_frame("文。"), masters=masters).pages
    assert (round(page.width, 6), page.height) == (720, 360)


def test_a_presentation_of_too_many_slides_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_SLIDES", 2)
    with pytest.raises(FileTooLarge) as caught:
        _read("", "", "")
    assert str(caught.value) == "The presentation has 3 slides; at most 2 are read."

"""Books: chapters in reading order, what a chapter holds, and books that cannot be read."""

import re

import pytest

from app.errors import BrokenFile, EncryptedFile, UnsafeFile
from app.files.document import Document
from app.files.epub import read_epub
from app.files.limits import FileLimits
from tests.app.files.packages import epub, opf

LIMITS = FileLimits()
XHTML = 'media-type="application/xhtml+xml"'


def read(data: bytes) -> Document:
    return read_epub(data, LIMITS)


def blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def encryption(part: str) -> dict[str, str | bytes]:
    reference = f'<e:CipherReference xmlns:e="http://www.w3.org/2001/04/xmlenc#" URI="{part}"/>'
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    return {"META-INF/encryption.xml": f'<encryption xmlns="{container}">{reference}</encryption>'}


def test_a_book_is_read_chapter_by_chapter() -> None:
    document = read(
        epub("<h1>一　雪</h1><p>国境の長いトンネルを抜けた。</p>", "<h1>二　駅</h1><p>汽車が止まった。</p>")
    )

    assert document.text == "一　雪\n\n国境の長いトンネルを抜けた。\n\n二　駅\n\n汽車が止まった。"
    assert [block.kind for block in document.blocks] == ["heading", "paragraph", "heading", "paragraph"]
    assert document.heading_path(document.text.index("汽車")) == ("二　駅",)
    assert (document.pages, document.warnings) == ((), ())


def test_the_spine_decides_the_order_and_names_a_chapter_once() -> None:
    items = f'<item id="a" href="text/1.xhtml" {XHTML}/><item id="b" href="text/2.xhtml" {XHTML}/>'
    order = '<itemref idref="b"/><itemref idref="a" linear="no"/><itemref idref="b"/>'
    book = epub("<p>先。</p>", "<p>後。</p>", more={"book/package.opf": opf(items, order)})

    assert read(book).text == "後。\n\n先。"


def test_ruby_is_left_out_and_the_table_of_contents_is_furniture() -> None:
    document = read(epub("<nav><ol><li>第一章</li></ol></nav>", "<p><ruby>雪国<rt>ゆきぐに</rt></ruby>である。</p>"))

    assert blocks(document) == [("furniture", "第一章"), ("paragraph", "雪国である。")]


@pytest.mark.parametrize(
    "empty",
    [
        "<a id='top'/>",
        '<span title="a > b / c"/>',
        "<div />",
        "<script src='x.js'/>",
        "<svg><path d='M0 0/1'/></svg>",
        '<img src="a/b.png"/>',
        "<hr/>",
        "<a href=x/>",
    ],
)
def test_an_element_that_ends_in_its_own_tag_takes_nothing_from_the_text(empty: str) -> None:
    assert read(epub(f"<p>前。</p>{empty}<p>後。</p>")).text == "前。\n\n後。"


def test_links_are_resolved_from_the_folder_of_the_package_document() -> None:
    items = f'<item id="a" href="../%E7%AC%AC%20%E4%B8%80.xhtml#top" {XHTML}/>'
    more: dict[str, str | bytes] = {
        "book/package.opf": opf(items, '<itemref idref="a"/>'),
        "第 一.xhtml": "<html><p>文。</p></html>",
    }
    assert read(epub(more=more)).text == "文。"


def test_a_chapter_in_another_encoding_is_read_as_it_declares() -> None:
    chapter = '<?xml version="1.0" encoding="UTF-16"?><html><body><p>𠮷野家。</p></body></html>'.encode("utf-16")
    assert read(epub("", more={"book/text/1.xhtml": chapter})).text == "𠮷野家。"


def test_pictures_and_pages_of_svg_are_no_chapters() -> None:
    items = f'<item id="a" href="text/1.xhtml" {XHTML}/><item id="b" href="cover.svg" media-type="image/svg+xml"/>'
    book = epub("<p>文。</p>", more={"book/package.opf": opf(items, '<itemref idref="b"/><itemref idref="a"/>')})
    assert read(book).text == "文。"


def test_a_book_of_pictures_has_no_text() -> None:
    assert read(epub('<img src="1.jpg"/>')).blocks == ()


def test_chapters_that_the_file_does_not_hold_are_counted() -> None:
    items = "".join(f'<item id="{n}" href="text/{n}.xhtml" {XHTML}/>' for n in (1, 2, 3))
    order = "".join(f'<itemref idref="{n}"/>' for n in (1, 2, 3))
    document = read(epub("<p>文。</p>", more={"book/package.opf": opf(items, order)}))

    assert document.text == "文。"
    assert document.warnings == ("The book names 2 chapters that the file does not hold.",)


def test_a_book_that_is_protected_against_copying_is_said_to_be() -> None:
    with pytest.raises(EncryptedFile, match=re.escape("(DRM): book/text/1.xhtml is encrypted.")):
        read(epub("<p>文。</p>", more=encryption("book/text/1.xhtml")))


def test_a_book_with_encrypted_fonts_is_read() -> None:
    assert read(epub("<p>文。</p>", more=encryption("book/fonts/a.otf"))).text == "文。"


@pytest.mark.parametrize(
    ("part", "content", "error", "sentence"),
    [
        ("META-INF/container.xml", "<container/>", BrokenFile, "META-INF/container.xml names no package document"),
        ("META-INF/container.xml", "<container", BrokenFile, "META-INF/container.xml is not well-formed XML"),
        ("book/package.opf", opf("", ""), BrokenFile, "book/package.opf has no spine of XHTML"),
        ("book/package.opf", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", UnsafeFile, "document type or XML entities"),
        ("book/text/1.xhtml", "<div>" * 20_000, UnsafeFile, "more than 10,000 elements open"),
    ],
)
def test_a_book_that_cannot_be_read_is_refused_in_words(
    part: str, content: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        read(epub("<p>文。</p>", more={part: content}))


def test_a_package_document_that_is_missing_is_named() -> None:
    container = '<c xmlns="urn:x"><rootfile full-path="OEBPS/content.opf"/></c>'
    with pytest.raises(BrokenFile, match=re.escape("it has no part OEBPS/content.opf")):
        read(epub(more={"META-INF/container.xml": container}))


@pytest.mark.parametrize("attack", ["<a " * 100_000, "<a '\"" * 100_000, '<a "' * 100_000 + "'"])
def test_tags_that_never_end_take_no_more_time_than_their_length(attack: str) -> None:
    # With backtracking, any of these would take hours.
    with pytest.raises(UnsafeFile, match="more than 10,000 elements open"):
        read(epub(f"<p>文。</p>{attack}"))

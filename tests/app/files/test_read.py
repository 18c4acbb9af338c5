"""Files of every kind through the one entry, and what hostile files cost there."""

import asyncio
from pathlib import Path

import pytest

from app.errors import BrokenFile, FileError, FileTooLarge, UnsafeFile, UnsupportedFile
from app.files.document import Document
from app.files.extraction import Extractor, SentFile
from app.files.limits import FileLimits
from tests.app.files.messages import msg
from tests.app.files.packages import docx, pack, paragraph

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits()


def _read(data: bytes, name: str = "", charset: str | None = None, limits: FileLimits = LIMITS) -> Document:
    return asyncio.run(Extractor(limits, at_once=1).read(SentFile(name, data, charset=charset))).document


def _body(document: Document) -> str:
    """The characters without white space, without furniture and notes."""
    blocks = [block for block in document.blocks if block.kind not in ("furniture", "note")]
    return "".join("".join(document.text[block.start : block.end].split()) for block in blocks)


def test_the_same_text_as_docx_html_and_mail_comes_back_the_same() -> None:
    word = _read((DATA / "minutes.docx").read_bytes(), "renamed.bin")
    page = (DATA / "minutes.html").read_bytes()
    mail = _read(b"MIME-Version: 1.0\nSubject: x\nContent-Type: text/html; charset=utf-8\nDate: x\n\n" + page, "a.eml")
    html = _read(page, "renamed.txt")
    assert _body(mail) == "x" + _body(html)
    assert "採決の結果、第一案と第三案が賛成多数で可決された。" in _body(word)
    assert [block.omitted for block in word.blocks] == [()] * len(word.blocks)
    assert word.pages[1].number == 2


def test_old_workbooks_and_messages_are_read_through_the_same_entry() -> None:
    workbook = _read((DATA / "workbook.xls").read_bytes(), "renamed.bin")
    assert _body(workbook) == _body(_read((DATA / "workbook.xlsx").read_bytes(), "renamed.bin"))
    message = _read(msg({0x0037: "会議のお知らせ", 0x1000: ("cp932", "会議は三時からです。")}), "renamed.bin")
    assert message.text == "会議のお知らせ\n\n会議は三時からです。"
    with pytest.raises(BrokenFile):
        _read((DATA / "workbook.xls").read_bytes()[:6000], "a.xls")


def test_a_text_keeps_its_characters_and_gets_its_structure() -> None:
    text = "第１章　総則\r\n\r\n　この規則は、図書室の使い方を定める。\r\n"
    document = _read(text.encode("cp932"), "a.txt", "Shift_JIS")
    assert document.text == text
    assert [block.kind for block in document.blocks] == ["heading", "paragraph"]
    assert document.warnings == ()


def test_the_stated_charset_reaches_the_child() -> None:
    data = "<p>안녕하세요</p>".encode("cp949")
    assert _read(data, "a.html", "EUC-KR").text == "안녕하세요"


def test_quotes_in_a_mail_keep_their_marks_out_of_the_reading_through_the_child() -> None:
    mail = "MIME-Version: 1.0\nMessage-ID: x\nFrom: y\nContent-Type: text/plain; charset=utf-8\n\n> 三時からです。\n"
    assert _read(mail.encode()).blocks[-1].omitted == ((9, 11),)


def test_a_file_without_text_says_so() -> None:
    assert _read(b"\n\n", "a.txt").warnings == ("The file holds no text.",)


def test_a_text_longer_than_allowed_is_refused() -> None:
    limits = FileLimits(max_characters=10)
    for data, name in (
        ("長い文章。" * 3, "a.txt"),
        ("長い,文章。" * 3, "a.csv"),
        ("<p>長い文章です。それでも。", "a.html"),
    ):
        with pytest.raises(FileTooLarge, match=r"characters of text(; 10 are allowed|, which is the limit)"):
            _read(data.encode(), name, limits=limits)


def test_a_file_larger_than_allowed_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(FileTooLarge, match="The file has 1,001 bytes; 1,000 are allowed"):
        _read(b"x" * 1_001, limits=FileLimits(max_file_bytes=1_000))


def test_html_that_unfolds_to_gigabytes_costs_the_memory_allowed() -> None:
    fonts = "".join(f"<font color={number}>" for number in range(3_000))
    html = f"<!doctype html><p>{fonts}</p>" + "<p>x</p>" * 3_000
    with pytest.raises(FileTooLarge, match=r"memory (than is|that are) allowed"):
        _read(html.encode(), limits=FileLimits(max_memory_bytes=500_000_000))


def test_html_that_takes_too_long_is_ended() -> None:
    html = "<!doctype html>" + "<div>" * 9_000 + "<p>x" * 1_000_000
    with pytest.raises(FileTooLarge, match=r"not read within 0\.5 seconds"):
        _read(html.encode(), limits=FileLimits(max_seconds=0.5))


@pytest.mark.parametrize(
    ("data", "error", "error_type"),
    [
        (docx("<w:tbl>" * 100_000 + "</w:tbl>" * 100_000), UnsafeFile, "unsafe_file"),
        (pack({"word/document.xml": b"<a>" + b" " * 90_000_000 + b"</a>"}), UnsafeFile, "unsafe_file"),
        (docx(paragraph("文"))[:-60], BrokenFile, "broken_file"),
        (b"<!doctype html>" + b"<div>" * 1_000_000, UnsafeFile, "unsafe_file"),
        (b"PK\x03\x04 and nothing more", BrokenFile, "broken_file"),
        (b"\x89PNG\r\n\x1a\n\0", UnsupportedFile, "unsupported_file"),
        (b"\0" * 1_000, UnsupportedFile, "not_text"),
        (b"", FileError, "unreadable_file"),
    ],
    ids=["deep", "bomb", "cut off", "nested tags", "hardly a zip", "picture", "binary", "empty"],
)  # fmt: skip
def test_bad_files_have_a_stable_type(data: bytes, error: type[FileError], error_type: str) -> None:
    with pytest.raises(error) as caught:
        _read(data, "a.docx")
    assert caught.value.error_type == error_type

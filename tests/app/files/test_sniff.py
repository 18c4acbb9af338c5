"""Kinds of files, independent of their names, and the sentence for each kind that is not read."""

import io
import zipfile
from pathlib import Path

import pytest

from app.errors import BrokenFile, EncryptedFile, FileError, FileTooLarge, UnsupportedFile
from app.files.limits import FileLimits
from app.files.sniff import kind_of
from tests.app.files.biff_records import xls
from tests.app.files.compound_files import compound
from tests.app.files.messages import msg
from tests.app.files.packages import docx, epub, odf, pack, paragraph, pptx, shape

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits()

DOCX, PPTX = docx(paragraph("文。")), pptx(shape("文。"))
MAIL = b"Received: from a\r\n by b\r\nFrom: y@example.jp\r\nSubject: x\r\n\r\nbody\r\n"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500


@pytest.mark.parametrize(
    ("name", "content_type", "data", "kind"),
    [
        ("a.txt", "text/plain", b"%PDF-1.7\n...", "pdf"),
        (None, None, b"\r\n\r\nHTTP junk\n%PDF-1.4\n" + b"x" * 5000 + b"startxref\n0\n%%EOF", "pdf"),
        ("a.txt", None, "PDF は %PDF-1.7 で始まる。".encode(), "text"),
        ("a.doc", "application/msword", DOCX, "docx"),
        ("a.zip", "application/zip", PPTX, "pptx"),
        ("a.zip", "application/zip", epub("<p>文。</p>"), "epub"),
        ("a.odt", None, odf("text", ""), "odt"),
        ("a.zip", None, odf("presentation", ""), "odp"),
        (None, None, odf("spreadsheet", ""), "ods"),
        ("a.ott", None, pack({"mimetype": "application/vnd.oasis.opendocument.text-template\n"}), "odt"),
        ("a.epub", None, pack({"META-INF/container.xml": ""}), "epub"),
        ("a.txt", None, b"<!DOCTYPE html><p>x", "html"),
        ("a.txt", None, b"\xef\xbb\xbfWEBVTT - x\n\n", "captions"),
        ("a.srt", None, b"1\r\n00:00:01,000 --> 00:00:02,000\r\nx", "captions"),
        ("a.vtt", None, b"WEBVTTX is a word", "text"),
        ("a.txt", None, b"1\n00:00 --> 00:01", "text"),
        ("a.md", None, b"\xef\xbb\xbf<!-- saved --> \n<html><p>x", "html"),
        ("a", None, '<?xml version="1.0"?><!DOCTYPE html><html>'.encode("utf-16"), "html"),
        ("a", None, b"<h1>x</h1><p>y</p>", "html"),
        ("a.html", None, b"just <b>bold</b>", "html"),
        ("a.html", None, b"no tags < at all", "text"),
        ("a", "text/html; charset=utf-8", b"x<br>y", "html"),
        ("a.md", None, b"<b>bold</b> <i>words</i>", "markdown"),
        ("a.txt", None, b"a < b and <c> or <d>", "text"),
        ("README.MD", "text/plain", b"# x", "markdown"),
        ("a.txt", "text/markdown", b"# x", "markdown"),
        ("a.txt", "text/plain", b"# x", "text"),
        ("C:\\data\\a.csv", None, b"a,b", "table"),
        ("a", "text/tab-separated-values", b"a\tb", "table"),
        ("a.txt", None, b"a,b\nc,d", "text"),
        ("a.txt", None, MAIL, "eml"),
        ("a.eml", None, b"Subject: x\n\nbody", "eml"),
        ("a.mht", None, b"MIME-Version: 1.0\nContent-Type: multipart/related\nDate: x\n\n", "eml"),
        ("a.txt", None, b"From: y\nTo: z\nSubject: x\n\nbody", "text"),
        ("a.eml", None, "これはメールではない。".encode(), "text"),
        ("a.pdf", "application/pdf", "ただの文章。".encode(), "text"),
        ("a.docx", None, "ただの文章。".encode("cp932"), "text"),
        ("a.png", "image/png", b"BM is a text, and so is MZ", "text"),
    ],
)  # fmt: skip
def test_the_bytes_decide(name: str | None, content_type: str | None, data: bytes, kind: str) -> None:
    assert kind_of(data, name, content_type, LIMITS) == kind


@pytest.mark.parametrize("padding", range(0, 200, 7))
def test_a_mail_whose_headers_are_longer_than_what_is_looked_at_is_mail(padding: int) -> None:
    headers = b"From: a@example.jp\r\nTo: b@example.jp\r\nDate: x\r\nMessage-ID: <1@example.jp>\r\nSubject: x\r\n"
    long = b"".join(b"X-MS-Exchange-Header-Number-%d: %s\r\n" % (n, b"v" * 60) for n in range(300))
    data = headers + b"X-Padding: " + b"p" * padding + b"\r\n" + long + b"\r\ntext\r\n"
    assert kind_of(data, "a.eml", "message/rfc822", FileLimits()) == "eml"


@pytest.mark.parametrize("name", ["minutes.docx", "slides.pptx", "minutes.html"])
def test_files_of_real_programs_are_known(name: str) -> None:
    assert kind_of((DATA / name).read_bytes(), "unnamed", None, LIMITS) == name.rpartition(".")[2]


def _zip(*names: str) -> bytes:
    return pack(dict.fromkeys(names, "<a/>"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{\\rtf1\\ansi", "an RTF document; save it as DOCX"),
        (b"\xef\xbb\xbf{\\rtf1\\ansi", "an RTF document; save it as DOCX"),
        (b"\r\n {\\rtf1\\ansi", "an RTF document; save it as DOCX"),
        (b"\n%!PS-Adobe-3.0", "a PostScript file; save it as PDF"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture"),
        (b"GIF89a\1\0\1\0", "a GIF picture"),
        (b"BM\x36\x10\0\0\0\0\0\0\x36", "a BMP picture"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP picture"),
        (b"\0\0\0\x18ftypheic\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0", "a video or sound file"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "a sound file"),
        (b"ID3\x03\0\0\0", "an MP3 sound file"),
        (b"OggS\0\2", "an Ogg sound file"),
        (b"\x1f\x8b\x08\0", "a file packed with gzip"),
        (b"%\x0c-lh5-\0\0\1", "an LZH archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"MZ\x90\0\3", "a program for Windows"),
        (_zip("xl/workbook.bin"), "an Excel workbook of a binary kind (XLSB); save it as XLSX"),
        (_zip("mimetype", "content.xml"), "an OpenDocument file other than a text, slides or sheets; save it as PDF"),
        (_zip("Index/Document.iwa"), "a document of Pages, Numbers or Keynote; export it as DOCX"),
        (_zip("a.txt"), "a zip archive; send the files in it"),
        (b"PK\x05\x06" + b"\0" * 18, "a zip archive"),
        (OLE + "WordDocument".encode("utf-16-le"), "a Word document of the old binary kind (DOC); save it as DOCX"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "a PowerPoint presentation of the old binary kind (PPT)"),
        (compound({"Quill/QuillSub/CONTENTS": b"x"}), "an office document of an old binary kind"),
        (compound({"WordDocument": b"x", "ObjectPool/_1/Workbook": b"x"}), "a Word document of the old binary kind"),
        (b'<?xml version="1.0"?><svg/>', "XML of a kind that is not read"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_kind_that_is_not_read_is_named_with_the_kinds_that_are(data: bytes, what: str) -> None:
    with pytest.raises(UnsupportedFile) as caught:
        kind_of(data, "a.docx", None, LIMITS)
    assert str(caught.value).startswith(f"The file is {what}")
    assert str(caught.value).endswith(
        "Accepted are PDF, DOCX, PPTX, XLSX, XLS, ODT, ODP, ODS, EPUB, HTML, Markdown, EML, MSG, VTT, SRT, CSV, TSV "
        "and plain text."
    )


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (xls(), "xls"),
        (xls(version=5), "xls"),
        (compound({"MBD0001/WordDocument": b"x", "Workbook": "EncryptedPackage".encode("utf-16-le")}), "xls"),
        (
            compound({"Workbook": b"x" * 9_000_000}),
            "xls",
        ),  # its table of sectors is larger than the header has room for
        (OLE + "Workbook".encode("utf-16-le"), "xls"),
        (msg({0x0037: "Workbook"}, attached=[{0x3707: "Workbook"}]), "msg"),
        (OLE + "__properties_version1.0".encode("utf-16-le"), "msg"),
    ],
)
def test_compound_files_are_known_by_what_their_root_holds(data: bytes, kind: str) -> None:
    assert kind_of(data, "a.docx", None, LIMITS) == kind


@pytest.mark.parametrize("data", [OLE, OLE[:8], xls()[:520]])
def test_a_compound_file_without_its_root_is_broken(data: bytes) -> None:
    with pytest.raises(BrokenFile, match="an old office document or a message, and it is damaged or cut off"):
        kind_of(data, "a.xls", None, LIMITS)


def test_an_office_file_with_a_password_is_said_to_have_one() -> None:
    with pytest.raises(EncryptedFile, match="protected with a password"):
        kind_of(OLE + "EncryptedPackage".encode("utf-16-le"), "a.docx", None, LIMITS)


def test_a_docx_that_is_cut_off_is_broken_and_not_text() -> None:
    with pytest.raises(BrokenFile, match="damaged or cut off"):
        kind_of(DOCX[:-30], "a.docx", None, LIMITS)


def test_a_docx_whose_main_part_has_another_name_is_known() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(DOCX)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            data = old.read(name).replace(b"word/document.xml", b"word/document2.xml")
            new.writestr(name.replace("document.xml", "document2.xml"), data)
    assert kind_of(buffer.getvalue(), None, None, LIMITS) == "docx"


def test_the_size_is_checked_first() -> None:
    with pytest.raises(FileTooLarge, match="The file has 11 bytes; 10 are allowed"):
        kind_of(b"x" * 11, None, None, FileLimits(max_file_bytes=10))
    with pytest.raises(FileError, match="The file is empty"):
        kind_of(b"", "a.pdf", None, LIMITS)

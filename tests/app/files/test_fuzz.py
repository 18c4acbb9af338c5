"""Mutated files of every kind but PDF: each gives a Document or a sentence, and nothing else.

A hundred of each kind in `make test`, two thousand in `make test-slow`. The readers run in this process, where a
crash or a hang would be seen; the child processes around them have tests of their own.
"""

import io
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import FileError
from app.files.document import Document
from app.files.formats import read_as
from app.files.limits import FileLimits
from app.files.sniff import kind_of
from tests.app.files.messages import Value, msg
from tests.app.files.packages import epub, pack
from tests.hostile import HOSTILE_TEXTS

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits(max_file_bytes=5_000_000, max_unpacked_bytes=5_000_000, max_characters=500_000)

_TOKENS = [text.encode("utf-8", "replace") for text in HOSTILE_TEXTS.values() if len(text) < 400] + [
    b"\0", b"\xff\xfe", b"\x1b$B", b"\x1b(B", b"PK\x03\x04", b"PK\x01\x02", b"%PDF-1.7\n", b"{\\rtf1",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&#x0;&#xD800;&#1114112;&a;", b"<![CDATA[", b"]]>", b"<!--", b"-->",
    b"<table>", b"</table>", b"<tr><td rowspan=9>", b"</p>", b"<script>", b"<ruby><rt>", b"<w:p>", b"</w:p>",
    b'<c r="XFD1048576" t="s"><v>1</v></c>', b"<f>1</f>", b'formatCode="[h]0.0E+0;@"', b'<w:br w:type="page"/>',
    b"<w:tbl>", b'<w:gridSpan w:val="999999"/>', b"<mc:AlternateContent>", b'w:val="-1"',
    b'r:id="rId1"', b'x="99999999999999999999"', b"../../../", b"\r\n\r\n", b"\r\n--B\r\n",
    b"Content-Type: multipart/mixed; boundary=B\r\n", b"Content-Transfer-Encoding: base64\r\n", b"charset=utf-16",
    b"=?utf-8?B?!!?=", b"**", b"`" * 7, b"| a |\n|---|\n", b"[^1]: ", b"> " * 50, b"- " * 50, b'"', b"\t", b",",
    b"\n" * 20,
]  # fmt: skip

_MAIL = (
    "Received: from a by b\r\nFrom: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y@example.jp>\r\nSubject: 会議\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n"
    "Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\n鈴木様\r\n\r\n会議は三時から \r\n"
    "です。\r\n> 何時ですか。\r\n"
    "--B\r\nContent-Type: text/html; charset=Shift_JIS\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "PHA+g2WDWINng0s8L3A+\r\n"
    "--B\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\nx\r\n--B--\r\n"
).encode()
_MESSAGE: dict[int, Value] = {
    0x0037: "会議", 0x0042: "山田", 0x5D02: "y@example.jp", 0x3FFD: 932, 0x1000: ("cp932", "会議は三時からです。" * 20)
}  # fmt: skip
_MARKDOWN = (
    "---\ntitle: 題\n---\n# 見出し\n\n段落の**強調**と`code`と[案内](http://x)。\n\n1. 一\n   - 子\n\n> 引用\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n```\nx\n```\n\n<div><p>生</p></div>\n\n本文[^1]。\n\n[^1]: 注釈です。\n"
).encode()
_CAPTIONS = (
    "WEBVTT\n\nNOTE x\n\n1\n00:00:01.000 --> 00:00:04.000 align:start\n<v 田中><c.a>始めます。</c>\n二行目\n\n"
    "00:04.000 --> 00:05.000\n佐藤: <ruby>雪<rt>ゆき</rt></ruby>です&amp;\n"
).encode()
_TABLE = '品名,単価,備考\r\nりんご,120,"青,\r\n赤"\r\nみかん,80,\r\n'.encode("cp932")
_TEXT = (DATA / "library.txt").read_bytes()

FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "docx": ("a.docx", (DATA / "minutes.docx").read_bytes),
    "pptx": ("a.pptx", (DATA / "slides.pptx").read_bytes),
    "xlsx": ("a.xlsx", (DATA / "workbook.xlsx").read_bytes),
    "xls": ("a.xls", (DATA / "workbook.xls").read_bytes),
    "odt": ("a.odt", (DATA / "minutes.odt").read_bytes),
    "odp": ("a.odp", (DATA / "slides.odp").read_bytes),
    "ods": ("a.ods", (DATA / "workbook.ods").read_bytes),
    "epub": ("a.epub", lambda: epub("<h1>一</h1><p><ruby>雪<rt>ゆき</rt></ruby>国。<br/></p>", "<p>二。</p>")),
    "captions": ("a.vtt", lambda: _CAPTIONS),
    "html": ("a.html", (DATA / "minutes.html").read_bytes),
    "eml": ("a.eml", lambda: _MAIL),
    "msg": ("a.msg", lambda: msg(_MESSAGE, attached=[{0x3707: "a.pdf"}, {0x3701: dict(_MESSAGE)}])),
    "markdown": ("a.md", lambda: _MARKDOWN),
    "table": ("a.csv", lambda: _TABLE),
    "text": ("a.txt", lambda: _TEXT),
}


def _mutated(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to eight changes: bits, cuts, repeated parts, and what only attacks hold."""
    changed = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        at = draw.randrange(len(changed) + 1)
        match draw.randrange(6):
            case 0 if at < len(changed):
                changed[at] ^= 1 << draw.randrange(8)
            case 1:
                changed[at:at] = draw.choice(_TOKENS)
            case 2:
                del changed[at : at + draw.randint(1, 60)]
            case 3:
                changed[at:at] = changed[at : at + draw.randint(1, 400)] * draw.randint(1, 30)
            case 4:
                changed[at : at + 8] = draw.randbytes(8)
            case 5 if draw.random() < 0.3:
                del changed[at:]
    return bytes(changed)


def _mutated_package(data: bytes, draw: random.Random) -> bytes:
    """Half of the packages are changed as bytes, which checksums mostly find; half inside their parts."""
    if draw.random() < 0.5:
        return _mutated(data, draw)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    for name in draw.sample(sorted(parts), draw.randint(1, 4)):
        content = parts.pop(name)
        assert isinstance(content, bytes)
        if draw.random() < 0.9:
            parts[name] = _mutated(content, draw)
    return pack(parts)


def _read_mutated(kind: str, seed: int) -> None:
    draw = random.Random(f"{kind}-{seed}")
    name, original = FILES[kind]
    data = (_mutated_package if kind in ("docx", "pptx", "odt", "odp", "ods") else _mutated)(original(), draw)
    try:
        found = kind_of(data, draw.choice((name, None, "a.txt")), None, LIMITS)
        if found == "pdf":
            return
        charset = draw.choice((None, "utf-8", "shift_jis", "iso-8859-1", "utf-16", "utf-7", "x"))
        document = read_as(found, data, charset, LIMITS)
    except FileError as error:
        sentence = str(error)
    else:
        assert isinstance(document, Document)
        document.text.encode("utf-8")  # no lone surrogates, which no answer could hold
        return
    assert sentence.endswith(".")


@pytest.mark.parametrize("kind", FILES)
def test_a_hundred_mutated_files_give_a_document_or_a_sentence(kind: str) -> None:
    for seed in range(100):
        _read_mutated(kind, seed)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", FILES)
def test_two_thousand_mutated_files_give_a_document_or_a_sentence(kind: str) -> None:
    for seed in range(2_000):
        _read_mutated(kind, seed)


def test_the_files_that_are_mutated_are_read_whole() -> None:
    for kind, (name, original) in FILES.items():
        assert kind_of(original(), name, None, LIMITS) == kind
        assert read_as(kind_of(original(), name, None, LIMITS), original(), None, LIMITS).text

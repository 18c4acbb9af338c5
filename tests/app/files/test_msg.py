"""Messages of Outlook: texts of sixteen and of eight bits, HTML, packed RTF, what is attached, and damage."""

import random
import struct

import pytest

from app.errors import BrokenFile, FileError, UnsafeFile, UnsupportedFile
from app.files.document import Document
from app.files.eml import read_eml
from app.files.msg import read_msg
from tests.app.files.compound_files import compound
from tests.app.files.messages import Value, msg
from tests.hostile import HOSTILE_TEXTS

SUBJECT, BODY, HTML, RTF, FROM, FROM_ADDRESS = 0x0037, 0x1000, 0x1013, 0x1009, 0x0042, 0x5D02
SENT, HEADERS, CODE_PAGE, BODY_CODE_PAGE = 0x0039, 0x007D, 0x3FFD, 0x3FDE
LETTER = "鈴木様\r\n\r\nいつもお世話になっております。会議は三時からです。\r\n"
# 1 April 2025, 01:00 UTC, in steps of 100 ns from 1601 on.
APRIL = 133_879_428_000_000_000

MESSAGE: dict[int, Value] = {SUBJECT: "会議のお知らせ", FROM: "山田", FROM_ADDRESS: "y@example.jp", BODY: LETTER}


def _blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_a_message_is_laid_out_like_a_mail() -> None:
    recipients: list[dict[int, Value]] = [
        {0x0C15: 1, 0x3001: "鈴木", 0x39FE: "suzuki@example.jp", 0x3003: "/O=EXCHANGE/CN=SUZUKI"},
        {0x0C15: 1, 0x3001: "tanaka@example.jp", 0x3003: "tanaka@example.jp"},
        {0x0C15: 2, 0x3001: "総務課", 0x3003: "/O=EXCHANGE/CN=SOMU"},
        {0x0C15: 3, 0x3001: "秘密", 0x3003: "b@example.jp"},
    ]
    mail = MESSAGE | {BODY: LETTER + "> 何時からですか。\r\n"}
    document = read_msg(msg(mail, recipients=recipients, times={SENT: APRIL}))
    assert _blocks(document) == [
        ("heading", "会議のお知らせ"),
        ("furniture", "From: 山田 <y@example.jp>"),
        ("furniture", "To: 鈴木 <suzuki@example.jp>, tanaka@example.jp"),
        ("furniture", "Cc: 総務課"),
        ("furniture", "Date: Tue, 01 Apr 2025 01:00:00 +0000"),
        ("note", "鈴木様"),
        ("paragraph", "いつもお世話になっております。会議は三時からです。"),
        ("note", "> 何時からですか。"),
    ]
    assert document.warnings == ()


def test_a_message_and_the_same_mail_as_eml_are_one_document() -> None:
    eml = (
        "Subject: 会議のお知らせ\r\nFrom: 山田 <y@example.jp>\r\nDate: Tue, 01 Apr 2025 01:00:00 +0000\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{LETTER}"
    )
    old, new = read_msg(msg(MESSAGE, times={SENT: APRIL})), read_eml(eml.encode())
    assert (old.text, old.blocks, old.warnings) == (new.text, new.blocks, new.warnings)


def test_the_time_is_that_of_the_sender_where_the_headers_came_with_the_mail() -> None:
    headers = "Received: by mx.example.jp; Tue, 1 Apr 2025 01:00:05 +0000\r\ndate: Tue, 1 Apr 2025 10:00:00 +0900\r\n"
    document = read_msg(msg({BODY: "会議は三時からです。", HEADERS: headers}, times={SENT: APRIL}))
    assert document.text == "Date: Tue, 1 Apr 2025 10:00:00 +0900\n\n会議は三時からです。"


def test_recipients_that_are_not_listed_are_those_that_outlook_shows() -> None:
    document = read_msg(msg({SUBJECT: "件名", 0x0E04: "鈴木; 田中", 0x0E03: "総務課", BODY: "本文。"}))
    assert _blocks(document)[1:3] == [("furniture", "To: 鈴木; 田中"), ("furniture", "Cc: 総務課")]


@pytest.mark.parametrize(
    ("encoding", "pages"),
    [
        ("cp932", {}),
        ("cp932", {CODE_PAGE: 932}),
        ("cp932", {BODY_CODE_PAGE: 932}),
        ("cp932", {BODY_CODE_PAGE: 50220}),  # of the mail as it was sent
        ("cp932", {CODE_PAGE: 1252}),
        ("iso2022_jp", {BODY_CODE_PAGE: 50220}),
        ("euc_jp", {BODY_CODE_PAGE: 51932}),
        ("utf-8", {BODY_CODE_PAGE: 65001}),
        ("cp932", {CODE_PAGE: 4_000_000_000}),
    ],
)
def test_texts_of_eight_bits_are_decoded(encoding: str, pages: dict[int, Value]) -> None:
    mail: dict[int, Value] = {SUBJECT: (encoding, "会議の件について"), BODY: (encoding, LETTER)}
    assert read_msg(msg(mail | pages)).text == read_msg(msg({SUBJECT: "会議の件について", BODY: LETTER})).text


@pytest.mark.parametrize("text", ["①㈱髙㍻", "ｶﾞｷﾞｸﾞ", "件"])
def test_short_texts_of_eight_bits_are_those_of_japanese_windows(text: str) -> None:
    assert _blocks(read_msg(msg({SUBJECT: ("cp932", text), CODE_PAGE: 932}))) == [("heading", text)]


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_a_body_keeps_every_text(name: str) -> None:
    text = HOSTILE_TEXTS[name]
    found = read_msg(msg({BODY: f"前文。\n\n{text}\n\n後文。"})).text
    assert "".join(found.split()) == "".join(f"前文。{text}後文。".split())


def test_html_is_read_where_there_is_no_plain_text() -> None:
    page = "<html><body><h1>𠮷野様</h1><p>か\u3099くの件です。</p></body></html>"
    packed: dict[int, Value] = {SUBJECT: "件名", HTML: page.encode(), BODY_CODE_PAGE: 65001}
    as_text: dict[int, Value] = {SUBJECT: "件名", HTML: page, BODY: " \r\n"}
    for mail in (packed, as_text):
        assert _blocks(read_msg(msg(mail))) == [
            ("heading", "件名"), ("heading", "𠮷野様"), ("paragraph", "か\u3099くの件です。")
        ]  # fmt: skip


def test_html_is_decoded_by_the_code_page_of_the_body() -> None:
    page = "<p>会議は三時からです。資料をお持ちください。</p>".encode("cp932")
    assert read_msg(msg({HTML: page, BODY_CODE_PAGE: 932})).text == "会議は三時からです。資料をお持ちください。"


def test_a_text_that_is_only_packed_rtf_is_refused_in_words() -> None:
    with pytest.raises(UnsupportedFile, match=r"packed RTF, which is not read\. Save the message as EML, or change"):
        read_msg(msg({SUBJECT: "件名", RTF: b"LZFu" * 30}))
    assert read_msg(msg({SUBJECT: "件名", BODY: "", RTF: b"LZFu" * 30})).text == "件名"


def test_attached_files_are_named() -> None:
    attached: list[dict[int, Value]] = [
        {0x3707: "見積書（改訂）.pdf", 0x3704: "MITSUM~1.PDF", 0x3701: b"%PDF"},
        {0x3704: ("cp932", "図面①.dwg")},
        {0x370E: "application/pkcs7-mime"},  # a mail that is encrypted
        {},
    ]
    document = read_msg(msg(MESSAGE | {CODE_PAGE: 932}, attached=attached))
    assert document.warnings == (
        "Attached files were not read: 見積書（改訂）.pdf, 図面①.dwg, one without a name (application/pkcs7-mime), "
        "one without a name (application/octet-stream).",
    )


def test_messages_inside_a_message_are_read() -> None:
    inside: dict[int, Value] = {0x3701: {SUBJECT: "Re: 資料", BODY: "資料を送ります。"}}
    unreadable: dict[int, Value] = {0x3701: {SUBJECT: "装飾", RTF: b"LZFu" * 30}}
    document = read_msg(msg(MESSAGE, attached=[inside, unreadable]))
    assert _blocks(document)[-3:] == [
        ("heading", "Re: 資料"), ("paragraph", "資料を送ります。"), ("heading", "装飾")
    ]  # fmt: skip
    assert [warning.warning_type for warning in document.warnings] == ["mail_part"]


@pytest.mark.parametrize("time", [0, 1 << 63, (1 << 64) - 1, 2_650_467_744_000_000_000])
def test_a_time_that_is_none_is_left_out(time: int) -> None:
    assert read_msg(msg({SUBJECT: "件名"}, times={SENT: time})).text == "件名"


def test_a_message_with_too_many_parts_is_refused() -> None:
    with pytest.raises(UnsafeFile, match="more than 300 parts"):
        read_msg(msg(MESSAGE, attached=[{0x3707: "a.txt"}] * 300))
    with pytest.raises(UnsafeFile, match="more than 300 parts"):
        read_msg(msg(MESSAGE, recipients=[{0x3001: "a"}] * 301))


@pytest.mark.parametrize("data", [b"", compound({"Workbook": b"x"}), msg(MESSAGE)[:700]])
def test_damage_is_named(data: bytes) -> None:
    with pytest.raises(BrokenFile, match=r"^The file is (damaged|incomplete)"):
        read_msg(data)


def test_a_table_of_properties_may_end_anywhere() -> None:
    table = b"\0" * 32 + struct.pack("<HHIQ", 3, CODE_PAGE, 6, 932)
    for length in range(len(table)):
        data = compound({"__properties_version1.0": table[:length], "__substg1.0_0037001F": "件名".encode("utf-16-le")})
        assert read_msg(data).text == "件名"


def _readable(data: bytes) -> bool:
    try:
        document = read_msg(data)
    except FileError:
        return False
    document.text.encode()  # no lone surrogates, which no answer could hold
    return True


def test_a_message_that_is_cut_off_anywhere_gives_a_document_or_a_sentence() -> None:
    data = msg(MESSAGE | {HTML: b"<p>x" * 2000}, attached=[{0x3707: "a.pdf", 0x3701: b"x" * 9000}])
    assert _readable(data)
    assert not any(_readable(data[:length]) for length in range(0, len(data), 512))


def test_flipped_bytes_give_a_document_or_a_sentence() -> None:
    data = msg(MESSAGE | {CODE_PAGE: 932}, recipients=[{0x0C15: 1, 0x3001: "鈴木"}], attached=[{0x3701: dict(MESSAGE)}])
    draw = random.Random(7)
    for _ in range(400):
        flipped = bytearray(data)
        for _ in range(draw.randint(1, 5)):
            flipped[draw.randrange(len(flipped))] ^= 1 << draw.randrange(8)
        _readable(bytes(flipped))

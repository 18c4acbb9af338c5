"""Mail as Japanese mailers send it: charsets that lie, parts inside parts, quotes, attachments."""

import base64

import pytest

from app.errors import UnsafeFile
from app.files.document import Document
from app.files.eml import header_text, read_eml, unflowed


def _blocks(data: bytes) -> list[tuple[str, str]]:
    document = read_eml(data)
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def _mail(body: bytes, content_type: str = "text/plain; charset=utf-8", *more: str) -> bytes:
    return "\r\n".join(["MIME-Version: 1.0", f"Content-Type: {content_type}", *more, "", ""]).encode() + body


def _parts(kind: str, *parts: bytes) -> bytes:
    """A multipart mail; every part has its own headers."""
    body = b"".join(b"--=B\r\n" + part + b"\r\n" for part in parts) + b"--=B--\r\n"
    return _mail(body, f'multipart/{kind}; boundary="=B"')


def test_the_subject_is_a_heading_and_the_addresses_are_furniture() -> None:
    data = (
        b"From: =?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y@example.jp>\r\nTo: suzuki@example.jp\r\nX-Mailer: x\r\n"
        b"Subject: =?UTF-8?B?5Lya6K2w44Gu?=\r\n =?UTF-8?B?44GK55+l44KJ44Gb?=\r\n"
        b"Date: Tue, 1 Apr 2025 10:00:00 +0900\r\n"
    ) + _mail("四月の会議は第二会議室で行います。".encode())
    assert _blocks(data) == [
        ("heading", "会議のお知らせ"),
        ("furniture", "From: 山田 <y@example.jp>"),
        ("furniture", "To: suzuki@example.jp"),
        ("furniture", "Date: Tue, 1 Apr 2025 10:00:00 +0900"),
        ("paragraph", "四月の会議は第二会議室で行います。"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("会議", "会議"),
        ("会議の件について".encode("cp932").decode("ascii", "surrogateescape"), "会議の件について"),
        ("会議の件".encode("iso2022_jp").decode("ascii"), "会議の件"),
        ("=?Shift_JIS?B?" + base64.b64encode("①㈱髙".encode("cp932")).decode() + "?=", "①㈱髙"),
        ("=?us-ascii?B?" + base64.b64encode("日本語の件名".encode("cp932")).decode() + "?=", "日本語の件名"),
        ("=?utf-8?Q?=E5=B1=B1?= and more", "山 and more"),
        ("=?x-unknown?Q?abc?=", "abc"),
        ("=?utf-8?B?!?=", ""),
        ("folded\r\n\tvalue", "folded value"),
        (r"C:\users\taro\name =?UTF-8?B?44GC?=", r"C:\users\taro\name あ"),
        (r"C:\users", r"C:\users"),
        ("", ""),
    ],
)
def test_headers_are_decoded_in_any_charset(value: str, text: str) -> None:
    assert header_text(value) == text


def test_raw_bytes_in_a_header_are_decoded() -> None:
    data = b"Subject: " + "会議の件についてお知らせ".encode("cp932") + b"\r\n" + _mail(b"x")
    assert _blocks(data)[0] == ("heading", "会議の件についてお知らせ")


TEXT = "鈴木様\r\n\r\nいつもお世話になっております。明日の件です。\r\n"


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("iso-2022-jp", "iso2022_jp"),
        ("Shift_JIS", "cp932"),
        ("EUC-JP", "euc_jp"),
        ("utf-8", "utf-8"),
        ("us-ascii", "iso2022_jp"),
        ("utf-8", "cp932"),
        ("x-unknown", "euc_jp"),
    ],
)
@pytest.mark.parametrize("transfer", ["8bit", "base64"])
def test_bodies_are_decoded_also_where_the_charset_lies(charset: str, encoding: str, transfer: str) -> None:
    body = TEXT.encode(encoding)
    if transfer == "base64":
        body = base64.encodebytes(body)
    document = read_eml(_mail(body, f"text/plain; charset={charset}", f"Content-Transfer-Encoding: {transfer}"))
    assert document.text == "鈴木様\n\nいつもお世話になっております。明日の件です。"
    lies = (charset, encoding) in {("us-ascii", "iso2022_jp"), ("utf-8", "cp932"), ("x-unknown", "euc_jp")}
    assert len(document.warnings) == lies


def test_quoted_printable_is_decoded() -> None:
    data = _mail(b"=E6=98=8E=\r\n=E6=97=A5", "text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable")
    assert read_eml(data).text == "明日"


def test_quoted_lines_are_notes_and_keep_their_marks_out_of_the_reading() -> None:
    document = read_eml(_mail("承知しました。\n\n> 会議は三時からです。\n>> 何時ですか。\n".encode()))
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("paragraph", "承知しました。"),
        ("note", "> 会議は三時からです。"),
        ("note", ">> 何時ですか。"),
    ]
    assert [document.text[start:end] for start, end in document.blocks[1].omitted] == ["> "]


PLAIN = _mail("平文の本文。".encode())
HTML = _mail("<p>HTML の<b>本文</b>。</p>".encode(), "text/html; charset=utf-8")
PDF = _mail(b"JVBERi0=", 'application/pdf; name="=?UTF-8?B?6LOH5paZLnBkZg==?="', "Content-Transfer-Encoding: base64")
PICTURE = _mail(b"R0lG", "image/gif; name=logo.gif", "Content-Transfer-Encoding: base64")


def test_of_alternatives_the_plain_text_is_read() -> None:
    assert _blocks(_parts("alternative", PLAIN, HTML)) == [("paragraph", "平文の本文。")]


def test_the_html_is_read_where_there_is_no_plain_text() -> None:
    assert _blocks(_parts("alternative", _mail(b" \r\n"), HTML)) == [("paragraph", "HTML の本文。")]
    assert _blocks(HTML) == [("paragraph", "HTML の本文。")]
    assert _blocks(_parts("related", HTML, PICTURE)) == [("paragraph", "HTML の本文。")]


def test_of_alternatives_without_plain_text_html_is_read_and_no_calendar() -> None:
    html = "Content-Type: text/html; charset=utf-8\r\n\r\n<p>会議にお越しください。</p>".encode()
    calendar = b"Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    assert read_eml(_parts("alternative", html, calendar)).text == "会議にお越しください。"


def test_files_and_no_pictures_of_an_alternative_that_is_not_read_are_named() -> None:
    plain = "Content-Type: text/plain; charset=utf-8\r\n\r\n契約書をお送りします。".encode()
    rich = (
        b'Content-Type: multipart/mixed; boundary="=C"\r\n\r\n'
        b"--=C\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
        b'--=C\r\nContent-Type: image/png; name="logo.png"\r\nContent-Disposition: inline\r\n\r\nx\r\n'
        b'--=C\r\nContent-Type: application/pdf; name="keiyaku.pdf"\r\nContent-Disposition: inline\r\n\r\nx\r\n'
        b"--=C--\r\n"
    )
    document = read_eml(_parts("alternative", plain, rich))
    assert document.text == "契約書をお送りします。"
    assert list(document.warnings) == ["Attached files were not read: keiyaku.pdf."]


def test_the_part_that_start_names_is_read_with_its_pictures_around_it() -> None:
    picture = b'Content-Type: image/png; name="a.png"\r\nContent-ID: <1>\r\n\r\nx'
    html = "Content-Type: text/html; charset=utf-8\r\nContent-ID: <2>\r\n\r\n<p>本文です。</p>".encode()
    data = _parts("related", picture, html).replace(b"multipart/related;", b'multipart/related; start="<2>";')
    document = read_eml(data)
    assert document.text == "本文です。"
    assert list(document.warnings) == ["Attached files were not read: a.png."]


@pytest.mark.timeout(60)
def test_a_header_of_white_space_takes_linear_time() -> None:
    assert header_text("会議" + " " * 200_000 + "の件").replace(" ", "") == "会議の件"


def test_all_texts_of_a_mixed_mail_are_read_and_attached_files_are_named() -> None:
    attached = _mail(
        "添付の文章。".encode(), "text/plain", "Content-Disposition: attachment; filename*=utf-8''%E8%A1%A8.txt"
    )
    document = read_eml(_parts("mixed", PLAIN, PDF, PICTURE, attached, HTML, _mail(b"", "application/x")))
    assert document.text == "平文の本文。\n\nHTML の本文。"
    assert document.warnings == (
        "Attached files were not read: 資料.pdf, logo.gif, 表.txt, one without a name (application/x).",
    )


@pytest.mark.parametrize("kind", ["text/calendar; method=REQUEST", "text/vcard"])
def test_an_invitation_or_a_card_is_an_attachment_and_no_text(kind: str) -> None:
    document = read_eml(_mail(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", kind))
    assert document.text == ""
    assert document.warnings == (f"Attached files were not read: one without a name ({kind.partition(';')[0]}).",)


def test_a_mail_inside_a_mail_is_read_with_its_subject() -> None:
    inner = b"Subject: forwarded\r\nFrom: a@example.jp\r\n" + PLAIN
    data = b"Subject: outer\r\n" + _parts("mixed", _mail("転送します。".encode()), _mail(inner, "message/rfc822"))
    assert _blocks(data) == [
        ("heading", "outer"),
        ("paragraph", "転送します。"),
        ("heading", "forwarded"),
        ("furniture", "From: a@example.jp"),
        ("paragraph", "平文の本文。"),
    ]


def test_a_text_that_cannot_be_read_does_not_lose_the_others() -> None:
    document = read_eml(_parts("mixed", _mail(bytes(range(256)) * 9, "text/plain; charset=utf-8"), PLAIN))
    assert document.text == "平文の本文。"
    assert document.warnings[0].startswith("A part of the mail was not read. The file is neither text")


def test_flowed_lines_are_joined_at_their_depth_of_quotation() -> None:
    flowed = "これは長い \n文です。\n 先頭の空白\n>引用の \n>続き。\n>> 深い\n-- \n署名"
    assert unflowed(flowed, deletes_space=True) == (
        "これは長い文です。\n先頭の空白\n> 引用の続き。\n>> 深い\n-- \n署名"
    )
    data = _mail("これは長い \n文です。".encode(), "text/plain; charset=utf-8; format=flowed; delsp=yes")
    assert read_eml(data).text == "これは長い文です。"


def test_parts_inside_parts_are_read_to_a_bound_and_refused_past_it() -> None:
    nested = PLAIN
    for depth in range(300):
        head, tail = f"--{depth}\r\n".encode(), f"\r\n--{depth}--\r\n".encode()
        nested = _mail(head + nested + tail, f"multipart/mixed; boundary={depth}")
        if depth == 250:
            assert read_eml(nested).text == "平文の本文。"
    with pytest.raises(UnsafeFile, match="more than 300 parts"):
        read_eml(nested)
    with pytest.raises(UnsafeFile, match="more than 300 parts"):
        read_eml(_mail(b"", "message/rfc822\r\n") * 301)
    with pytest.raises(UnsafeFile, match="more than 300 parts"):
        read_eml(_parts("mixed", *[PLAIN] * 300))


def test_a_header_of_a_megabyte_is_cut_and_that_is_said() -> None:
    document = read_eml(b"Subject: " + b"x" * 1_000_000 + b"\r\n" + PLAIN)
    assert document.text.startswith("x" * 10_000 + "\n\n平文")
    assert document.warnings == ("The header Subject was cut after 10,000 characters.",)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--x",
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x--",
        b"Content-Type: multipart/related; boundary=x\r\n\r\n--x--",
        b"Content-Type: text/plain; charset*=x''%ff\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
        b"Content-Type: text/html; charset\r\n\r\n<p>",
    ],
)  # fmt: skip
def test_a_mail_of_hardly_anything_is_a_document(data: bytes) -> None:
    assert isinstance(read_eml(data), Document)

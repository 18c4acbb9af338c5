"""Encodings of text files: all Japanese ones, right and wrong charsets, damage, and bytes that are no text."""

import base64
import random
import string
import tracemalloc

import pytest

from app.errors import NotText, UnknownEncoding
from app.files.decoders import decode_replacing
from app.files.encoding import Decoded, decode, known_charset
from app.files.warnings import FileWarning
from tests.hostile import HOSTILE_TEXTS

# Sentences written for these tests, each of another style.
SENTENCES = {
    "story": "朝から降っていた雨は、昼すぎになってようやく上がった。"
    "祖母は縁側に腰をおろし、濡れた庭をしばらく眺めていた。",
    "notice": "来月一日より、窓口の受付時間を午前九時から午後四時半までに変"
    "更いたします。ご不便をおかけしますが、よろしくお願いします。",
    "contract": "第３条（支払）　甲は、乙に対し、前条の代金を、検収の翌月末"
    "日までに、乙の指定する銀行口座へ振り込んで支払うものとする。",
    "manual": "サーバーを再起動するには、メニューから「システム」→「再起動"
    "」を選び、パスワードを入力してください。所要時間は約5分です。",
    "chat": "まじで？それ昨日も言ってたよね（笑）ちょっと待って、今そっち向かってるから！！駅についたらLINEするね～",
    "list": "①見積書　②請求書　③納品書　㈱青空商事　電話：０３－１２３４－５６７８　№１２　Ⅳ章　㍻二年　㎏",
    "names": "髙橋様、山﨑様、德永様、渡邉様、齋藤様、濵田様がご出席になります。",
    "half-width": "ｶﾌﾞｼｷｶﾞｲｼｬ ｱｵｿﾞﾗｼｮｳｼﾞ ｺｳｻﾞﾒｲｷﾞ ﾔﾏﾀﾞ ﾊﾅｺ",
    "half-width in text": "ﾃﾞｰﾀをｻｰﾊﾞｰへ送信する。ｴﾗｰの場合はﾛｸﾞを見ること。",
    "katakana": "コンピューターのメモリーとハードディスクドライブ",
    "wave dash": "東京～大阪間、午前十時～正午。－１℃から＋５℃まで。￥１，０００",
    "kanji only": "経済産業省東京都千代田区霞が関一丁目三番一号",
}
ENCODINGS = ("utf-8", "cp932", "euc-jp", "iso-2022-jp", "utf-16-le", "utf-16-be")


def _encode(text: str, encoding: str) -> bytes:
    """The bytes that programs write: EUC-JP and ISO-2022-JP with the characters of CP932, as Windows' mailers do."""
    if encoding not in ("euc-jp", "iso-2022-jp"):
        return text.encode(encoding)
    out, mode = bytearray(), b"\x1b(B"
    for char in text:
        double = char.encode("cp932")
        if len(double) == 1 and double < b"\x80":
            cell, escape = double, b"\x1b(B"
        elif len(double) == 1:
            cell, escape = (b"\x8e" + double, b"") if encoding == "euc-jp" else (bytes([double[0] & 0x7F]), b"\x1b(I")
        else:
            cell, escape = _cell(double, 0x80 if encoding == "euc-jp" else 0), b"\x1b$B"
        if encoding == "iso-2022-jp" and escape != mode:
            out += escape
            mode = escape
        out += cell
    if encoding == "iso-2022-jp" and mode != b"\x1b(B":
        out += b"\x1b(B"
    return bytes(out)


def _cell(shift_jis: bytes, high_bit: int) -> bytes:
    """Row and column of JIS X 0208, with NEC's rows 89 to 92 for what IBM added (髙 is EE E0 there)."""
    lead, trail = shift_jis
    if lead >= 0xF0:
        char = shift_jis.decode("cp932")
        lead, trail = next(
            (a, b)
            for a in (0xED, 0xEE, 0x87, 0x81)
            for b in range(0x40, 0xFD)
            if bytes((a, b)).decode("cp932", "ignore") == char
        )
    row = (lead - (0x80 if lead < 0xA0 else 0xC0)) * 2
    if trail < 0x9F:
        return bytes((row - 1 + 0x20 | high_bit, trail - (0x1F if trail < 0x7F else 0x20) | high_bit))
    return bytes((row + 0x20 | high_bit, trail - 0x7E | high_bit))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("sentence", SENTENCES.values(), ids=SENTENCES)
def test_a_sentence_of_each_style_is_decoded_from_each_encoding(sentence: str, encoding: str) -> None:
    assert decode(_encode(sentence, encoding)) == Decoded(sentence, encoding)


@pytest.mark.parametrize("sentence", SENTENCES.values(), ids=SENTENCES)
def test_ascii_that_is_japanese_in_utf_7(sentence: str) -> None:
    for text in (sentence, f"Subject: 1+1=2\r\n\r\n{sentence}\r\n"):
        assert decode(text.encode("utf-7")) == Decoded(text, "utf-7")


def test_a_plus_in_ascii_is_no_utf_7() -> None:
    draw = random.Random(7)
    letters = string.ascii_letters + string.digits
    for text in ("C++ and a+b+c", "foo+bar@example.com", "+81-3-1234-5678", "+++ b/app/main.py\n+import asyncio\n"):
        assert decode(text.encode()) == Decoded(text, "utf-8")
    for _ in range(500):
        data = base64.encodebytes(draw.randbytes(draw.randint(1, 300)))
        assert decode(data).encoding == "utf-8"
        word = "+" + "".join(draw.choices(letters, k=draw.randint(6, 40))) + "- "
        assert decode(word.encode()).encoding == "utf-8"


def test_half_width_kana_alone_is_cp932() -> None:
    words = [
        "ﾃﾞﾝｼﾒｰﾙ",
        "ｺﾝﾋﾟｭｰﾀｰ",
        "ｶﾌﾞｼｷｶﾞｲｼｬ",
        "ﾔﾏﾀﾞﾀﾛｳ",
        "ﾄｳｷｮｳﾄ",
        "ﾌﾘｺﾐ",
        "ﾃｽｳﾘｮｳ",
        "ｻﾞﾝﾀﾞｶ",
        "ｶﾅ",
        "ﾐﾂﾋﾞｼ",
        "ﾕｰｴﾌｼﾞｪｲ",
        "ﾅｶﾑﾗ",
        "ﾎﾞｰﾅｽ",
        "ﾃｽﾄ",
    ]
    draw = random.Random(3)
    for _ in range(300):
        for joint in (" ", "\r\n", ",", " 123,"):
            text = joint.join(draw.choices(words, k=draw.randint(1, 6)))
            assert decode(text.encode("cp932")) == Decoded(text, "cp932")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_forty_texts_of_300_characters_are_decoded_from_each_encoding(encoding: str) -> None:
    draw = random.Random(5)
    for _ in range(40):
        text = ""
        while len(text) < 300:
            text += draw.choice(list(SENTENCES.values())) + "\r\n"
        text = text[:300]
        assert decode(_encode(text, encoding)) == Decoded(text, encoding)


@pytest.mark.parametrize("name", HOSTILE_TEXTS)
def test_hostile_text_in_utf_8_comes_back_or_is_refused_as_binary(name: str) -> None:
    text = HOSTILE_TEXTS[name]
    if name in ("NUL", "control characters"):
        with pytest.raises(NotText, match="binary data"):
            decode(text.encode())
    else:
        assert decode(text.encode()) == Decoded(text, "utf-8")


@pytest.mark.parametrize("name", [name for name in HOSTILE_TEXTS if name not in ("NUL", "control characters")])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides_and_is_no_part_of_the_text(name: str, encoding: str) -> None:
    assert decode(HOSTILE_TEXTS[name].encode(encoding)).text == HOSTILE_TEXTS[name]


def test_cp932_has_the_characters_that_shift_jis_lacks() -> None:
    data = "①㈱髙﨑～ｶﾞ".encode("cp932")
    with pytest.raises(UnicodeDecodeError):
        data.decode("shift_jis")
    assert decode(data, "Shift_JIS") == Decoded("①㈱髙﨑～ｶﾞ", "cp932")


def test_ibm_characters_of_eucjp_ms_in_three_bytes() -> None:
    # As `iconv -t EUC-JP-MS` writes them.
    data = "東京の".encode("euc_jp") + b"\x8f\xf4\xfb\x8f\xf4\xfa\xad\xe2\x8f\xf3\xf3" + "会".encode("euc_jp")
    assert decode(data) == Decoded("東京の髙馞№ⅰ会", "euc-jp")


def test_jis_x_0212_and_jis_x_0213_in_euc() -> None:
    text = "鷗外と瘦せた男の話を書いた本を読んだ。"
    assert decode(text.encode("euc_jp")) == Decoded(text, "euc-jp")
    text = "鷗外と𠮟られた男の話を書いた本を読んだ。"
    assert decode(text.encode("euc_jis_2004")) == Decoded(text, "euc-jp")


def test_iso_2022_jp_of_every_set_in_one_mail() -> None:
    parts = {
        "日本": "iso2022_jp",
        "丂": "iso2022_jp_1",
        "ｶﾀｶﾅ": "iso2022_jp_ext",
        "담": "iso2022_jp_2",
        "𠮟": "iso2022_jp_2004",
    }
    data = b"".join(part.encode(codec) for part, codec in parts.items()) + b"\x1b(J\\100\x1b(B\r\nend\r\n"
    assert decode(data) == Decoded("日本丂ｶﾀｶﾅ담𠮟¥100\r\nend\r\n", "iso-2022-jp")


def test_iso_2022_jp_that_forgets_to_return_to_ascii_at_the_end_of_a_line() -> None:
    assert decode(b"\x1b$BF|K\\\nabc\n") == Decoded("日本\nabc\n", "iso-2022-jp")


def test_colours_of_a_terminal_are_no_iso_2022_jp() -> None:
    text = "\x1b[31merror\x1b[0m done " * 3
    assert decode(text.encode()) == Decoded(text, "utf-8")


def test_utf_7_is_never_guessed_and_is_read_where_it_is_stated() -> None:
    assert decode(b"+MEI- is hiragana") == Decoded("+MEI- is hiragana", "utf-8")
    assert decode(b"+MEI- is hiragana", "utf-7") == Decoded("あ is hiragana", "utf-7")


def test_ascii_is_utf_8_under_any_stated_charset() -> None:
    for stated in ("us-ascii", "iso-8859-1", "Shift_JIS", "utf-8"):
        assert decode(b"plain words\r\n", stated).text == "plain words\r\n"
        assert decode(b"plain words\r\n", stated).warnings == ()


@pytest.mark.parametrize(
    "stated", ["utf-8", "euc-jp", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "iso-2022-jp"]
)
def test_a_wrong_charset_is_said(stated: str) -> None:
    text = SENTENCES["notice"] + SENTENCES["manual"]
    assert decode(text.encode("cp932"), stated) == Decoded(
        text,
        "cp932",
        (
            FileWarning(
                "wrong_charset", f"The stated charset {stated!r} is wrong: the bytes are cp932 and were read as such."
            ),
        ),
    )


def test_utf_8_stated_as_shift_jis_is_read_as_utf_8() -> None:
    text = SENTENCES["chat"]
    assert decode(text.encode(), "Shift_JIS") == Decoded(
        text,
        "utf-8",
        (
            FileWarning(
                "wrong_charset", "The stated charset 'Shift_JIS' is wrong: the bytes are utf-8 and were read as such."
            ),
        ),
    )


@pytest.mark.parametrize("stated", ["x-unknown", "idna", "punycode", "rot13", "base64", "\udc80", "unicode_escape"])
def test_a_charset_that_is_not_known_is_said_and_never_run(stated: str) -> None:
    assert known_charset(stated) is None
    assert decode("日本語の文章です。".encode("cp932"), stated) == Decoded(
        "日本語の文章です。",
        "cp932",
        (FileWarning("unknown_charset", f"The stated charset {stated!r} is not known; the bytes are cp932."),),
    )


def test_a_stated_charset_of_another_language_is_believed() -> None:
    assert decode("Çok güzel, teşekkürler. Görüşürüz.".encode("cp1254"), "windows-1254").encoding == "cp1254"
    assert decode("안녕하세요 반갑습니다".encode("cp949"), "euc-kr") == Decoded("안녕하세요 반갑습니다", "cp949")
    assert decode("你们好，谢谢".encode("gbk"), "gb2312") == Decoded("你们好，谢谢", "gb18030")


def test_one_broken_byte_in_a_long_text_is_marked_and_said() -> None:
    text = "\n".join(SENTENCES.values()) * 3
    data = bytearray(text.encode())
    at = text[:400].encode().rfind("。".encode())
    data[at] = 0xFF
    decoded = decode(bytes(data))
    assert decoded.encoding == "utf-8"
    assert "\ufffd" in decoded.text
    assert len(decoded.warnings) == 1
    line = decoded.text[: decoded.text.index("\ufffd")].count("\n") + 1
    assert f"U+FFFD; the first is in line {line}." in decoded.warnings[0]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_that_is_cut_inside_a_character_is_read_to_there(encoding: str) -> None:
    text = SENTENCES["notice"] * 3
    data = _encode(text, encoding)
    decoded = decode(data[: len(data) - (4 if encoding == "iso-2022-jp" else 1)])
    assert decoded.text.startswith(text[:-1])
    assert len(decoded.text) <= len(text)


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 100, bytes(range(256)) * 4, random.Random(1).randbytes(2000), b"\x7fELF\x02\x01\x01" + b"\0" * 9],
    ids=["NULs", "all bytes", "noise", "ELF"],
)
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(NotText, match=r"binary data\. Accepted are PDF, DOCX"):
        decode(data)


def test_memory_does_not_grow_with_the_places_that_an_encoding_does_not_have() -> None:
    data = SENTENCES["story"].encode() * 200  # UTF-8, of which EUC-JP knows hardly a byte
    tracemalloc.start()
    try:
        text = decode_replacing(data, "euc-jp")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert text.count("\ufffd") > 5_000
    assert peak < 60 * len(data)


def test_text_in_an_unknown_encoding_is_refused_in_words() -> None:
    with pytest.raises(UnknownEncoding, match=r"not valid UTF-8, CP932 \(Shift_JIS\)"):
        decode("Où était-elle passée, l’été dernier ? Très élégant, déjà à côté.".encode("cp1252"))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("我们今天去学校学习汉语。", "gb18030"),
        ("图书馆每天上午九点开门，下午五点关门，星期一休息。", "gb18030"),
        ("우리는 오늘 학교에 간다.", "euc_kr"),
        ("도서관은 매일 아침 아홉 시에 문을 열고 월요일에는 쉰다.", "euc_kr"),
    ],
)
@pytest.mark.parametrize("times", [1, 3, 30])
def test_chinese_and_korean_are_not_read_as_japanese(text: str, encoding: str, times: int) -> None:
    with pytest.raises(UnknownEncoding):
        decode(text.encode(encoding) * times)
    assert decode(text.encode(encoding) * times, encoding).text == text * times


@pytest.mark.parametrize(
    "text", ["東京都千代田区丸の内一丁目", "山田太郎、佐藤花子、高橋一郎", "会議日程、議題一覧、出席者名簿"]
)
@pytest.mark.parametrize("encoding", ["cp932", "euc_jp"])
def test_names_and_addresses_without_kana_are_japanese(text: str, encoding: str) -> None:
    text = text.replace("の", "之")
    assert decode(text.encode(encoding)).text == text


def test_nothing_is_the_empty_text() -> None:
    assert decode(b"") == Decoded("", "utf-8")


@pytest.mark.parametrize("text", ["鮭\n", "Contact: 梅棹忠夫 (Kyoto)\n"])
def test_bytes_that_may_be_cp932_are_neither_destroyed_nor_called_invalid(text: str) -> None:
    with pytest.raises(UnknownEncoding, match="uncertain: its bytes are valid cp932"):
        decode(text.encode("cp932"))
    assert decode(text.encode("cp932"), "cp932").text == text

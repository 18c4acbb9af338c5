"""Captions: cues become paragraphs of one speaker, and everything else of the formats is left out."""

import pytest

from app.files.captions import read_captions


def paragraphs(text: str) -> list[str]:
    document = read_captions(text)
    assert all(block.kind == "paragraph" for block in document.blocks)
    return [document.text[block.start : block.end] for block in document.blocks]


def vtt(*cues: tuple[str, str]) -> str:
    """A WebVTT of (times, text)."""
    return "WEBVTT\n\n" + "\n\n".join(f"{times}\n{text}" for times, text in cues)


def test_a_sentence_over_two_cues_is_one_sentence() -> None:
    first = "1\r\n00:00:01,000 --> 00:00:03,000\r\n予約は来月から\r\n"
    second = "2\r\n00:00:03,000 --> 00:00:05,000\r\n始めます。\r\n"
    assert paragraphs(f"{first}\r\n{second}") == ["予約は来月から始めます。"]


def test_the_lines_of_a_cue_are_joined_and_latin_words_keep_a_space() -> None:
    text = vtt(("00:01.000 --> 00:02.000", "次の画面で、\n右上の\nOpen\nDay を選びます。"))
    assert paragraphs(text) == ["次の画面で、右上の Open Day を選びます。"]


def test_each_turn_of_a_speaker_is_a_paragraph_with_the_name_once() -> None:
    text = vtt(
        ("00:01.000 --> 00:02.000", "<v 田中 一郎>始めます。議題は</v>"),
        ("00:02.000 --> 00:03.000", "<v.loud 田中 一郎>予約です。</v>"),
        ("00:03.000 --> 00:04.000", "<v 佐藤>料金は八百円です。</v>"),
    )
    assert paragraphs(text) == ["田中 一郎：始めます。議題は予約です。", "佐藤：料金は八百円です。"]


def test_names_before_a_colon_are_speakers_as_zoom_writes_them() -> None:
    text = vtt(("00:01.000 --> 00:02.000", "田中: 始めます。"), ("00:02.000 --> 00:03.000", "田中: 議題は予約です。"))
    assert paragraphs(text) == ["田中：始めます。議題は予約です。"]


def test_a_pause_of_two_seconds_ends_a_paragraph() -> None:
    text = vtt(("00:01.000 --> 00:02.000", "終わります。"), ("00:04.000 --> 00:05.000", "始めます。"))
    assert paragraphs(text) == ["終わります。", "始めます。"]


def test_cues_without_full_stops_stay_lines() -> None:
    text = vtt(("00:01.000 --> 00:02.000", "はい始めます"), ("00:02.000 --> 00:03.000", "議題は予約です"))
    assert paragraphs(text) == ["はい始めます\n議題は予約です"]


def test_lines_that_roll_on_from_the_cue_before_stand_once() -> None:
    text = vtt(
        ("00:01.000 --> 00:02.000", "予約は来月から"),
        ("00:02.000 --> 00:03.000", "予約は来月から\n始めます。"),
        ("00:03.000 --> 00:04.000", "始めます。\n料金は八百円です。"),
    )
    assert paragraphs(text) == ["予約は来月から始めます。料金は八百円です。"]


@pytest.mark.parametrize(
    ("cue", "said"),
    [
        ("<i>雨</i>です。", "雨です。"),
        ('<font color="#fff">雨</font>です。{\\an8}', "雨です。"),
        ("<c.yellow.bg_blue>雨</c><00:00:01.500>です。", "雨です。"),
        ("<ruby>雪国<rt>ゆきぐに</rt></ruby>です。", "雪国です。"),
        ("A &amp; B &lt;重要&gt;です。", "A & B <重要>です。"),
        ("<重要>です。", "<重要>です。"),
        ("𠮷野家の葛󠄀です。", "𠮷野家の葛󠄀です。"),
    ],
)
def test_tags_readings_and_references_are_read_as_shown(cue: str, said: str) -> None:
    assert paragraphs(vtt(("00:01.000 --> 00:02.000", cue))) == [said]


def test_heads_notes_styles_names_of_cues_and_settings_are_no_text() -> None:
    text = (
        "\ufeffWEBVTT 会議\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE 覚え書き\n\n"
        "序章\n00:00:01.000 --> 00:00:02.000 align:start position:0%\n始めます。\n\n00:00:03.000 --> 00:00:04.000\n\n"
    )
    assert paragraphs(text) == ["始めます。"]


def test_a_file_without_cues_has_no_text() -> None:
    assert paragraphs("WEBVTT\n") == []


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:01,000 --> 00:00:02,000\n" + "あ\n" * 200_000,
        "WEBVTT\n\n" + "00:01.000 --> 00:02.000\nあ\n\n" * 50_000,
        "WEBVTT\n\n00:01.000 --> 00:02.000\n" + "<v " * 200_000,
        "WEBVTT\n" + "\n   " * 200_000 + "x",
    ],
)
def test_long_files_take_no_more_time_than_their_length(text: str) -> None:
    # A step that is quadratic would take minutes.
    read_captions(text)

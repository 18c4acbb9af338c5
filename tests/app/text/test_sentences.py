import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.text.blocks import Block, BlockKind, Spans
from app.text.characters import BLANKS
from app.text.sentences import MAX_QUOTE_CHARACTERS, sentence_around, sentences_of, split_sentences
from app.text.structure import Structure, structure_of
from tests.hostile import CHARACTERS, HOSTILE_TEXTS, boundaries


def sentences(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


def check_spans(text: str) -> None:
    position = 0
    whole = set(boundaries(text))
    unread = {place for block in structure_of(text).blocks for span in block.omitted for place in range(*span)}
    for sentence in split_sentences(text):
        assert position <= sentence.start < sentence.end <= len(text)
        # Only what nobody sees or reads lies between sentences.
        assert all(text[place] in BLANKS or place in unread for place in range(position, sentence.start))
        assert {sentence.start, sentence.end} <= whole
        # A space with a mark on it is seen.
        assert text[sentence.start] not in BLANKS or sentence.start + 1 not in whole
        assert text[sentence.end - 1] not in BLANKS or sentence.end - 1 not in whole
        position = sentence.end
    assert all(text[place] in BLANKS or place in unread for place in range(position, len(text)))


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_texts_lose_nothing(text: str) -> None:
    check_spans(text)


@given(st.text())
def test_any_text_loses_nothing(text: str) -> None:
    check_spans(text)


@example("。\u094d あ")
@example("。\u094d  \u0301あ")
@example("。\u094d 。\u094d ")
@given(st.lists(st.sampled_from([*CHARACTERS, *"".join(CHARACTERS), "。"]), max_size=30).map("".join))
def test_no_sentence_begins_or_ends_inside_a_character(text: str) -> None:
    check_spans(text)


@given(st.text(alphabet="あ漢a1.．。！？!?「」（）(『』】\n\r 　、と…笑\u200b\ufe0f😀", max_size=60))
def test_punctuation_in_any_order_loses_nothing(text: str) -> None:
    check_spans(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一つ目。二つ目。", ["一つ目。", "二つ目。"]),
        ("本当？はい！そう", ["本当？", "はい！", "そう"]),
        ("本当!?はい‼️次", ["本当!?", "はい‼️", "次"]),
        ("終わりの句点がない", ["終わりの句点がない"]),
        ("ﾊﾝｶｸ｡ｶﾅ｡", ["ﾊﾝｶｸ｡", "ｶﾅ｡"]),
        ("はい。。。そう。", ["はい。。。", "そう。"]),
        ("そうか……それで。", ["そうか……それで。"]),
        ("えっと…。次…", ["えっと…。", "次…"]),
        ("えっと... そう...です。", ["えっと...", "そう...です。"]),
    ],
)
def test_stops(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("彼は「はい。そうです。」と言った。そして去った。", ["彼は「はい。そうです。」と言った。", "そして去った。"]),
        ("『「え？」と聞く。』を読む。次。", ["『「え？」と聞く。』を読む。", "次。"]),
        ("「はい。」「いいえ。」", ["「はい。」", "「いいえ。」"]),
        ("「はい。」と言った。", ["「はい。」と言った。"]),
        ("｢はい｡｣と言う｡次｡", ["｢はい｡｣と言う｡", "次｡"]),
        ("文（注。見よ。）です。次。", ["文（注。見よ。）です。", "次。"]),
        ("文です。（別の注。）次です。", ["文です。", "（別の注。）", "次です。"]),
        ("文です（注）。次", ["文です（注）。", "次"]),
    ],
)
def test_quotations_and_brackets_hold_their_sentences_together(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("未閉「の括弧。次の文。また次。", ["未閉「の括弧。", "次の文。", "また次。"]),
        ("開かない」括弧。次。」次の次。", ["開かない」括弧。", "次。」", "次の次。"]),
        ("（交差「する）括弧。」次。次の次。", ["（交差「する）括弧。」", "次。", "次の次。"]),
        ("「今日は寒い。\n明日も寒い。」と言った。", ["「今日は寒い。", "明日も寒い。」と言った。"]),
        (":) 楽しい。次。", [":) 楽しい。", "次。"]),
    ],
)
def test_a_bracket_without_a_partner_swallows_nothing(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_long_quotation_is_cut_at_its_sentences() -> None:
    quoted = "長い演説である。" * (MAX_QUOTE_CHARACTERS // 4)

    assert sentences(f"彼は「{quoted}」と結んだ。")[1:3] == ["長い演説である。", "長い演説である。"]
    assert sentences(f"彼は「{quoted}」と結んだ。")[-1] == "長い演説である。」と結んだ。"


@pytest.mark.parametrize(
    "text",
    [
        "円周率は3.14で、税率は３．５％です。",
        "example.comやNode.jsやver.2を使う。",
        "http://example.com/?q=1&r=!を見る。",
        "Yahoo!ニュースとＹａｈｏｏ！検索。",
        "すごい！と思った。",
        "なぜ？という問い。",
        "モーニング娘。のメンバー。",
        "1. 概要",
        "２．方法",
        "(3.1.2) 結果",
        "Dr. Smith and J. R. R. Tolkien",
        "Q1. 申し込みはいつからですか",
        "図2. 配線のしかた",
        "Ｑ．申し込みはいつからですか。",
        "Yahoo! JAPANの検索を使う。",
        "Smith et al. (2019) と ver. 2.0 の話。",
    ],
)
def test_not_the_end_of_a_sentence(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一です．二です．", ["一です．", "二です．"]),
        ("一です. 二です.三です.", ["一です.", "二です.", "三です."]),
        ("This is a pen. That is not.", ["This is a pen.", "That is not."]),
        ("Really? Yes! Fine.", ["Really?", "Yes!", "Fine."]),
    ],
)
def test_full_stops_of_science_and_of_english(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_every_line_is_a_sentence_of_its_own() -> None:
    text = "見出し\r\n\r\n・りんご\r\n・みかん。甘い。\r\n\u3000段落\u2028次\r最後"

    assert sentences(text) == ["見出し", "・りんご", "・みかん。", "甘い。", "段落", "次", "最後"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("面白い。（笑）次。", ["面白い。（笑）", "次。"]),
        ("楽しい！👨‍👩‍👧‍👦次。", ["楽しい！👨‍👩‍👧‍👦", "次。"]),
        ("楽しい！♪次。", ["楽しい！♪", "次。"]),
        ("待ってます！\\(^o^)/次。", ["待ってます！\\(^o^)/", "次。"]),
        ("m(_ _)m！次。", ["m(_ _)m！", "次。"]),
        ("すごい！(^!o)と思う。次。", ["すごい！(^!o)と思う。", "次。"]),  # ! is part of the face
    ],
)
def test_decoration_belongs_to_the_sentence_before_it(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def sentences_of_block(text: str, kind: BlockKind = "paragraph", cells: Spans = ()) -> list[str]:
    """The sentences of a text that a file has as one block, with the line ends that its author set."""
    found = sentences_of(Structure(text, (Block(kind, 0, len(text), cells=cells),)))
    return [text[one.start : one.end] for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("電話番号\n03-1234-5678\n受付は平日です。", ["電話番号", "03-1234-5678", "受付は平日です。"]),
        ("断水します。\n日時　1時から4時まで\n区域　東町", ["断水します。", "日時　1時から4時まで", "区域　東町"]),
        ("皆様のご意見を\nお聞かせください。", ["皆様のご意見を\nお聞かせください。"]),
        ("ご迷惑をおかけしますが、\nご協力ください。", ["ご迷惑をおかけしますが、\nご協力ください。"]),
        ("持ち物は\n・弁当\n・水筒", ["持ち物は", "・弁当", "・水筒"]),
        ("次のとおりとする。\n\nお知らせは\n\n別に", ["次のとおりとする。", "お知らせは", "別に"]),
        ("「雨だ。\n傘を。」と言った。", ["「雨だ。\n傘を。」と言った。"]),
        ("the harbour\noffice. Next", ["the harbour\noffice.", "Next"]),
    ],
)
def test_a_line_end_that_an_author_set_ends_a_sentence_unless_it_breaks_off(text: str, expected: list[str]) -> None:
    assert sentences_of_block(text) == expected


def test_a_long_cell_of_a_row_has_sentences_of_its_own_and_short_ones_stand_together() -> None:
    minutes = "議長が説明した。" * 20
    row = f"議事\t第１回\t{minutes}\t承認"
    cells = ((0, 2), (3, 6), (7, 7 + len(minutes)), (8 + len(minutes), len(row)))

    assert sentences_of_block(row, "table-row", cells) == ["議事\t第１回", *["議長が説明した。"] * 20, "承認"]


def test_a_row_of_short_cells_is_one_sentence() -> None:
    assert sentences_of_block("返品\tできません。交換です。", "table-row", ((0, 2), (3, 13))) == [
        "返品\tできません。交換です。"
    ]


def around(text: str, passage: str) -> str:
    start = text.index(passage)
    first, last = sentence_around(structure_of(text), start, start + len(passage))
    return text[first:last]


@pytest.mark.parametrize(
    ("text", "passage", "expected"),
    [
        ("一つ。二つ目だ。三つ。", "目", "二つ目だ。"),
        ("一つ。二つ目だ。三つ。", "目だ。三", "二つ目だ。三つ。"),
        ("見出し\n\n本文です。", "出", "見出し"),
        ("一つ。  二つ。", " ", " "),  # what no sentence holds
        ("い" * 3000 + "《答》" + "う" * 3000, "《答》", "い" * 500 + "《答》" + "う" * 997),
    ],
)
def test_the_sentence_around_a_passage_is_whole_or_its_nearest_pieces(text: str, passage: str, expected: str) -> None:
    assert around(text, passage) == expected


@pytest.mark.parametrize("text", ["", " \u3000\t\r\n", "\ufeff\u200b\x00"])
def test_nothing_to_see_no_sentences(text: str) -> None:
    assert split_sentences(text) == []


@pytest.mark.timeout(60)  # a fraction of a second; quadratic time would be minutes
@pytest.mark.parametrize(
    "unit",
    [
        "。",
        "「",
        "「あ。",
        "（「あ。",
        "（。）、",
        "「あ。」",
        "a.",
        "1.",
        "！☆",
        "！(笑)と言う",
        "。」",
        "\u3000",
        "あ\r",
    ],
)
def test_long_texts_of_characters_that_need_look_ahead_do_not_hang(unit: str) -> None:
    check_spans(unit * (160_000 // len(unit)))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["x" + "(^!）" * 40_000 + "と思う", "x。" + "(^。)" * 40_000 + "の意味"])
def test_faces_without_end_before_words_that_continue_the_sentence_do_not_hang(text: str) -> None:
    check_spans(text)


def test_wrapped_lines_are_joined_in_decomposed_text_as_in_composed_text() -> None:
    text = (
        "どの道具がどこで使われたかは、ともに見つかった土器の年代を一つずつ調べなければならず、学者たちの報告は"
        "来年の春になってからようやく公開されるはずである。琵琶湖疏水は京都の人びとが造らせた水路で、"
        "いまでも水が流れているのだが、その図面はどこにもなかった。"
    )
    wrapped = "\n".join(text[at : at + 40] for at in range(0, len(text), 40))
    decomposed = sentences(unicodedata.normalize("NFD", wrapped))
    assert [unicodedata.normalize("NFC", sentence) for sentence in decomposed] == sentences(wrapped)
    assert len(decomposed) == 2

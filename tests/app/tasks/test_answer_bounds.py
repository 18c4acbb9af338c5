"""Where answers may begin and end, rule by rule, with a tokenizer that could cut nearly anywhere."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.tasks.answer_bounds import AnswerBounds, answer_bounds, block_bounds
from app.tasks.answers import Span, trim_span
from app.text.alignment import Tokens
from app.text.brackets import bracket_pairs
from app.text.structure import structure_of
from app.text.tokenizer import Tokenizer
from tests.hostile import CHARACTERS, boundaries

DIGITS = "0123456789０１２３４５６７８９"


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")


def spans_within(bounds: AnswerBounds, tokens: Tokens) -> set[tuple[int, int]]:
    """Every span that an answer may have."""
    return {
        (int(bounds.starts[first]), int(bounds.stops[last]))
        for first, last in itertools.combinations_with_replacement(range(len(tokens)), 2)
        if bounds.begins[first] and bounds.ends[last] and bounds.parts_at_start[first] == bounds.parts_at_stop[last]
    }


def answers_in(tokenizer: Tokenizer, text: str) -> set[str]:
    tokens = tokenizer.encode(text)
    return {
        text[start:end]
        for start, end in spans_within(answer_bounds(structure_of(text), tokens, segmented=True), tokens)
    }


@pytest.mark.parametrize(
    ("text", "whole", "cut"),
    [
        ("賃貸借契約を結ぶ。", "契約", "約"),
        ("一八九一年に生まれた。", "一八九一年", "八九"),
        ("利率は14.6パーセントとする。", "14.6パーセント", ".6パーセント"),
        ("料金は３，０００円です。", "３，０００円", "３"),
        ("第３条に定める。", "第３条", "３条"),
    ],
)
def test_no_answer_begins_or_ends_inside_a_word_or_a_number(
    tokenizer: Tokenizer, text: str, whole: str, cut: str
) -> None:
    answers = answers_in(tokenizer, text)
    assert whole in answers
    assert cut not in answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("予約は必要です。", "必要"),
        ("先着順に受け付けます。", "先着順"),
        ("2月9日付けで任命する。", "2月9日"),
        ("品名,前年,今年,来年\nりんご,100,200,300\nみかん,80,90,100", "200"),
        ("10:30発の船に乗る。", "10:30"),
    ],
)
def test_a_noun_a_date_a_cell_and_a_time_can_be_answers(tokenizer: Tokenizer, text: str, answer: str) -> None:
    assert answer in answers_in(tokenizer, text)


def test_without_a_segmenter_any_piece_bounds_an_answer(tokenizer: Tokenizer) -> None:
    text = "東京都"
    starts, ends = np.array([(0, 1), (1, 2), (2, 3)], dtype=np.int32).T
    tokens = Tokens(np.zeros(3, dtype=np.int32), starts, ends, np.array([True, False, False]))
    spans = [
        spans_within(answer_bounds(structure_of(text), tokens, segmented=segmented), tokens)
        for segmented in (True, False)
    ]
    assert spans == [{(0, 3)}, {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}]


def test_words_end_at_punctuation_that_the_segmenter_joins_with_something_else(tokenizer: Tokenizer) -> None:
    assert "83.8%" in answers_in(tokenizer, "識字率は83.8%（男性）である。")


@pytest.mark.parametrize(
    "text",
    [
        "前の文です。次の文です。",
        "見出し\n\n本文の段落。",
        "名前\t住所\n東京\t日本\n",
        "・東京の項目\n・京都の項目",
    ],
)
def test_no_answer_reaches_into_another_sentence_cell_or_block(tokenizer: Tokenizer, text: str) -> None:
    for answer in answers_in(tokenizer, text):
        assert not re.search(r"。.|\n|\t", answer)


def test_the_number_of_a_clause_is_apart_from_its_text(tokenizer: Tokenizer) -> None:
    answers = answers_in(tokenizer, "第１条　目的を定める。\n２　本契約は終了する。\n３　都の人口。")
    assert {"第１条", "２", "３", "人口"} <= answers
    assert not [answer for answer in answers if answer[0] in "２３" and len(answer) > 2]


def test_a_wrapped_sentence_is_one(tokenizer: Tokenizer) -> None:
    lines = (
        "この契約の期間は令和六年四月一日から令和七年三月三十\n一日までとする。期間の満了の一か月前までに申出がない\n"
        "ときは、さらに一年間更新するものとし、以後も同様とす\nる。"
    )
    assert "三月三十\n一日" in "|".join(answers_in(tokenizer, lines))


def test_an_answer_holds_both_of_two_brackets_or_none(tokenizer: Tokenizer) -> None:
    answers = answers_in(tokenizer, "漱石は「吾輩は猫（ねこ）である」を書いた。")
    assert {"吾輩は猫（ねこ）である", "「吾輩は猫（ねこ）である」", "吾輩", "ねこ"} <= answers
    assert not [answer for answer in answers if answer.count("「") != answer.count("」")]
    assert not [answer for answer in answers if answer.count("（") != answer.count("）")]


@pytest.mark.parametrize("text", ["、東京、京都。", "（、東京「」」京都（", "　・東京：日本；"])
def test_no_answer_has_a_comma_a_full_stop_or_the_wrong_bracket_at_its_edge(tokenizer: Tokenizer, text: str) -> None:
    for answer in answers_in(tokenizer, text):
        assert answer[0] not in "、。」）　・：；"
        assert answer[-1] not in "、。「（　・：；"


def test_a_bracket_without_its_partner_binds_nothing(tokenizer: Tokenizer) -> None:
    assert "東京（日本" in answers_in(tokenizer, "東京（日本の首都")


@given(text=st.text(alphabet="東京都は一八九2３.,%年人「」（）()。、\n\t　 ・第条①ア-a円❤\ufe0f", max_size=50))
@example(text="（" * 20 + "東京" + "）" * 20)
@example(text="２　本契約は３か月。\n３　本")
@example(text=")(")
@example(text="（2）\ufe0f.")
def test_every_answer_in_any_text_keeps_the_rules(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    structure = structure_of(text)
    bounds = answer_bounds(structure, tokens, segmented=True)
    for part in (bounds.begins, bounds.ends, bounds.parts_at_start, bounds.parts_at_stop):
        assert part.shape == (len(tokens),)
    spans = spans_within(bounds, tokens)
    assert all(start < end for start, end in spans)
    read = structure.reading.text
    pairs = {
        pair for span in structure.spans_in_reading(structure.blocks) for pair in bracket_pairs(read, *span).items()
    }
    for start, end in spans:
        for place in (start, end):
            assert not (0 < place < len(text) and text[place - 1] in DIGITS and text[place] in DIGITS)
        if structure.reading.offsets is None:
            for pair in pairs:
                assert len([place for place in pair if start <= place < end]) != 1


@pytest.mark.parametrize(
    "character",
    ["葛\U000e0100", "❤\ufe0f", "か\u3099", "👨\u200d👩\u200d👧", "🇯🇵", "1\ufe0f\u20e3", "𠮷", "ｶﾞ", "👍🏽"],
    ids=ascii,
)
@pytest.mark.parametrize("around", [("この字は", "という。"), ("「", "」である。"), ("", "")])
def test_an_answer_holds_what_no_token_stands_for(
    tokenizer: Tokenizer, around: tuple[str, str], character: str
) -> None:
    answers = answers_in(tokenizer, around[0] + character + around[1])
    assert character in answers
    assert not [answer for answer in answers if not answer.isascii() and answer in character and answer != character]


@given(st.lists(st.sampled_from([*CHARACTERS, *"".join(CHARACTERS), "東京", "12"]), max_size=25).map("".join))
def test_every_answer_in_any_text_has_whole_characters(tokenizer: Tokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    structure = structure_of(text)
    whole = boundaries(text)
    for bounds in (answer_bounds(structure, tokens, segmented=True), block_bounds(structure, tokens)):
        for start, end in spans_within(bounds, tokens):
            assert {start, end} <= set(whole)
            trimmed = trim_span(text, Span(start, end, 0.0))
            assert {trimmed.start, trimmed.end} <= set(whole)


def test_bounds_of_blocks_alone_let_any_token_begin_and_end() -> None:
    text = "見出し\n\n本文。\n・項目"
    starts, ends = np.array([(0, 3), (5, 7), (7, 7), (9, 10), (10, 12)], dtype=np.int32).T
    tokens = Tokens(np.zeros(5, dtype=np.int32), starts, ends, np.ones(5, dtype=np.bool_))
    bounds = block_bounds(structure_of(text), tokens)
    assert bounds.begins.tolist() == bounds.ends.tolist() == [True, True, False, True, True]
    assert bounds.parts_at_start.tolist() == [1, 2, 2, 3, 3]

"""One table of characters: what Unicode has as forms of one character is alike to every rule."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.answer_bounds import answer_bounds
from app.tasks.summarize import join_summary
from app.text import characters
from app.text.characters import letters_of, plain_forms, widths
from app.text.segmenter import cut_segments
from app.text.sentences import Sentence, sentences_of
from app.text.structure import structure_of
from app.text.tokenizer import Tokenizer

BMP = [chr(code) for code in range(0x10000)]
# Form -> the ordinary character, from Unicode alone.
FORMS = {
    char: unicodedata.normalize("NFKC", char)
    for char in BMP
    if unicodedata.decomposition(char).split(" ")[0] in ("<vertical>", "<small>", "<narrow>")
    and unicodedata.category(char)[0] in "PS"
}
# Those that are as wide as the ordinary ones, so that no column of a page changes.
WIDE_FORMS: dict[str, list[str]] = {}
for form in FORMS:
    if unicodedata.east_asian_width(form) == "W":
        WIDE_FORMS.setdefault(plain_forms(form), []).append(form)

# What rules look at, with as much punctuation as there are forms of.
PIECES = st.lists(
    st.sampled_from(
        [
            *WIDE_FORMS,
            *"あ漢ア1１ \n",
            "。",
            "\n\n",
            "第３条",
            "（目的）",
            "「はい。」と言った",
            "『本』を、",
            "表題：",
            "一、",
            "令和６年度、",
            "14．6パーセント",
            "｜青空《あおぞら》",
            "［＃改ページ］",
        ]
    ),
    max_size=25,
).map("".join)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")


@pytest.mark.parametrize("form", FORMS)
def test_a_form_becomes_an_ordinary_character_that_is_the_same_in_nfkc(form: str) -> None:
    plain = plain_forms(form)
    assert len(plain) == 1
    assert plain not in FORMS
    assert unicodedata.normalize("NFKC", plain) == FORMS[form]


def test_what_is_ordinary_stays() -> None:
    ordinary = "".join(char for char in BMP if char not in FORMS)
    assert plain_forms(ordinary) == ordinary


@pytest.mark.parametrize(
    "name",
    [
        "FULL_STOPS",
        "POINTS",
        "EXCLAMATIONS",
        "COMMAS",
        "COLONS",
        "MIDDLE_DOTS",
        "OPENERS",
        "CLOSERS",
        "QUOTES",
        "CLOSING_QUOTES",
        "ROUND_OPENERS",
        "ROUND_CLOSERS",
    ],
)
def test_a_table_with_a_character_has_all_its_forms(name: str) -> None:
    table = getattr(characters, name)
    plain = {unicodedata.normalize("NFKC", char) for char in table}
    others = "\u037e\u2024"  # a Greek question mark and a leader, which look like ; and . and are neither
    forms = [char for char in BMP if unicodedata.normalize("NFKC", char) in plain and char not in others]
    assert [char for char in forms if char not in table] == []


@pytest.mark.parametrize(("opener", "closer"), characters.BRACKETS.items())
def test_brackets_and_their_forms_are_pairs(opener: str, closer: str) -> None:
    assert characters.BRACKETS[plain_forms(opener)] == plain_forms(closer)
    assert (opener in characters.QUOTES) == (closer in characters.CLOSING_QUOTES)


@given(text=PIECES, data=st.data())
def test_every_rule_treats_the_forms_of_a_character_alike(tokenizer: Tokenizer, text: str, data: st.DataObject) -> None:
    form = "".join(data.draw(st.sampled_from([char, *WIDE_FORMS.get(char, [])])) for char in text)
    assert seen_by_rules(tokenizer, form) == seen_by_rules(tokenizer, text)


def seen_by_rules(tokenizer: Tokenizer, text: str) -> list[object]:
    structure = structure_of(text)
    bounds = answer_bounds(structure, tokenizer.encode(text, structure), segmented=True)
    sentences = sentences_of(structure)
    read = [text[one.start : one.end] for one in sentences]
    return [
        structure.blocks,
        sentences,
        [array.tolist() for array in vars(bounds).values()],
        len(join_summary(read)),
        [letters_of(one) for one in read],
        cut_segments(text, 10),
    ]


def test_half_width_punctuation_is_read_as_its_full_width_forms() -> None:
    text = "｢ﾊｲ｡｣ﾄ言ｯﾀ｡次､其ﾉ次｡"
    assert [text[one.start : one.end] for one in sentences_of(structure_of(text))] == ["｢ﾊｲ｡｣ﾄ言ｯﾀ｡", "次､其ﾉ次｡"]


def test_vertical_writing_is_read_as_horizontal_writing() -> None:
    text = "﹁はい︒﹂と言った︒第三条︵目的︶に︑定める︒"
    assert sentences_of(structure_of(text)) == [Sentence(0, 10), Sentence(10, 23)]


def test_marks_and_selectors_have_no_width() -> None:
    assert widths("か\u3099葛\U000e0100ｶﾞa☺\ufe0f").tolist() == [2, 0, 2, 0, 1, 1, 1, 1, 0]

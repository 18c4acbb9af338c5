import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput
from app.text.normalizer import MAX_JOINING_MARKS, clean, normalise
from app.types import NormaliserName
from tests.hostile import HOSTILE_TEXTS, LONE_SURROGATES

NORMALISERS: tuple[NormaliserName, ...] = ("none", "nfkc", "zenkaku")
hostile = pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
# Letters, marks and invisible characters that change one another.
joining_text = st.text(
    alphabet="かハa\u1112가 \n\x00ｶﾞﾟ゛\u3099\u309a\u0301\u0316\u1161\u11ab\u200b\ufe0f\U000e0100㍻ﷺ①…葛𠮷"
)


def check_alignment(text: str, name: NormaliserName) -> None:
    normalised = normalise(text, name)
    assert len(normalised.text) == len(normalised.starts) == len(normalised.ends)
    assert normalised.starts.dtype == normalised.ends.dtype == np.int32
    if len(normalised.text):
        assert normalised.starts[0] >= 0
        assert normalised.ends[-1] <= len(text)
    assert (normalised.starts < normalised.ends).all()
    assert (np.diff(normalised.starts) >= 0).all()
    assert (np.diff(normalised.ends) >= 0).all()


def cleaned(text: str) -> str:
    return "".join(map(clean, text))


@given(any_text | joining_text)
def test_normalising_is_nfkc_of_the_cleaned_text(text: str) -> None:
    assert normalise(text, "nfkc").text == unicodedata.normalize("NFKC", cleaned(text))
    for name in NORMALISERS:
        check_alignment(text, name)


@given(any_text | joining_text)
def test_each_normalised_character_comes_from_its_span(text: str) -> None:
    normalised = normalise(text, "nfkc")
    spans = zip(normalised.starts.tolist(), normalised.ends.tolist(), strict=True)
    for char, (start, end) in zip(normalised.text, spans, strict=True):
        assert char in unicodedata.normalize("NFKC", cleaned(text[start:end]))


@hostile
@pytest.mark.parametrize("name", NORMALISERS)
def test_hostile_texts_keep_their_alignment(text: str, name: NormaliserName) -> None:
    check_alignment(text, name)


@pytest.mark.parametrize(
    ("text", "normal", "spans"),
    [
        ("東京", "東京", [(0, 1), (1, 2)]),
        ("か\u3099く", "がく", [(0, 2), (2, 3)]),
        ("ｶﾞｸ", "ガク", [(0, 2), (2, 3)]),
        ("㍻元", "平成元", [(0, 1), (0, 1), (1, 2)]),
        ("東\u200b京", "東京", [(0, 1), (2, 3)]),
        ("か\u200b\u3099く", "がく", [(0, 3), (3, 4)]),
        ("あ\u3099い", "あ\u3099い", [(0, 1), (1, 2), (2, 3)]),
        ("Ａ\x00", "A ", [(0, 1), (1, 2)]),
        ("\u1112\u1161\u11ab글", "한글", [(0, 3), (3, 4)]),
        ("葛\U000e0100城", "葛城", [(0, 1), (2, 3)]),
        ("𠮷𝐀", "𠮷A", [(0, 1), (1, 2)]),
    ],
)
def test_normalised_spans(text: str, normal: str, spans: list[tuple[int, int]]) -> None:
    normalised = normalise(text, "nfkc")

    assert normalised.text == normal
    assert list(zip(normalised.starts.tolist(), normalised.ends.tolist(), strict=True)) == spans


def test_zenkaku_makes_ascii_full_width() -> None:
    assert normalise("ｱ a-1\u3000（改行）\n", "zenkaku").text == "ア\u3000ａ－１\u3000（改行）\n"


def test_no_normaliser_keeps_the_text() -> None:
    assert normalise("ｱ\u200b\x00㍻", "none").text == "ｱ\u200b\x00㍻"


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_lone_surrogates_are_refused_with_their_place(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"lone surrogate \(U\+D\w+\) at character \d"):
        normalise(text, "nfkc")


@pytest.mark.timeout(60)  # ordering all of them at once takes minutes
def test_many_marks_on_one_character_do_not_hang() -> None:
    text = "z" + "\u0301\u0316" * 100_000

    normalised = normalise(text, "nfkc")

    assert len(normalised.text) == len(text) - 1  # ź
    check_alignment(text, "nfkc")
    short = text[: MAX_JOINING_MARKS + 1]
    assert normalise(short, "nfkc").text == unicodedata.normalize("NFKC", short)

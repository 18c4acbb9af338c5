"""Brackets that belong together."""

from hypothesis import given
from hypothesis import strategies as st

from app.text.brackets import bracket_pairs
from app.text.characters import BRACKETS


def test_pairs_nest_and_what_has_no_partner_is_no_bracket() -> None:
    assert bracket_pairs("a（b「c」d）", 0, 8) == {1: 7, 3: 5}
    assert bracket_pairs("）（「）", 0, 4) == {1: 3}
    assert bracket_pairs("（（）", 0, 3) == {1: 2}


def test_only_the_stretch_that_is_asked_for_is_looked_at() -> None:
    assert bracket_pairs("（（））", 1, 3) == {1: 2}


@given(text=st.text(alphabet="「」『』（）﹁﹂あ", max_size=40))
def test_pairs_are_of_one_kind_and_never_cross(text: str) -> None:
    pairs = bracket_pairs(text, 0, len(text))
    for opened, closed in pairs.items():
        assert BRACKETS[text[opened]] == text[closed]
        for other, its_end in pairs.items():
            assert not opened < other < closed < its_end

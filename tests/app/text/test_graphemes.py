import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.text.graphemes import around, cluster_end, cluster_start, whole_spans
from app.types import IntArray
from tests.hostile import CHARACTERS, HOSTILE_TEXTS, boundaries

# Parts of characters as well: a mark without its letter, half a flag.
PARTS = st.lists(st.sampled_from([*CHARACTERS, *"".join(CHARACTERS)]), max_size=20).map("".join)


def check_around(text: str) -> None:
    places = np.arange(len(text) + 1, dtype=np.int32)
    lower, upper = around(text, places)
    assert lower.tolist() == [max(one for one in boundaries(text) if one <= place) for place in places]
    assert upper.tolist() == [min(one for one in boundaries(text) if one >= place) for place in places]


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_clusters_of_hostile_texts_are_those_of_unicode(text: str) -> None:
    check_around(text[:300])


@given(PARTS | st.text(max_size=30))
def test_clusters_of_any_text_are_those_of_unicode(text: str) -> None:
    check_around(text)


@pytest.mark.parametrize("character", [one for one in CHARACTERS if len(one) > 1], ids=ascii)
def test_no_place_inside_a_character_is_a_boundary(character: str) -> None:
    text = f"前{character}後"
    end = 1 + len(character)
    assert [(cluster_start(text, place), cluster_end(text, place)) for place in range(1, end + 1)] == [
        (1, 1),
        *[(1, end)] * (len(character) - 1),
        (end, end),
    ]


def test_places_are_given_in_any_order_and_more_than_once() -> None:
    lower, upper = around("葛\U000e0100か\u3099", spans(3, 1, 0, 3))
    assert (lower.tolist(), upper.tolist()) == ([2, 0, 0, 2], [4, 2, 0, 4])


def test_a_character_of_which_two_spans_have_a_part_belongs_to_the_first() -> None:
    starts, ends = whole_spans("❤\ufe0f\u200d🔥だ", spans(0, 1, 2, 2, 4), spans(1, 1, 2, 5, 5))
    assert (starts.tolist(), ends.tolist()) == ([0, 4, 4, 4, 5], [4, 4, 4, 5, 5])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["か" + "\u3099" * 100_000, "🇯" * 100_000, "か\u3099" * 50_000, "👨\u200d" * 50_000])
def test_long_texts_of_nothing_but_joining_characters_take_linear_time(text: str) -> None:
    lower, upper = around(text, np.arange(len(text), dtype=np.int32))
    assert (lower[0], upper[-1]) == (0, len(text))


def spans(*places: int) -> IntArray:
    return np.array(places, dtype=np.int32)

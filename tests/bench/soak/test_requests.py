"""The requests, and when two answers are the same."""

from typing import Any

import pytest

from bench.soak.requests import CHARACTERS, LONGEST_REQUEST, catalogue, difference, text_of


def test_every_endpoint_gets_every_length() -> None:
    names = [wanted.name for wanted in catalogue()]
    expected = [f"{task} {characters}" for characters in CHARACTERS for task in ("qa", "summarize", "classify")]
    assert names == [*expected, "qa 500 x 4"]
    assert LONGEST_REQUEST in names
    assert catalogue() == catalogue()


@pytest.mark.parametrize("characters", CHARACTERS)
def test_texts_have_their_length_and_differ(characters: int) -> None:
    assert len(text_of(characters, 1)) == characters
    assert text_of(characters, 1) != text_of(characters, 2)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        ({"a": [1, {"b": 0.5}], "timings": 9}, ""),
        ({"a": [1, {"b": 0.5000001}], "timings": 1}, ""),
        ({"a": [1, {"b": 0.51}], "timings": 1}, ".a[1].b is 0.51, not 0.5"),
        ({"a": [2, {"b": 0.5}], "timings": 1}, ".a[0] is 2, not 1"),
        ({"a": [1.0, {"b": 0.5}], "timings": 1}, ".a[0] is 1.0, not 1"),
        ({"a": [1], "timings": 1}, ".a is [1], not [1, {'b': 0.5}]"),
        ({"a": [1, {"c": 0.5}], "timings": 1}, ".a[1] is {'c': 0.5}, not {'b': 0.5}"),
        ({"a": [1, {"b": "x"}], "timings": 1}, ".a[1].b is 'x', not 0.5"),
    ],
)
def test_differences(got: Any, words: str) -> None:
    assert difference({"a": [1, {"b": 0.5}], "timings": 1}, got) == words

"""Raised and lowered characters in plain text."""

import pytest

from app.files.raised import fraction, lowered, raised


@pytest.mark.parametrize(
    ("text", "above", "below"),
    [("10", "¹⁰", "₁₀"), ("-3", "⁻³", "₋₃"), ("n", "ⁿ", "n"), ("st", "st", "st"), ("※1", "※1", "※1"), ("", "", "")],
)
def test_digits_and_signs_have_raised_and_lowered_forms_and_words_stay(text: str, above: str, below: str) -> None:
    assert (raised(text), lowered(text)) == (above, below)


def test_a_fraction_stands_on_one_line() -> None:
    assert fraction("2", "3") == "2/3"

"""The text of EQ fields by their codes."""

import pytest

from app.files.docx_equations import equation_text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (r" EQ \o\ac(○,印)", "印"),
        (r'EQ \* jc2 \* "Font:ＭＳ 明朝" \* hps10 \o\ad(\s\up 9(かんじ),漢字)', "漢字"),
        (r"eq \f(1,2)", "1/2"),
        (r"EQ \x(枠,の中)", "枠の中"),
        (r"EQ \o\ac(" + "(" * 1000, "(" * 1000),
        ("EQ", ""),
        ("PAGE", ""),
        (r"EQUAL \o(甲,乙)", ""),
    ],
)
def test_a_field_that_is_an_equation_has_the_text_that_it_shows(code: str, text: str) -> None:
    assert equation_text(code) == text

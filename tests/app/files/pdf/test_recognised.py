"""Recognised text: its spaces and its rough places. Glyphs are set by hand as Tesseract sets them."""

from dataclasses import replace

import pytest

from app.files.pdf.geometry import Box, Direction, FlowBox
from app.files.pdf.glyphs import Glyph
from app.files.pdf.recognised import settled
from tests.app.files.pdf.setting import across, page, texts


def word(text: str, left: float, top: float = 100.0, width: float = 5.0, angle: int = 0) -> list[Glyph]:
    """A word of recognised text, 10 points high, and the space after it. `width` is that of each character."""
    boxes = [Box(left + place * width, top, left + (place + 1) * width, top + 10) for place in range(len(text) + 1)]
    if angle == 90:
        boxes = [Box(box.top, box.left, box.bottom, box.right) for box in boxes]
    return [
        Glyph(character, box, 10.0, angle, bold=False, recognised=True)
        for character, box in zip(text + " ", boxes, strict=True)
    ]


def test_spaces_between_japanese_words_are_dropped() -> None:
    assert texts(page(word("午後", 20), word("9", 31), word("時", 40), word("から", 48))) == ["午後9時から"]


def test_spaces_between_latin_words_stay() -> None:
    assert texts(page(word("Open", 20), word("Day", 46), word("を", 66), word("開く", 75))) == ["Open Dayを開く"]


def test_spaces_inside_latin_brackets_and_numbers_are_dropped() -> None:
    line = [*word("(", 20), *word("1", 30), *word(")", 40), *word("17,", 50), *word("600", 70), *word("円", 90)]
    assert texts(page(line)) == ["(1) 17,600円"]


def test_a_wide_gap_before_punctuation_is_no_space() -> None:
    line = [
        *word("町内会館", 20, width=9),
        *word("という", 61, width=8),
        *word("。", 100),
        *word("ただし", 111, width=9),
    ]
    assert texts(page(line)) == ["町内会館という。ただし"]


def test_overlapping_words_are_read_in_the_order_of_the_file() -> None:
    # As Tesseract places 限りでない: the first word reaches over the next two.
    glyphs = page(word("限り", 20, width=15), word("で", 39, width=3), word("な", 45, width=3), word("い", 52, width=4))
    assert texts(glyphs) == ["限りでない"]


def test_gaps_inside_a_line_are_no_spaces() -> None:
    assert texts(page(word("町", 20), word("内", 36), word("会", 52), word("館", 68))) == ["町内会館"]


def test_a_gap_as_wide_as_a_full_width_space_stays() -> None:
    assert texts(page(word("第2条", 20, width=8), word("会館を使う", 57, width=9))) == ["第2条\u3000会館を使う"]


def test_lines_stay_lines() -> None:
    first, second = word("第1条", 20, top=100, width=9), word("第2条", 20, top=130, width=9)
    assert texts(page(first, second)) == ["第1条", "第2条"]


def test_words_of_a_vertical_line_are_joined_downwards() -> None:
    glyphs = settled([*word("琵琶", 50, width=20, angle=90), *word("湖", 72, width=5, angle=90)])
    assert [(glyph.text, glyph.box) for glyph in glyphs] == [
        ("琵", Box(100, 50, 110, 70)),
        ("琶", Box(100, 70, 110, 90)),
        ("湖", Box(100, 90, 110, 95)),
    ]


def test_glyphs_that_the_page_shows_are_left_alone() -> None:
    glyphs = [*across("氏 名", 20, 100), *across("田中", 45, 100)]
    assert settled(glyphs) == glyphs


def test_a_recognised_word_is_not_moved_by_text_that_the_page_shows() -> None:
    shown, recognised = across("受領", 20, 100), word("印", 30)
    assert settled([*shown, *recognised]) == [*shown, recognised[0]]


def test_words_turned_by_other_angles_stay_where_they_are() -> None:
    glyphs = [replace(glyph, angle=-1) for glyph in [*word("限り", 20, width=15), *word("で", 39)]]
    assert settled(glyphs) == [glyph for glyph in glyphs if glyph.text != " "]


@pytest.mark.parametrize("direction", Direction)
def test_box_is_the_inverse_of_flow(direction: Direction) -> None:
    box = Box(1.0, 2.0, 30.0, 12.0)
    assert direction.box(direction.flow(box)) == box
    assert direction.flow(direction.box(FlowBox(1.0, 2.0, 30.0, 44.0))) == FlowBox(1.0, 2.0, 30.0, 44.0)


def test_a_glyph_of_several_characters_parts_words_by_those_next_to_the_space() -> None:
    office, out = word("o", 20), word("Y", 40)
    glyphs = [replace(office[0], text="office"), office[1], replace(out[0], text="Yes")]
    assert [glyph.text for glyph in settled(glyphs)] == ["office", " ", "Yes"]

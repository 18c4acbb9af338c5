"""Lines: spaces, ruby, tate-chu-yoko, and glyphs that stand where no reader expects them."""

import pytest

from app.files.pdf.geometry import Box
from app.files.pdf.glyphs import Glyph
from tests.app.files.pdf.setting import across, down, page, texts, turned


def line(*parts: list[Glyph]) -> str:
    (text,) = texts(page(*parts))
    return text


def test_a_gap_of_one_em_between_kanji_is_a_full_width_space() -> None:
    assert line(across("第１条", 50, 50), across("甲は", 90, 50)) == "第１条　甲は"


def test_glyphs_that_justification_pulls_apart_have_no_spaces() -> None:
    assert line(across("甲は乙に机を売る", 50, 50, gap=6)) == "甲は乙に机を売る"


def test_a_gap_on_top_of_what_justification_adds_is_a_space() -> None:
    assert line(across("甲は乙に", 50, 50, gap=3), across("机を売る", 115, 50, gap=3)) == "甲は乙に　机を売る"


@pytest.mark.parametrize(("gap", "text"), [(0.5, "ab cd"), (0.25, "ab cd"), (0.1, "abcd")])
def test_latin_words_are_parted_by_a_gap_of_a_fifth_of_an_em(gap: float, text: str) -> None:
    assert line(across("ab", 50, 50), across("cd", 60 + 10 * gap, 50)) == text


def test_a_quarter_em_between_latin_and_kanji_is_no_space() -> None:
    assert line(across("毎月", 50, 50), across("12", 72.5, 50), across("日", 85, 50)) == "毎月12日"


def test_real_spaces_of_the_file_are_kept_inside_a_line() -> None:
    assert line(across("値は machine な", 50, 50)) == "値は machine な"


def test_white_space_of_the_file_that_takes_no_room_is_no_space() -> None:
    blank = Glyph(" ", Box(70, 50, 70, 60), 10, 0, False)

    assert line(across("甲は", 50, 50), [blank], across("乙に", 70, 50)) == "甲は乙に"


def test_ruby_over_kanji_is_dropped_and_leaves_no_space() -> None:
    assert line(across("市の汐", 50, 50), across("しおいり", 65, 45, size=5), across("入川", 80, 50)) == "市の汐入川"


def test_ruby_wider_than_its_kanji_leaves_no_space_next_to_it() -> None:
    base = [*across("本の", 50, 50), *across("頁", 77.5, 50), *across("を", 95, 50)]

    assert line(base, across("ページペ", 72, 44.4, size=5)) == "本の頁を"


def test_ruby_next_to_a_vertical_line_is_dropped() -> None:
    assert line(down("市内の葦原を調べる", 300, 50), down("あしはら", 305, 80, size=5)) == "市内の葦原を調べる"


def test_emphasis_dots_over_kana_are_dropped() -> None:
    assert line(across("まったくだめ", 50, 50), across("﹅﹅﹅﹅", 52.5, 45, size=5)) == "まったくだめ"


def test_small_kana_that_stand_over_nothing_are_text() -> None:
    assert texts(page(across("本文", 50, 50), across("ちいさい", 200, 20, size=5))) == ["ちいさい", "本文"]


def test_small_latin_over_text_is_no_ruby() -> None:
    assert "TEL" in "".join(texts(page(across("電話番号", 50, 50), across("TEL", 50, 44, size=5))))


def test_two_digits_side_by_side_in_a_vertical_line_are_read_from_left_to_right_without_space() -> None:
    pair = across("12", 290, 90)

    assert line(down("令和七年", 300, 50), pair, down("月から始める", 300, 100)) == "令和七年12月から始める"


def test_latin_that_is_turned_in_a_vertical_line_keeps_its_spaces() -> None:
    words = turned("open data", 300, 80)

    assert line(down("全部を", 300, 50), words, down("で公開する", 300, 125)) == "全部をopen dataで公開する"


def test_bold_type_made_by_drawing_twice_is_read_once() -> None:
    assert line(across("重要事項", 50, 50), across("重要事項", 50.3, 50)) == "重要事項"


def test_the_same_character_twice_in_a_row_stays_twice() -> None:
    assert line(across("々々ああll", 50, 50)) == "々々ああll"


def test_glyphs_in_any_order_of_the_file_are_read_from_left_to_right() -> None:
    glyphs = across("甲は乙に机を売る", 50, 50)

    assert line(glyphs[5:], glyphs[:2], glyphs[2:5]) == "甲は乙に机を売る"


def test_a_superscript_stands_in_its_line() -> None:
    assert (
        line(across("面積は10m", 50, 50), across("2", 95, 49, size=6), across("である", 98, 50)) == "面積は10m2である"
    )

"""Reading order: columns, tiers of vertical text, text in several directions."""

from app.files.pdf.geometry import Box
from app.files.pdf.glyphs import SKEW, Glyph
from tests.app.files.pdf.setting import across, blocks, down, page, texts

LEFT = ["港町の朝は早い漁に出", "る船が灯台の前を通り", "やがて水平線の向こう", "に消えていくのを見る"]
RIGHT = ["市場では夜のうちに並", "べられた箱の間を仲買", "人が歩きまわり値段が", "決まると声が上がるの"]


def test_two_columns_are_read_one_after_the_other_and_a_heading_across_comes_first() -> None:
    rows = [across(left, 50, 100 + 15 * n) + across(right, 165, 100 + 15 * n) for n, (left, right) in lines()]

    assert texts(page(across("海図から見る砂州の変化と町", 80, 50, size=16), *rows)) == [
        "海図から見る砂州の変化と町",
        "".join(LEFT) + "".join(RIGHT),
    ]


def lines() -> list[tuple[int, tuple[str, str]]]:
    return list(enumerate(zip(LEFT, RIGHT, strict=True)))


def test_two_tiers_of_vertical_text_are_read_the_upper_one_first() -> None:
    upper = [down(text, 350 - 16 * n, 50) for n, text in enumerate(LEFT)]
    lower = [down(text, 350 - 16 * n, 170) for n, text in enumerate(RIGHT)]

    assert texts(page(*[part for pair in zip(upper, lower, strict=True) for part in pair])) == [
        "".join(LEFT) + "".join(RIGHT)
    ]


def test_vertical_lines_are_read_from_right_to_left_in_any_order_of_the_file() -> None:
    columns = [down(text, 350 - 16 * n, 50) for n, text in enumerate(LEFT)]

    assert texts(page(*reversed(columns))) == ["".join(LEFT)]


def test_a_horizontal_head_over_vertical_text_comes_first() -> None:
    columns = [down(text, 350 - 16 * n, 80) for n, text in enumerate(LEFT)]

    assert texts(page(*columns, across("北浜市広報", 180, 40))) == ["北浜市広報", "".join(LEFT)]


def test_single_characters_below_each_other_on_a_horizontal_page_are_rows() -> None:
    rows = [across(text, 50, 50 + 20 * n) for n, text in enumerate("甲乙丙丁戊")]

    assert texts(page(across("署名した人の名を次に示すことにする。", 50, 20), *rows))[1:] == list("甲乙丙丁戊")


def test_a_vertical_label_on_a_horizontal_page_is_one_text() -> None:
    rows = [across("水温と濁度を毎月測るものとし、", 100, 50 + 20 * n) for n in range(4)]

    assert "測定項目" in texts(page(*rows, down("測定項目", 60, 50)))


def test_text_that_is_turned_by_an_angle_is_furniture() -> None:
    mark = [Glyph(char, Box(100 + 20 * n, 300 - 15 * n, 130, 330), 30, SKEW, False) for n, char in enumerate("社外秘")]

    assert blocks(page(across("本文である。", 50, 50), mark)) == [
        ("furniture", "社外秘"),
        ("paragraph", "本文である。"),
    ]


def test_a_page_without_glyphs_has_no_text() -> None:
    assert texts(page(), page(across("本文", 50, 50)), page()) == ["本文"]


def test_a_column_of_one_character_takes_no_character_from_the_column_next_to_it() -> None:
    columns = [*LEFT[:2], "二", *RIGHT[:2]]
    # In the file the next column follows, at the right of the short one.
    order = [0, 2, 1, 3, 4]
    parts = [down(columns[n], 350 - 17 * n, 50) for n in order]

    assert "".join(texts(page(*parts))) == "".join(columns)


def test_many_columns_of_numbers_are_looked_through_in_time() -> None:
    rows = [across(f"{n}{c}", 40 + 28 * c, 20 + 9 * n, size=7) for n in range(60) for c in range(12)]

    assert len(blocks(page(*rows))) == 60

"""Numbers keep their digits, separators, sign and unit; other words are left alone."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.text.numbers import inside_numbers


def parts(text: str, word_starts: str | None = None) -> list[str]:
    """A text cut wherever no number forbids it."""
    starts = np.ones(len(text) + 1, dtype=np.bool_)
    if word_starts is not None:
        starts = np.array([char == "^" for char in word_starts] + [True])
    places = np.flatnonzero(~inside_numbers(text, starts)).tolist()
    return [text[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.parametrize(
    "number",
    [
        "14.6パーセント",
        "３，０００円",
        "1億2,000万人",
        "一八九一年",
        "七・五倍",
        "二分の一",
        "数十人",
        "第３条",
        "2003（平成15）年",
        "1958（昭和33）年",
        "31（2019）年",
        "2019（令和元）年度",
        "1,200(1,000)円",
        "（0277）76-2111",
        "03（1234）5678",
        "第 3 回",
        "10:30",
        "2024/5/1",
        "03-1234-5678",
        "100 km/h",
        "5 GB",
        "５つ",
        "三ヶ月",
        "１０ 本",
        "¥1,000",
        "83.8%",
        "35.5℃",
        "壱百万円",
        "COVID-19",
        "v1.2.3",
        "a_b@example.com",
        "R&B",
        "3LDK",
        "100m²",
        "10²cm",
        "¼カップ",
        "Ⅳ章",
        "12 ミリメートル",
        "50 パーセント",
        "-5℃",
        "№12",
        "〒150-0001",
        "㍻30年",
        "1×10^5",
        "十数年",
        "10キロク\u3099ラム",
        "120ヘ\u309aーシ\u3099",
        "３時14分",
        "十時三十分",
        "1時間30分",
        "2分15秒",
        "２時半",
        "3年半",
        "1年6か月",
        "6ヶ月10日",
        "２分の１",
        "3分の2",
        "大さじ5",
        "小さじ 1/2",
        "三丁目８番",
        "五丁目十番一号",
        "2丁目3番地の4",
        "3丁目5-12",
        "（〇一二）三四五－六七八九",
    ],
)
def test_nothing_parts_a_number_from_its_separators_and_its_unit(number: str) -> None:
    assert parts(f"は{number}。") == ["は", number, "。"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5月1日", ["5月", "1日"]),
        ("17時15分の31分前", ["17時15分", "の", "31分", "前"]),
        ("2時半額", ["2時", "半", "額"]),
        ("2025年半ば", ["2025年", "半", "ば"]),
        ("10:00-17:00", ["10:00", "-", "17:00"]),
        ("1380年-1440年", ["1380年", "-", "1440年"]),
        ("(-5)", ["(", "-5", ")"]),
        ("図2 本文", ["図", "2", " ", "本", "文"]),
        ("約10名、", ["約", "10名", "、"]),
        ("Windows 10 Pro", ["Windows", " ", "10", " ", "Pro"]),
        ("12:00 ランチ", ["12:00", " ", "ラ", "ン", "チ"]),  # a word after a space counts nothing
        ("10:30発", ["10:30", "発"]),  # nor does anything after a time of day
        ("13:00分科会", ["13:00", "分", "科", "会"]),
        ("10:00／13:00", ["10:00", "／", "13:00"]),
        ("1,200/600円", ["1,200", "/", "600円"]),
        ("03-1234-5678／03-1234-5679", ["03-1234-5678", "／", "03-1234-5679"]),
        ("4/1-4/30", ["4/1", "-", "4/30"]),
        ("2024/4/1-2024/4/30", ["2024/4/1", "-", "2024/4/30"]),
        ("1,000円－3,000円", ["1,000円", "－", "3,000円"]),
        ("20℃-30℃", ["20℃", "-", "30℃"]),
        ("-5℃から", ["-5℃", "か", "ら"]),  # nothing before the sign
        ("TEL03-1234-5678", ["TEL", "03-1234-5678"]),
        ("Fax.03-1234-5678", ["Fax.", "03-1234-5678"]),
    ],
)
def test_several_numbers_in_a_row_may_be_separated(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


def test_a_numeral_inside_a_word_is_no_number() -> None:
    assert parts("統一戦線", "^.^.") == ["統", "一", "戦", "線"]
    assert parts("一戦する", "^^^.") == ["一戦", "す", "る"]


@given(text=st.text(alphabet="0123９.,:年人第一万 %mA-ア本。", max_size=40))
@example(text="3万0A00")
@example(text="3万0,0A00")
@example(text=":00%")
@example(text="0 m2%")
def test_no_place_between_two_digits_or_before_a_percent_sign_is_outside(text: str) -> None:
    inside = inside_numbers(text, np.ones(len(text) + 1, dtype=np.bool_))
    for place in range(1, len(text)):
        before, after = text[place - 1], text[place]
        if before in "0123９" and after in "0123９%":
            assert inside[place]
        if before in "。" or after in "。":
            assert not inside[place]
    assert not inside[0]
    assert not inside[len(text)]

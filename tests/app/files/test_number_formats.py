"""Numbers and dates in Excel's formats, with the texts that Excel shows."""

import pytest

from app.files.number_formats import BUILT_IN, shown_number, shown_text

DAY = 45731.0  # 2025-03-15, a Saturday


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234567, "0", "1234567"),
        (1234.567, "0.00", "1234.57"),
        (1.005, "0.00", "1.01"),  # the decimal number that is written, not its binary neighbour
        (-1.5, "0", "-2"),
        (-0.004, "0.00", "0.00"),
        (1234567, "#,##0", "1,234,567"),
        (0, "#,##0", "0"),
        (0, "#", ""),
        (0.5, "0.0#", "0.5"),
        (0.125, "0.0%", "12.5%"),
        (8800, '#,##0"円"', "8,800円"),
        (8800, "[$¥-411]#,##0;[Red]-[$¥-411]#,##0", "¥8,800"),
        (-8800, "#,##0;[赤]▲ #,##0", "▲ 8,800"),
        (-8800, "#,##0_);(#,##0)", "(8,800)"),
        (0, '#,##0;-#,##0;"－"', "－"),
        (1234567, '#,##0,"千円"', "1,235千円"),
        (1234567, '0.0,,"百万円"', "1.2百万円"),
        (3, '"第"0"条"', "第3条"),
        (1600022, "000-0000", "160-0022"),
        (7, "000", "007"),
        (12345, "0.00E+00", "1.23E+04"),
        (99.995, "0.00E+00", "1.00E+02"),
        (12345, "##0.0E+0", "12.3E+3"),
        (50, "[<100]0;[>=100]0.0", "50"),
        (150, "[<100]0;[>=100]0.0", "150.0"),
        (1, '[=1]"はい";[=0]"いいえ"', "はい"),
        (1, ";;;", ""),  # such a format hides its cell
        (1.5, "# ?/?", "1.5"),
        (0.1 + 0.2, "General", "0.3"),
        (1e-7, "G/標準", "1E-07"),
        (12345678901234, "General", "12345678901234"),
        (5, 'General"人"', "5人"),
        (5, "@", "5"),
        (1e300, "0", "1" + "0" * 300),
    ],
)
def test_a_number_in_a_format(value: float, code: str, text: str) -> None:
    assert shown_number(value, code) == text


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (DAY, "yyyy/m/d", "2025/3/15"),
        (DAY, "yy-mm-dd", "25-03-15"),
        (DAY, 'yyyy"年"m"月"d"日"(aaa)', "2025年3月15日(土)"),
        (DAY, "m/d（aaaa）", "3/15（土曜日）"),
        (DAY, "ddd d mmm yyyy", "Sat 15 Mar 2025"),
        (DAY, '[$-411]ggge"年"m"月"d"日"', "令和7年3月15日"),
        (DAY, "[$-411]ge.mm.dd", "R7.03.15"),
        (DAY, "gge", "令7"),
        (43585, "[$-411]ge.m.d", "H31.4.30"),
        (43586, "[$-411]ge.m.d", "R1.5.1"),
        (43586, '[$-ja-JP-x-gannen]ggge"年"', "令和元年"),
        (32515, "ge.m.d", "S64.1.7"),
        (32516, "ge.m.d", "H1.1.8"),
        (61, "yyyy/m/d", "1900/3/1"),
        (59, "yyyy/m/d", "1900/2/28"),
        (0, "yyyy/m/d", "1900/1/0"),  # as Excel shows the date of an empty cell
        (0.5, "h:mm", "12:00"),
        (DAY + 0.5625, "yyyy/m/d h:mm", "2025/3/15 13:30"),
        (DAY + 0.5625, "h:mm AM/PM", "1:30 PM"),
        (0.5625, 'h"時"mm"分"', "13時30分"),
        (1.5, "[h]:mm", "36:00"),
        (0.0625, "[mm]:ss", "90:00"),
        (0.000694, "mm:ss.0", "01:00.0"),
        (0.99999999, "h:mm:ss", "0:00:00"),
        (-1, "yyyy/m/d", "-1"),  # no date: Excel shows ####
        (1e12, "yyyy/m/d", "1000000000000"),
    ],
)
def test_a_date_or_a_time_in_a_format(value: float, code: str, text: str) -> None:
    assert shown_number(value, code) == text


def test_a_date_that_counts_from_1904() -> None:
    assert shown_number(DAY - 1462, "yyyy/m/d", from_1904=True) == "2025/3/15"


@pytest.mark.parametrize(
    ("code", "text"),
    [("General", "山田"), ("0", "山田"), ('@"様"', "山田様"), ('0;0;0;"氏名 "@', "氏名 山田"), (";;;", "")],
)
def test_a_text_in_a_format(code: str, text: str) -> None:
    assert shown_text("山田", code) == text


@pytest.mark.parametrize(
    "code", ["", '"', "\\", "[", "_", "*", ";", "0" * 10_000, "[h", "E+", "%%%%%%%%0", "0,,,,,,,,", "[<x]0"]
)
@pytest.mark.parametrize("value", [0.0, -1.5, 1e300, 5e-324, DAY])
def test_a_format_that_is_no_format_raises_nothing(code: str, value: float) -> None:
    assert isinstance(shown_number(value, code), str)
    assert isinstance(shown_text("字", code), str)


def test_every_format_that_is_named_by_number_is_one() -> None:
    shown = {number: shown_number(DAY + 0.25, code) for number, code in BUILT_IN.items()}
    assert {number: shown[number] for number in (3, 14, 20, 28, 31, 57)} == {
        3: "45,731", 14: "2025/3/15", 20: "6:00", 28: "令和7年3月15日", 31: "2025年3月15日", 57: "R7.3.15",
    }  # fmt: skip
    assert all(shown.values())

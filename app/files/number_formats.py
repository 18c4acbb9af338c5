"""A number and its number format -> the text that a cell of a workbook shows: 8800 as `#,##0"円"` is 8,800円.

The language of the formats is that of ECMA-376 part 1, section 18.8.31, with the codes of Japanese Excel (eras, 曜日).
Colours, padding and the width of columns are left out; fractions (`# ?/?`) are shown as decimals, and numbers that
a format writes in kanji (`[DBNum1]`) in digits. This module does not know cells or files.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

GENERAL = "General"
# Formats that a file names by number alone. Those from 27 on are the ones of Japanese Excel.
BUILT_IN: dict[int, str] = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"¥"#,##0;"¥"-#,##0', 6: '"¥"#,##0;"¥"-#,##0',
    7: '"¥"#,##0.00;"¥"-#,##0.00', 8: '"¥"#,##0.00;"¥"-#,##0.00', 9: "0%", 10: "0.00%", 11: "0.00E+00",
    14: "yyyy/m/d", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm",
    21: "h:mm:ss", 22: "yyyy/m/d h:mm", 27: "[$-411]ge.m.d", 28: '[$-411]ggge"年"m"月"d"日"',
    29: '[$-411]ggge"年"m"月"d"日"', 30: "m/d/yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"時"mm"分"', 33: 'h"時"mm"分"ss"秒"',
    34: 'yyyy"年"m"月"', 35: 'm"月"d"日"', 36: "[$-411]ge.m.d", 37: "#,##0;-#,##0", 38: "#,##0;-#,##0",
    39: "#,##0.00;-#,##0.00", 40: "#,##0.00;-#,##0.00", 41: "#,##0;-#,##0;-", 42: '"¥"#,##0;"¥"-#,##0;"¥"-',
    43: "#,##0.00;-#,##0.00;-", 44: '"¥"#,##0.00;"¥"-#,##0.00;"¥"-', 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    48: "0.0E+0", 49: "@", 50: "[$-411]ge.m.d", 51: '[$-411]ggge"年"m"月"d"日"', 52: 'yyyy"年"m"月"', 53: 'm"月"d"日"',
    54: '[$-411]ggge"年"m"月"d"日"', 55: 'yyyy"年"m"月"', 56: 'm"月"d"日"', 57: "[$-411]ge.m.d",
    58: '[$-411]ggge"年"m"月"d"日"',
}  # fmt: skip

MAX_FORMAT_CHARACTERS = 255  # Excel's own limit
_MAX_PLACES = 30  # Excel keeps 15 digits of a number; longer runs of zeros are for hostile files
_LAST_DAY = 2_958_465  # 9999-12-31
_ERAS = (
    (date(2019, 5, 1), "令和", "R"), (date(1989, 1, 8), "平成", "H"), (date(1926, 12, 25), "昭和", "S"),
    (date(1912, 7, 30), "大正", "T"), (date(1868, 1, 25), "明治", "M"),
)  # fmt: skip
_WEEKDAYS = "月火水木金土日"
_ENGLISH_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|[_*](?P<padding>.)|\[(?P<bracket>[^\]]*)\]?|(?P<general>General|G/標準)|'
    r"(?P<half>AM/PM|A/P)|(?P<exponent>E[+-])|(?P<date>y+|m+|d+|h+|s+|g+|e+|aaaa?)|(?P<digit>[0#?])|(?P<point>\.)|"
    r"(?P<comma>,)|(?P<percent>%)|(?P<text>@)|(?P<literal>.)",
    re.IGNORECASE | re.DOTALL,
)
_SECTION = re.compile(r'(?:"[^"]*"?|\\.|[_*].|\[[^\]]*\]?|[^;])*', re.DOTALL)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)(-?[0-9.]+)")
_ELAPSED = re.compile(r"h+|m+|s+", re.IGNORECASE)


class _Token(NamedTuple):
    kind: str
    text: str


class _Section(NamedTuple):
    tokens: tuple[_Token, ...]
    condition: tuple[str, float] | None
    is_date: bool
    first_year_is_gannen: bool


def shown_number(value: float, code: str, from_1904: bool = False) -> str:
    """The text of a number in a format. `from_1904`: whether dates count from 1904, as early Macs had it."""
    sections = _parse(code)
    section, magnitude = _chosen(value, sections)
    if section.is_date:
        return _date(magnitude, section, from_1904) or general(value)
    if any(token.kind == "general" for token in section.tokens):
        text = general(magnitude)
        return "".join(text if token.kind == "general" else _literal(token) for token in section.tokens).strip()
    if section.tokens and all(token.kind == "text" for token in section.tokens):
        return general(value)
    return _number(magnitude, section).strip()


def shown_text(text: str, code: str) -> str:
    """A text in a format: `@"様"` adds 様."""
    sections = _parse(code)
    last = sections[-1]
    if len(sections) == 4 or any(token.kind == "text" for token in last.tokens):
        return "".join(text if token.kind == "text" else _literal(token) for token in last.tokens)
    return text


def general(value: float) -> str:
    """A number without a format: whole numbers whole, others with ten digits."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.10g}".replace("e", "E")


@lru_cache(maxsize=1024)
def _parse(code: str) -> tuple[_Section, ...]:
    """The sections of a format, at most four: positive, negative, zero, text."""
    sections: list[_Section] = []
    code, at = code[:MAX_FORMAT_CHARACTERS], 0
    while len(sections) < 4:
        found = _SECTION.match(code, at)
        assert found is not None  # it matches the empty text
        sections.append(_section(found.group()))
        at = found.end() + 1
        if at > len(code):
            break
    return tuple(sections)


def _section(code: str) -> _Section:
    tokens: list[_Token] = []
    condition = None
    gannen = False
    for found in _TOKEN.finditer(code):
        kind = found.lastgroup or ""
        text = found.group(kind)
        if kind == "bracket":
            gannen = gannen or "gannen" in text
            if limit := _CONDITION.fullmatch(text):
                condition = (limit.group(1), _float(limit.group(2)))
            elif _ELAPSED.fullmatch(text):
                tokens.append(_Token("elapsed", text.lower()))
            elif text.startswith("$"):  # a currency and a language: $¥-411
                tokens.append(_Token("quoted", text[1:].partition("-")[0]))
        elif kind != "padding":
            tokens.append(_Token(kind, text.lower() if kind == "date" else text))
    is_date = any(token.kind in ("date", "half", "elapsed") for token in tokens)
    return _Section(tuple(tokens), condition, is_date, gannen)


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _chosen(value: float, sections: tuple[_Section, ...]) -> tuple[_Section, float]:
    """The section for a value, and the value as that section writes it: without its sign where the section has one."""
    for section in sections[:3]:
        if section.condition is not None and _holds(value, *section.condition):
            return section, abs(value) if section is not sections[0] else value
    if any(section.condition is not None for section in sections):
        rest = [section for section in sections[:3] if section.condition is None]
        return (rest[-1] if rest else sections[-1]), value
    if len(sections) == 1 or value > 0:
        return sections[0], value
    if value < 0:
        return sections[1], -value
    return sections[2 if len(sections) > 2 else 0], value


def _holds(value: float, relation: str, limit: float) -> bool:
    return {
        "<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit,
        "=": value == limit, "<>": value != limit,
    }[relation]  # fmt: skip


def _literal(token: _Token) -> str:
    """What a token writes that stands for itself."""
    return token.text if token.kind in ("quoted", "escaped", "literal", "percent", "point", "comma") else ""


# --- numbers ---------------------------------------------------------------------------------------------------------


def _number(value: float, section: _Section) -> str:
    """Digits in their places. Literals between places stay: `000-0000` writes 1234567 as 123-4567."""
    tokens = section.tokens
    digits = [place for place, token in enumerate(tokens) if token.kind == "digit"]
    if not digits:  # only literals, such as the dash for zero
        return "".join(_literal(token) for token in tokens)
    if any(token == _Token("literal", "/") for token in tokens[digits[0] : digits[-1]]):
        return general(value)
    point = next((place for place, token in enumerate(tokens) if token.kind == "point"), len(tokens))
    power = next((place for place, token in enumerate(tokens) if token.kind == "exponent"), len(tokens))
    whole = [place for place in digits if place < min(point, power)]
    decimals = [place for place in digits if point < place < power]
    end_of_places = max(whole + decimals, default=digits[-1])
    commas = [place for place, token in enumerate(tokens) if token.kind == "comma"]
    thousands = any(whole and whole[0] < place < whole[-1] for place in commas)
    scale = sum(place > (whole[-1] if whole else -1) and place < point for place in commas)
    scale += sum(end_of_places < place < power for place in commas if point < len(tokens))
    percents = sum(token.kind == "percent" for token in tokens)

    shift = Decimal(10) ** (2 * percents - 3 * scale)
    exact = Decimal(repr(abs(value))) * shift
    exponent, step = 0, max(len(whole), 1)  # ##0.0E+0 writes exponents that are multiples of three
    if power < len(tokens) and exact:
        exponent = exact.adjusted() // step * step
    rounded = _rounded(exact.scaleb(-exponent), len(decimals))
    if power < len(tokens) and rounded >= 10**step:
        exponent += step
        rounded = _rounded(exact.scaleb(-exponent), len(decimals))
    before, _, after = f"{rounded:f}".partition(".")
    written = {
        **_whole_digits(before.lstrip("0"), [(place, tokens[place].text) for place in whole], thousands),
        **_decimal_digits(after, [(place, tokens[place].text) for place in decimals]),
        **_exponent_digits(exponent, [(place, tokens[place].text) for place in digits if place > power]),
    }
    parts = ["-"] if value < 0 and rounded else []
    for place, token in enumerate(tokens):
        if token.kind == "digit":
            parts.append(written[place])
        elif token.kind == "exponent":
            parts.append("E" + ("-" if exponent < 0 else token.text[1].replace("-", "")))
        elif token.kind != "comma":
            parts.append(_literal(token))
    return "".join(parts)


def _rounded(exact: Decimal, places: int) -> Decimal:
    return exact.quantize(Decimal(1).scaleb(-min(places, _MAX_PLACES)), ROUND_HALF_UP, Context(prec=400))


def _whole_digits(digits: str, places: list[tuple[int, str]], thousands: bool) -> dict[int, str]:
    """Place -> its digits before the point. The first place takes all that are left, and `0` writes a zero."""
    written: dict[int, str] = {}
    taken = 0
    for index, (place, holder) in enumerate(reversed(places)):
        is_first = index == len(places) - 1
        rest = digits[: max(len(digits) - taken, 0)]
        own = (rest if is_first else rest[-1:]) or ("0" if holder == "0" else "")
        text = ""
        for digit in reversed(own):
            text = digit + ("," if thousands and taken and taken % 3 == 0 else "") + text
            taken += 1
        written[place] = text
    return written


def _decimal_digits(digits: str, places: list[tuple[int, str]]) -> dict[int, str]:
    """Place -> its digit after the point; `#` and `?` leave zeros at the end out."""
    written: dict[int, str] = {}
    is_end = True
    for index in range(len(places) - 1, -1, -1):
        place, holder = places[index]
        digit = digits[index : index + 1] or "0"
        is_end = is_end and digit == "0" and holder != "0"
        written[place] = "" if is_end else digit
    return written


def _exponent_digits(exponent: int, places: list[tuple[int, str]]) -> dict[int, str]:
    """Place -> its digits of the exponent, as many as there are places or more."""
    return _whole_digits(str(abs(exponent)).lstrip("0"), places, thousands=False)


# --- dates and times -------------------------------------------------------------------------------------------------


def _date(value: float, section: _Section, from_1904: bool) -> str | None:
    """A date, a time or both; None for a number that is no date."""
    if not 0 <= value <= _LAST_DAY:
        return None
    fraction = _second_decimals(section.tokens)
    seconds = round(value * 86_400 * 10**fraction) / 10**fraction
    days, in_day = divmod(seconds, 86_400)
    is_day_0 = not from_1904 and days < 1
    if from_1904 or is_day_0:  # a time without a date is of the day 0 January 1900
        start = datetime(1904 if from_1904 else 1900, 1, 1)
    else:  # Excel has a 29 February 1900, its day 60
        start = datetime(1899, 12, 31 if days < 60 else 30)
    try:
        at = start + timedelta(days=days, seconds=in_day)
    except OverflowError:
        return None
    return "".join(_date_parts(at, seconds, section, is_day_0)).strip()


def _second_decimals(tokens: tuple[_Token, ...]) -> int:
    """The digits after the point of the seconds: 1 for `ss.0`."""
    places = 0
    for first, second in pairwise(tokens):
        is_after = first.kind == "point" or (first.kind == "digit" and places)
        places += second.kind == "digit" and bool(is_after)
    return min(places, 3)


def _date_parts(at: datetime, elapsed: float, section: _Section, is_day_0: bool) -> Iterator[str]:
    tokens = section.tokens
    twelve_hours = any(token.kind == "half" for token in tokens)
    decimals = _second_decimals(tokens)
    minutes = _minutes(tokens)
    for place, token in enumerate(tokens):
        if token.kind == "date" and is_day_0 and token.text in ("d", "dd"):
            yield "0".zfill(len(token.text))
        elif token.kind == "date":
            yield _date_part(at, token.text, place in minutes, twelve_hours, section.first_year_is_gannen)
        elif token.kind == "elapsed":
            unit = {"h": 3600, "m": 60, "s": 1}[token.text[0]]
            yield str(int(elapsed // unit)).zfill(len(token.text))
        elif token.kind == "half":
            yield token.text.split("/")[at.hour >= 12]
        elif token.kind == "digit":
            if decimals:
                yield f"{at.microsecond / 1e6:.{decimals}f}"[2:]
                decimals = 0
        else:
            yield _literal(token)


def _minutes(tokens: tuple[_Token, ...]) -> set[int]:
    """The places of `m` that are minutes: the ones after hours, or before seconds."""
    times = [(place, token.text[0]) for place, token in enumerate(tokens) if token.kind in ("date", "elapsed")]
    found = set()
    for index, (place, letter) in enumerate(times):
        before = times[index - 1][1] if index else ""
        after = times[index + 1][1] if index + 1 < len(times) else ""
        if letter == "m" and len(tokens[place].text) <= 2 and (before == "h" or after == "s"):
            found.add(place)
    return found


def _date_part(at: datetime, code: str, is_minutes: bool, twelve_hours: bool, gannen: bool) -> str:
    letter, length = code[0], len(code)
    if letter == "y":
        return f"{at.year:04d}" if length > 2 else f"{at.year % 100:02d}"
    if letter == "m" and is_minutes:
        return str(at.minute).zfill(length)
    if letter == "m" and length > 2:
        month = _MONTHS[at.month - 1]
        return {3: month[:3], 5: month[0]}.get(length, month)
    if letter == "d" and length > 2:
        name = _ENGLISH_WEEKDAYS[at.weekday()]
        return name[:3] if length == 3 else name
    if letter == "a":
        return _WEEKDAYS[at.weekday()] + ("曜日" if length == 4 else "")
    if letter in "ge":
        return _era_part(at.date(), letter, length, gannen)
    hour = (at.hour % 12 or 12) if twelve_hours else at.hour
    return str({"m": at.month, "d": at.day, "h": hour, "s": at.second}[letter]).zfill(length)


def _era_part(day: date, letter: str, length: int, gannen: bool) -> str:
    """The name of the era (R, 令, 令和) or the year in it."""
    first, name, short = next((era for era in _ERAS if day >= era[0]), _ERAS[-1])
    if letter == "g":
        return {1: short, 2: name[0]}.get(length, name)
    year = day.year - first.year + 1
    return "元" if gannen and year == 1 else str(year).zfill(min(length, 2))

"""Numbers as Word and PowerPoint write them before paragraphs: 1, １, ①, 一, ア, イ, i, A.

Only the shape of one number is here; the reader of each format counts the numbers of its paragraphs.
"""

from collections.abc import Callable

_KANJI_DIGITS = "〇一二三四五六七八九"
_LEGAL_DIGITS = "零壱弐参四五六七八九"
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_AIUEO = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
_HALF_AIUEO = "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝ"
_HALF_IROHA = "ｲﾛﾊﾆﾎﾍﾄﾁﾘﾇﾙｦﾜｶﾖﾀﾚｿﾂﾈﾅﾗﾑｳヰﾉｵｸﾔﾏｹﾌｺｴﾃｱｻｷﾕﾒﾐｼヱﾋﾓｾｽﾝ"
_STEMS = "甲乙丙丁戊己庚辛壬癸"
_BRANCHES = "子丑寅卯辰巳午未申酉戌亥"
_ROMAN = (
    (1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
    (9, "IX"), (5, "V"), (4, "IV"), (1, "I"),
)  # fmt: skip
# Larger numbers stand only in hostile files and are written in plain digits.
_LARGEST = 9_999


def format_number(number: int, shape: str) -> str:
    """`number` in the shape that OOXML calls `shape`; in plain digits if the shape is unknown or lacks the number."""
    if not 0 < number <= _LARGEST or shape not in _SHAPES:
        return str(number)
    return _SHAPES[shape](number) or str(number)


def _of(characters: str) -> Callable[[int], str]:
    """The n-th member of a series; empty past its end."""
    return lambda number: characters[number - 1 : number]


def _enclosed(first: int, last: int) -> Callable[[int], str]:
    return lambda number: chr(first + number - 1) if first + number - 1 <= last else ""


def _circled(number: int) -> str:
    for low, high, first in ((1, 20, 0x2460), (21, 35, 0x3251), (36, 50, 0x32B1)):
        if low <= number <= high:
            return chr(first + number - low)
    return ""


def _letters(number: int) -> str:
    """A to Z, then AA, BB: Word repeats the letter."""
    return chr(ord("A") + (number - 1) % 26) * min((number - 1) // 26 + 1, 10)


def _roman(number: int) -> str:
    text = ""
    for value, letters in _ROMAN:
        count, number = divmod(number, value)
        text += letters * count
    return text


def _kanji(number: int, digits: str, units: str, one: str) -> str:
    """十一, 百二十. `one` is written before a unit that has one of it: 壱 in 壱拾, nothing in 十."""
    text = ""
    for power in (3, 2, 1):
        digit, number = divmod(number, 10**power)
        if digit:
            text += (one if digit == 1 else digits[digit]) + units[power - 1]
    return text + (digits[number] if number else "")


_SHAPES: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "decimalHalfWidth": str,
    "decimalZero": lambda number: f"{number:02}",
    "decimalFullWidth": lambda number: str(number).translate(_FULL_WIDTH),
    "decimalFullWidth2": lambda number: str(number).translate(_FULL_WIDTH),
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "decimalEnclosedParen": _enclosed(0x2474, 0x2487),
    "decimalEnclosedFullstop": _enclosed(0x2488, 0x249B),
    "ideographEnclosedCircle": _enclosed(0x3280, 0x3289),
    "upperLetter": _letters,
    "lowerLetter": lambda number: _letters(number).lower(),
    "upperRoman": _roman,
    "lowerRoman": lambda number: _roman(number).lower(),
    "aiueo": _of(_HALF_AIUEO),
    "aiueoFullWidth": _of(_AIUEO),
    "iroha": _of(_HALF_IROHA),
    "irohaFullWidth": _of(_IROHA),
    "ideographTraditional": _of(_STEMS),
    "ideographZodiac": _of(_BRANCHES),
    "ideographDigital": lambda number: "".join(_KANJI_DIGITS[int(digit)] for digit in str(number)),
    "japaneseDigitalTenThousand": lambda number: "".join(_KANJI_DIGITS[int(digit)] for digit in str(number)),
    "japaneseCounting": lambda number: _kanji(number, _KANJI_DIGITS, "十百千", ""),
    "chineseCounting": lambda number: _kanji(number, _KANJI_DIGITS, "十百千", ""),
    "chineseCountingThousand": lambda number: _kanji(number, _KANJI_DIGITS, "十百千", ""),
    "japaneseLegal": lambda number: _kanji(number, _LEGAL_DIGITS, "拾百阡", "壱"),
    "none": lambda number: "",
}

"""Markup inside lines that is not read: Aozora Bunko's ［＃…］, and ruby 《…》 with its ｜.

The rules are those of https://www.aozora.gr.jp/annotation/: ruby stands in 《》 after kanji, or after any text that
begins with ｜. 《》 are also brackets of titles, so without ｜ only kana right after kanji counts as ruby.
"""

import re

from app.text.characters import BLANKS

_NOTE = r"［＃[^［］\n\r]{0,200}(?:［[^［］\n\r]{0,100}］[^［］\n\r]{0,100})*］"
_KANA = "ぁ-ゖァ-ヺーゝゞヽヾ・\u3099\u309a"
_MARKUP = re.compile(
    rf"(?P<note>{_NOTE})|(?P<bar>[｜|])(?=[^｜|《》\n\r]{{1,40}}《[^《》\n\r]{{1,40}}》)|(?<=[一-鿿㐀-䶿々〆ヶ\U00020000-\U0003ffff])(?P<ruby>《[{_KANA}]{{1,40}}》)"
    rf"|(?P<other>《[^《》\n\r]{{1,40}}》)"
)
_HEADING = re.compile("［＃[^［］]{0,80}?([大中小])見出し")
_LEVELS = {"大": 1, "中": 2, "小": 3}


def markup_spans(text: str) -> list[tuple[int, int]]:
    """The half-open spans of markup and ruby, in order."""
    if "［＃" not in text and "《" not in text:
        return []
    spans: list[tuple[int, int]] = []
    barred = False
    for match in _MARKUP.finditer(text):
        if match.lastgroup == "bar":
            barred = True
        elif match.lastgroup == "other" and not barred:
            continue
        elif match.lastgroup != "note":
            barred = False
        spans.append(match.span())
    return spans


def heading_level(line: str) -> int:
    """The level that ［＃「…」は大見出し］ gives a line as a heading; 0 for any other line."""
    match = _HEADING.search(line) if "見出し" in line else None
    return _LEVELS[match.group(1)] if match else 0


def is_markup(content: str) -> bool:
    """Whether a line holds nothing but markup."""
    return not _MARKUP.sub("", content).strip(BLANKS)

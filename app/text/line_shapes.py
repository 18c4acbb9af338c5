"""The shape of a single line, without its neighbours: a numbered clause, a bullet, a page number, a row.

A shape is a first guess from the first characters of a line, or from all of it. This module does not know other lines;
`app.text.block_kinds` decides the kind of the line in its text.
"""

import re
from collections.abc import Sequence

from app.text.blocks import Spans
from app.text.characters import (
    CLOSERS,
    COMMAS,
    ENDERS,
    EXCLAMATIONS,
    FULL_STOPS,
    OPENERS,
    OTHER_CLOSERS,
    OTHER_OPENERS,
    QUOTES,
    ROUND_CLOSERS,
    ROUND_OPENERS,
    WIDE_COMMAS,
)
from app.text.lines import Line

_NUMBER = "[0-9０-９]"
_KANJI_NUMBER = "[一二三四五六七八九十百〇]"
_SPACE = "[ \t\u3000]"
_ORDINAL = f"第{_SPACE}?(?:{_NUMBER}{{1,4}}|{_KANJI_NUMBER}{{1,6}}|[Ｎn○])"
_ARTICLE = rf"{_ORDINAL}{_SPACE}?条(?:の(?:{_NUMBER}|{_KANJI_NUMBER}){{1,3}})*"
_OPENERS, _ROUND_OPENERS, _ROUND_CLOSERS = map(re.escape, (OPENERS, ROUND_OPENERS, ROUND_CLOSERS))
_RULE = r"[─━―ー－‐–—=＝_＿~〜～*＊+＋\-|｜┌┬┐├┼┤└┴┘│┃┏┳┓┣╋┫┗┻┛═║╔╗╚╝╠╣╦╩╬◇◆□■☆★○●◎△▽×:：.・…‥]"
# A label is the text before a wide gap at the beginning of a line: 所在地　　東京都.
MAX_LABEL_CHARACTERS = 12
# The word after a number that only counts something: 12 月, 3 件.
_COUNTER = "[月日年時分秒円人名個件回台本枚つか％%℃℉万千百億歳度倍割階番号頁kmgcKMGC]"
# (1)は、 or (1)又は(2)の: a number that the sentence speaks of, and no mark.
_NOT_SPOKEN_OF = (
    rf"(?!(?:[はがのをにとも]|から|まで|より)[{WIDE_COMMAS}一-鿿ァ-ヺ{_OPENERS}\u2460-\u2473]"
    rf"|[{WIDE_COMMAS}・～〜]?[(（\u2460-\u2473]"
    "|または|又は|もしくは|若しくは|及び|および|並びに)"
)

# Strong marks begin a block wherever they stand; in the order in which they are tried.
_STRONG = {
    "separator": rf"(?:{_RULE}{_SPACE}*+){{3,}}+\Z|(?:[>＞]{_SPACE}?+)++\Z|--\Z",  # also > alone, -- over a signature
    "markdown-heading": r"\#{1,6}[ \u3000]|={1,4} (?=\S)",
    "chapter": rf"{_ORDINAL}{_SPACE}?(?:編|章|節|款|目|部|話|幕|巻)(?={_SPACE}|\Z|[：:{_OPENERS}])",
    "article-title": rf"{_ARTICLE}{_SPACE}?[{_ROUND_OPENERS}][^{_ROUND_CLOSERS}]{{1,40}}[{_ROUND_CLOSERS}]\Z",
    "article": rf"{_ARTICLE}(?={_SPACE}|\Z|[：:{_OPENERS}])",
    # 第１　請求, as in judgments and notices, where 第１ has no noun; but not 第１ 回
    "section": rf"第(?:{_NUMBER}{{1,2}}|{_KANJI_NUMBER}{{1,3}}){_SPACE}+(?![条項号回期次版章節部類種])(?=\S)",
    "agenda": (
        rf"(?:第(?:{_NUMBER}{{1,3}}|{_KANJI_NUMBER}{{1,3}})号議案|(?:議案|日程)第(?:{_NUMBER}{{1,3}}|{_KANJI_NUMBER}{{1,3}})号?)"
        rf"(?={_SPACE}|\Z|[：:{_OPENERS}])"
    ),
    "annex": (
        rf"(?:別表|別紙|附{_SPACE}*則|付{_SPACE}*則|別記|様式|目{_SPACE}*次)"
        rf"(?={_SPACE}|\Z|[第（(]|{_NUMBER}|{_KANJI_NUMBER})"
    ),
    "note": (
        r"※|(?:\(|（)?注(?:\)|）|[0-9０-９]{1,2}|[:：.．\u3000 ])|［注"
        r"|[*＊](?:[0-9０-９]{1,2}|注)|\[\^?[0-9]{1,3}\](?=[ \u3000])"
    ),
    "annotation": "［＃",
    "bracket-number": (
        rf"(?:[（(](?:{_NUMBER}{{1,3}}|{_KANJI_NUMBER}{{1,3}}|[ア-ンｱ-ﾝa-zA-Zａ-ｚＡ-Ｚⅰ-ⅻⅠ-Ⅻ])[）)]"
        rf"|[\u2460-\u24ff\u2776-\u2793\u3280-\u3289]){_NOT_SPOKEN_OF}"
    ),
    "number": (
        rf"{_NUMBER}{{1,3}}(?:[.．\-－]{_NUMBER}{{1,3}})*[.．](?!{_NUMBER}(?!{_NUMBER}{{3}}年))(?=.)|{_NUMBER}{{1,2}}、(?!{_NUMBER})"
        rf"|{_NUMBER}{{1,2}}(?:[.．\-－‐―－]{_NUMBER}{{1,2}}){{0,4}}(?:\u3000|[ \t]{{2}}|[ ](?!{_COUNTER}|[0-9]))"
    ),
    "kana-number": r"[ア-コｱ-ｺロハニホヘトチリヌルヲワ](?:\u3000|[ \t]|[.．、])",
    "kanji-number": rf"{_KANJI_NUMBER}{{1,3}}(?:\u3000|[.．])|{_KANJI_NUMBER}{{1,2}}、(?!{_KANJI_NUMBER}|[、。])",
    "latin-number": r"[a-zA-Zａ-ｚＡ-Ｚ][.．] (?=.)|[ⅰ-ⅻⅠ-Ⅻ](?:[.．、\u3000 ]|\Z)",
    "bullet": r"[・･•‣◦▪▫►▶➢➤✓✔☑☐✅❏❑](?=.)|[\-–—*＊+](?=[ \t\u3000])",
    "symbol": r"[□■◆◇●◎★☆▲△▼▽]",
    "question": rf"[QＱAＡ]{_NUMBER}{{1,3}}|[QＱAＡ][.．:：\u3000 ]|問{_NUMBER}{{1,2}}|[問答](?:\u3000|[：:（(])",
    "time": (
        rf"{_NUMBER}{{1,2}}[:：]{_NUMBER}{{2}}(?=[-~～－ー]|{_SPACE}|\Z)"
        rf"|{_NUMBER}{{1,2}}時{_NUMBER}{{1,2}}分(?={_SPACE})"
    ),
    "copyright": r"(?:©|Ⓒ|\([cC]\) ?[0-9]|Copyright\b|COPYRIGHT\b)",
    "mail-header": (
        r"(?:From|To|Cc|CC|Bcc|Subject|Date|Sent|Reply-To|Message-ID|差出人|宛先|送信者|送信元|返信先|送信日時|受信日時|件名)\s?[:：]"
    ),
}
# Weak marks begin a block unless the line before is full and its sentence goes on.
_WEAK = {
    "half-bracket-number": (
        rf"(?:{_NUMBER}{{1,3}}(?:[.．-]{_NUMBER}{{1,3}})*|{_KANJI_NUMBER}{{1,3}}|[ア-コｱ-ｺa-zA-Zａ-ｚＡ-Ｚ])[)）](?=.)"
    ),
    "circle": r"[○〇](?!○)",
    "date": rf"{_NUMBER}{{4}}[/年.\-]{_NUMBER}{{1,2}}[/月.\-]",
    "dash": r"[─━―—–]{1,3}|[-－]{2}",
    "quotation": f"[{re.escape(QUOTES)}]",
    "key": rf"[^\s{re.escape(CLOSERS + OPENERS + ENDERS + COMMAS)}:：]{{1,16}}[：:](?!//|{_NUMBER})",
}
_SHAPE = re.compile("|".join(f"(?P<s{i}>{p})" for i, p in enumerate((*_STRONG.values(), *_WEAK.values()))))
_NAMES = (*_STRONG, *_WEAK)
STRONG = frozenset((*_STRONG, "row", "message", "csv", "page", "contents", "head", "label", "ruled"))
NUMBERED = frozenset(("article", "bracket-number", "number", "kana-number", "kanji-number", "latin-number"))
# Shapes whose mark stands in front of a text and is no part of it.
_BEFORE_TEXT = NUMBERED | {"half-bracket-number", "bullet", "symbol", "circle", "question"}

_GAP = re.compile(r"(?<=[^\s])(?:\u3000{2,}+|[ \u3000]{3,}+|[ ]\u3000|\u3000[ ]|  (?=[^\s]))(?=[^\s])")
_PAGE_BEGINS = frozenset("-‐－―—–ー─━~〜<＜pPｐＰペ頁")
_PAGE = re.compile(
    rf"(?:[-‐－―—–ー─━~〜]{{1,40}}|[<＜]|[pPｐＰ]{{1,2}}[.．]?|ページ|頁|Page|PAGE){_SPACE}*{_NUMBER}{{1,4}}(?:-{_NUMBER}{{1,3}})?"
    rf"(?:{_SPACE}*[/／]{_SPACE}*{_NUMBER}{{1,4}})?{_SPACE}*(?:[-‐－―—–ー─━~〜]{{1,40}}|[>＞]|ページ|頁)?\Z"
    rf"|{_NUMBER}{{1,4}}{_SPACE}*(?:[/／]{_SPACE}*{_NUMBER}{{1,4}}{_SPACE}*(?:ページ|頁)?|ページ|頁)\Z"
)
# A line of a table of contents: a title, a leader of dots and a page number.
_CONTENTS = re.compile(
    rf"[^\s.．・…‥]{_SPACE}*(?:(?:[.．・][ \u3000]?){{4,}}|[…‥]{{2,}}){_SPACE}*(?:[pPｐＰ][.．]?)?{_NUMBER}{{1,3}}\Z"
)
# A running head or foot with the page number in it.
PAGE_AT_EDGE = re.compile(
    rf"(?:\u3000|[ \t]{{2}}).*?(?:[-－―‐–—] ?{_NUMBER}{{1,4}} ?[-－―‐–—]"
    rf"|(?:ページ|頁|[pPｐＰ][.．]) ?{_NUMBER}{{1,4}}(?: ?[/／] ?{_NUMBER}{{1,4}})?"
    rf"|{_NUMBER}{{1,4}} ?[/／] ?{_NUMBER}{{1,4}}(?: ?(?:ページ|頁))?|{_NUMBER}{{1,4}} ?(?:ページ|頁))\Z"
)
# A message of an exported chat: time, name, and a text with the end of a sentence in it. In a timetable it has none.
_STOP = f"[{re.escape(FULL_STOPS + EXCLAMATIONS)}]"
_MESSAGE = re.compile(rf"(?:午[前後] ?)?{_NUMBER}{{1,2}}[:：]{_NUMBER}{{2}}\t[^\t]+\t(?=[^\t]*{_STOP})[^\t]+\Z")
# A message without such a stop, next to others of the same chat.
_MAY_BE_MESSAGE = re.compile(rf"(?:午[前後] ?)?{_NUMBER}{{1,2}}[:：]{_NUMBER}{{2}}\t[^\t]+\t[^\t]+\Z")
# A title between two rules, as in newsletters: ━━【１】お知らせ━━━━. Rules around Latin letters part quoted mail.
_RULED = re.compile(
    r"([─━―－‐=＝_＿~〜～*＊\-])\1{2,}+[ \u3000]*(?=[^。]*[ぁ-ヺ一-鿿])"
    r"(?P<title>[^。\s─━=＝*＊\-][^。]{0,40}?)[ \u3000]*\1{3,}+\Z"
)
_CUT_HERE = re.compile("き ?り ?と ?り|切り?取り?|キ ?リ ?ト ?リ")
# Gaps inside a name or a word whose characters are set apart part no columns: 青　木　　　誠, 構　　　造.
_KANJI = "[一-鿿々]"
_SURNAME = re.compile(rf"(?:\A|.*{_SPACE}){_KANJI}{_SPACE}{_KANJI}\Z")
_GIVEN_NAME = re.compile(rf"{_KANJI}(?={_SPACE}|\Z)")
_NAMED = re.compile(rf"[一-鿿々ぁ-ヺ]{{1,4}}{_SPACE}{{1,2}}[君様氏](?:{_SPACE}|\Z)")
_HALF_OF_WORD = re.compile(rf"{_KANJI}(?:{_SPACE}{{2,}}(?!{_KANJI}(?:{_SPACE}{{2}}|\Z))|\Z)")
_MAX_SPREAD = 4  # blanks
_BRACKETED = re.compile(
    f"[{re.escape(OTHER_OPENERS)}＜<][^{re.escape(OTHER_CLOSERS)}＞>。]{{1,40}}[{re.escape(OTHER_CLOSERS)}＞>]\\Z"
)


def shape_of(text: str, line: Line) -> str:
    """The shape of a line that is not blank."""
    first, last = line.first, line.last
    content = text[first:last]
    if "\t" in content:
        return "message" if _MESSAGE.match(content) else "row"
    if "│" in content or "┃" in content or content.count("|") > 1 or (content.count("｜") > 1 and "《" not in content):
        return "row" if any(char not in "─━│┃|-＋+┌┬┐├┼┤└┴┘┏┳┓┣╋┫┗┻┛:= \u3000" for char in content) else "separator"
    if last - first <= 80 and (content[0] in _PAGE_BEGINS or content[0].isdecimal()) and _PAGE.match(content):
        return "page"
    if last - first <= 200 and content[-1].isdecimal() and _CONTENTS.search(content):
        return "contents"
    if last - first <= 120 and content[0] == content[1:2] and _RULED.match(content):
        return "separator" if _CUT_HERE.search(content) else "ruled"
    match = _SHAPE.match(text, first, last)
    if match is not None:
        assert match.lastgroup is not None
        return _NAMES[int(match.lastgroup[1:])]
    if last - first <= 42 and (content[0] in OPENERS or content[0] == "＜") and _BRACKETED.match(content):
        return "bracketed"
    return ""


def ruled_title(text: str, line: Line) -> tuple[int, int]:
    """Where the title of a line of the shape "ruled" begins and ends."""
    match = _RULED.match(text, line.first, line.last)
    return match.span("title") if match else (line.first, line.last)


def text_start(text: str, start: int, end: int) -> int:
    """Where the text after the number or the bullet of a clause or an item begins; `start` where it has neither."""
    match = _SHAPE.match(text, start, end)
    if match is None or match.lastgroup is None or _NAMES[int(match.lastgroup[1:])] not in _BEFORE_TEXT:
        return start
    return match.end()


def mark_end(text: str, line: Line) -> int:
    """Where the number or bullet at the beginning of a line ends, including the white space after it."""
    match = _SHAPE.match(text, line.first, line.last)
    end = match.end() if match is not None else line.first
    while end < min(line.last, line.first + MAX_LABEL_CHARACTERS) and text[end] in " \t\u3000":
        end += 1
    return end


def gaps_of(text: str, line: Line) -> Spans:
    """The wide gaps inside a line, which stand between columns."""
    content = text[line.first : line.last]
    if "\u3000\u3000" not in content and "  " not in content and " \u3000" not in content and "\u3000 " not in content:
        return ()
    return tuple(
        match.span()
        for match in _GAP.finditer(text, line.first, line.last)
        if not _is_spread(text, line, *match.span())
    )


def _is_spread(text: str, line: Line, start: int, end: int) -> bool:
    """Whether a gap stands inside a name or a word whose characters are set apart, and not between two columns."""
    if end - start > _MAX_SPREAD:
        return False
    before, after = text[max(line.first, start - 4) : start], text[end : min(line.last, end + 12)]
    if _SURNAME.match(before) and _GIVEN_NAME.match(after):
        return True
    if start == line.first + 1 and "一" <= before <= "鿿" and _HALF_OF_WORD.match(after):
        return True
    return "一" <= before[-1] <= "鿿" and _NAMED.match(after) is not None


def mark_messages(text: str, lines: Sequence[Line], visible: Sequence[int]) -> None:
    """Give the rows of an exported chat the shape "message", once one of them is certainly a message."""
    if any(lines[index].shape == "message" for index in visible):
        for index in visible:
            line = lines[index]
            if line.shape == "row" and _MAY_BE_MESSAGE.match(text, line.first, line.last):
                line.shape = "message"


def ends_sentence(text: str, line: Line) -> bool:
    """Whether a line ends like a sentence: with 。 or ？ and the closing brackets after it."""
    last = line.last - 1
    char = text[last]
    if char in ENDERS:
        return True
    if char not in CLOSERS:
        return False
    while last > line.first and text[last] in CLOSERS:
        last -= 1
    return text[last] in ENDERS

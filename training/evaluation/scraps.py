"""Is a chosen sentence a scrap that tells a reader nothing? A definition independent of the served code.

The service separates headings from prose in app/text/structure.py. A measure built on the same code could not find its
faults, so this one uses only lines and characters. This module does not know models.
"""

import re

LONGEST_HEADING = 30  # characters
LONGEST_CELL = 12

_ENDS = re.compile(r"[。．｡.！？!?…」』]$")
_SAYS_SOMETHING = re.compile(r"[ぁ-ゖァ-ヺ一-鿿々ｦ-ﾟA-Za-zＡ-Ｚａ-ｚ]")
_MARK = re.compile(
    r"(?P<hash>#+\s)|(?P<part>第\s*[0-9０-９一二三四五六七八九十百]+\s*(?:[章節条款編部回号項]|[\s【]))"
    r"|(?P<number>[0-9０-９]+(?:[.．\-－][0-9０-９]+)*(?:[.．、)）【]|\s))"
    r"|(?P<bracketed>[（(][0-9０-９一二三四五六七八九十]+[)）])|(?P<circled>[①-⑳])"
    r"|(?P<kanji>[一二三四五六七八九十]+[、.．\s])|(?P<shape>[■□◆◇●○★☆▼▽◎【《〈＊])"
)
_EMPTY_LINE = re.compile(r"\n[ \t\r\u3000]*\n\Z")
_CELLS = re.compile(r"\t+|\s*[|｜]\s*|[ \u3000]{2,}")
_PREDICATE = re.compile(r"(?:[うくぐすつぬぶむるただいん]|です|ます|こと|もの|[0-9０-９])$")
_ADDRESS = re.compile(
    r"(?:様|殿|御中|各位|宛)$|^(?:敬具|敬白|草々|かしこ|拝啓|拝具|前略|以上|記|追伸|目次|続く|次ページへ続く|(?:署名|氏名|住所|印)[\s:：_＿]*)$"
)
_OFFICE = re.compile(
    r"株式会社|有限会社|合同会社|法人|代表取締役|担当|文責"
    r"|(?:課|部|係|局|委員会|協議会|事務所|研究所|センター)(?:[\s\u3000]|長|$)"
)
_DATE = re.compile(
    r"^(?:(?:令和|平成|昭和|西暦)?\s*[0-9０-９元]+\s*[年./／-]\s*)?[0-9０-９]+\s*[月./／-]\s*[0-9０-９]+\s*日?\s*(?:[（(].[)）])?$"
)
_MAIL_HEAD = re.compile(r"^(?:To|Cc|Bcc|From|Date|Subject|件名|宛先|差出人|送信日時)\s*[:：]", re.IGNORECASE)
_PAGE_AT_END = re.compile(r"[0-9０-９]+\s*[/／]\s*[0-9０-９]+$|[-–－]\s*[0-9０-９]+\s*[-–－]$")
_PAGE = re.compile(r"^[-–－\s]*[0-9０-９]+\s*(?:[/／]\s*[0-9０-９]+)?[-–－\s]*$|^(?:p|P|ページ|頁)[.\s]*[0-9０-９]+$")


def is_scrap(text: str, start: int, end: int) -> bool:
    """Whether text[start:end] is a heading, the head of a table, a signature or page furniture.

    A scrap either holds no letter at all, or is one whole line of at most `LONGEST_HEADING` characters (table heads and
    page furniture may be longer) that does not end like a sentence, and is one of these:

    - page furniture: a page number; a line that the text repeats, ignoring numbers; and, at any length, a line with a
      wide gap before its page number, or a mail header such as `To:`;
    - an addressee (様, 御中, 各位), a closing word (敬具, 以上), a date alone, or the name of a company or an office
      without a predicate and without figures;
    - a heading: it begins with the number or the mark of a heading, where the lines next to it do not begin with one of
      the same kind, as items of a list do; or, without such a mark, it follows an empty line or begins the text, has no
      figures (at the beginning of the text it may), comma or colon, and does not end in a predicate;
    - the head of a table: cells without figures, of at most `LONGEST_CELL` characters each, above a line of as many
      cells that holds figures.
    """
    passage = text[start:end].strip()
    if not _SAYS_SOMETHING.search(passage):
        return True
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last == -1 else last
    if (
        text[first:last].strip(" \t\u3000|｜") != passage.strip("|｜ \u3000")
        or "\n" in passage
        or _ENDS.search(passage)
    ):
        return False
    lines = text[last + 1 :].split("\n", 8)[:8]
    following = next((line.strip() for line in lines if line.strip()), "")
    if _is_table_head(passage, following) or _MAIL_HEAD.search(passage):
        return True
    return bool(_CELLS.search(passage) and _PAGE_AT_END.search(passage)) or (
        len(passage) <= LONGEST_HEADING
        and (_is_furniture(passage, text) or _is_signature(passage) or _is_heading(passage, text[:first], following))
    )


def _is_furniture(line: str, text: str) -> bool:
    if _PAGE.search(line):
        return True
    # A line of a list or a table may occur twice; a running head has no cells and no list mark.
    if _CELLS.search(line) or _MARK.match(line) or line[0] in "・-*※":
        return False
    shape = re.escape(re.sub(r"[0-9０-９]+", "0", line)).replace("0", "[0-9０-９]+")
    return len(re.findall(rf"(?m)^[ \t\u3000]*{shape}[ \t\u3000]*$", text)) > 1


def _is_signature(line: str) -> bool:
    if _ADDRESS.search(line) or _DATE.search(line):
        return True
    return bool(_OFFICE.search(line)) and not re.search(r"[0-9０-９、，]", line) and not _PREDICATE.search(line)


def _is_heading(line: str, before: str, following: str) -> bool:
    mark = _MARK.match(line)
    if mark is not None:
        title, preceding = line[mark.end() :], before.rstrip().rpartition("\n")[2].strip()
        kinds = {found.lastgroup for other in (preceding, following) if (found := _MARK.match(other))}
        is_item = mark.lastgroup in kinds and mark.lastgroup != "hash"
        return not is_item and bool(following) and not re.search(r"[、，:：]|[ \u3000]{2,}.", title)
    stands_apart = not before.strip() or _EMPTY_LINE.search(before)
    unlike_a_heading = r"[、，:：]|[ \u3000]{2,}" if not before.strip() else r"[0-9０-９、，:：]|[ \u3000]{2,}"
    if not stands_apart or re.search(unlike_a_heading, line) or line[0] in "・-*※→":
        return False
    return bool(following) and not _PREDICATE.search(line)


def _is_table_head(line: str, following: str) -> bool:
    cells, below = ([cell for cell in _CELLS.split(row.strip("|｜ ")) if cell] for row in (line, following))
    if len(cells) < 2 or any(len(cell) > LONGEST_CELL or re.search(r"[0-9０-９]", cell) for cell in cells):
        return False
    if re.fullmatch(r"[\s|｜:\-]+", following):  # the rule under a head in Markdown
        return True
    return len(below) == len(cells) and bool(re.search(r"[0-9０-９]", following))

"""Rows of tables in plain text: cells between tabs, rules, wide gaps or commas, and which row is the head.

This module knows lines; `app.text.structure` decides about all other text.
"""

import re
from collections.abc import Iterator, Sequence

from app.text.blocks import Spans
from app.text.characters import BLANKS
from app.text.lines import Line

_RULES = re.compile("[|｜│┃║]")
_VALUED = re.compile("[:：].")
_DIGIT = re.compile("[0-9０-９]")
_HEAD_WORDS = re.compile(
    "(?:区分|項目|種類|種別|名称|品名|氏名|役職|内容|対象|期限|期間|日時|日付|時間|時刻|場所|担当|備考|摘要|数量|単価|金額|料金|定員|所属"
    "|番号|No[.．]?|年度|科目|結果|判定|単位|回答|原因|対策|変更前|変更後|改正前|改正後|窓口|条件|出典|予算|決算|比較|増減)"
)

_NUMBERS = re.compile("[0-9０-９]+")
_SERIES_END = re.compile("(?:便|回目?|期|年度?|月期?|日目?|号|組|班|週目?|学年|年生|[QＱ]|四半期)\\Z")
_PART = re.compile("[^\u3000]+")

# A cell with more characters holds sentences of its own: minutes in a form, an answer in a list of questions.
_LONG_CELL = 100

# Values separated by commas are rows when so many lines follow one another, with so many commas each.
_MIN_CSV_ROWS, _MIN_CSV_COMMAS = 3, 2
_CSV_SHAPES = ("", "key", "date", "time", "quotation", "circle")
# A comma in a number: 12,000.
_GROUPING = re.compile("(?<=[0-9]),(?=[0-9]{3}(?![0-9]))")


def mark_csv(text: str, lines: Sequence[Line], visible: Sequence[int]) -> None:
    """Give rows of values separated by commas the shape "csv": several lines with as many commas each and no 。."""
    run: list[int] = []
    count = 0
    for index in (*visible, None):
        commas = 0
        if index is not None:
            line = lines[index]
            content = text[line.first : line.last]
            if line.shape in _CSV_SHAPES and content.count(",") >= _MIN_CSV_COMMAS and "。" not in content:
                commas = len(_csv_commas(content))
        if run and (index is None or commas != count or index != run[-1] + 1):
            _mark_run(text, lines, run)
            run = []
        if index is not None and commas >= _MIN_CSV_COMMAS:
            count = commas
            run.append(index)


def _mark_run(text: str, lines: Sequence[Line], run: Sequence[int]) -> None:
    head = text[lines[run[0]].first : lines[run[0]].last]
    if len(run) >= _MIN_CSV_ROWS and head.count(",") - len(_GROUPING.findall(head)) >= _MIN_CSV_COMMAS:
        for index in run:
            lines[index].shape = "csv"


def _csv_commas(content: str) -> list[tuple[int, int]]:
    """The spans of the commas outside "…"."""
    spans = []
    quoted = False
    for match in re.finditer('[",]', content):
        if match.group() == '"':
            quoted = not quoted
        elif not quoted:
            spans.append(match.span())
    return spans


def cells_of(text: str, line: Line, *, commas: bool) -> Spans:
    """The spans of the cells of a row, without white space around them; an empty cell is an empty span."""
    content = text[line.first : line.last]
    if commas:
        bounds = _csv_commas(content)
    elif "\t" in content:
        bounds = [match.span() for match in re.finditer("\t", content)]
    elif _RULES.search(content):
        bounds = [match.span() for match in _RULES.finditer(content)]
    else:
        bounds = [(start - line.first, end - line.first) for start, end in line.gaps]
    cells = []
    start = 0
    for begin, end in (*bounds, (len(content), len(content))):
        cell = content[start:begin]
        lead = len(cell) - len(cell.lstrip(BLANKS))
        size = len(cell.strip(BLANKS))
        cells.append((line.first + start + (lead if size else 0), line.first + start + (lead + size if size else 0)))
        start = end
    if commas:
        return tuple(cells)
    if content[0] in "|｜│┃║":  # the rules around the row are no cells
        cells = cells[1:]
    if content[-1] in "|｜│┃║":
        cells = cells[:-1]
    return tuple(cells)


def parts_of(text: str, cell: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """The parts of a cell between its full-width spaces."""
    start, end = cell
    if start == end:
        yield cell
    for match in _PART.finditer(text, start, end):
        yield match.span()


def is_long(cell: tuple[int, int]) -> bool:
    """Whether a cell is a text of its own, and not one of the values that a row puts next to each other."""
    start, end = cell
    return end - start > _LONG_CELL


def is_head(text: str, row: Spans, following: list[Spans]) -> bool:
    """Whether the first row of a table names its columns: without numbers, over rows that have some."""
    filled = [text[start:end] for start, end in row if start < end]
    if len(filled) < 2 or not following or abs(len(row) - len(following[0])) > 1:
        return False
    if sum(map(len, filled)) > 20 * len(filled) or any("。" in cell or _VALUED.search(cell) for cell in filled):
        return False
    named = sum(bool(_HEAD_WORDS.match(cell)) for cell in filled)
    if _is_series(text, row, following[0]):
        return True
    if any(_DIGIT.search(cell) for cell in filled):
        return named > 1 and named * 2 >= len(filled)
    below = any(_DIGIT.search(text[start:end]) for cells in following[:3] for start, end in cells)
    if len(filled) == 2:  # 対象 | 全社員 is a key and its value, 品名 | 数 stands over numbers
        values = [text[start:end] for cells in following[:3] for start, end in cells[-1:] if start < end]
        return named == 2 or (named > 0 and bool(values) and all(map(_DIGIT.search, values)))
    return below or (named > 0 and named * 2 >= len(filled))


def _is_series(text: str, row: Spans, below: Spans) -> bool:
    """Whether all columns but the first have numbers of one kind, over values of another kind: 1便, 2便 over 7:40."""
    names = [_NUMBERS.sub("0", text[start:end]) for start, end in row[1:]]
    values = [_NUMBERS.sub("0", text[start:end]) for start, end in below[1:]]
    return (
        len(names) > 1
        and len(set(names)) == 1
        and "0" in names[0]
        and _SERIES_END.search(names[0]) is not None
        and names[0] not in values
        and any("0" in value for value in values)
    )

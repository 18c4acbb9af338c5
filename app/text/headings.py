"""Headings: short lines over other lines, without the marks of a value, a label or a sentence.

This module knows groups of lines and their neighbours, and does not know sentences.
"""

import re

from app.text.characters import CLOSERS, CLOSING_QUOTES, COLONS, COMMAS, ELLIPSES, OPENERS, WIDE_COMMAS
from app.text.groups import Group, Groups
from app.text.line_shapes import NUMBERED, STRONG
from app.text.lines import Line

# The most columns of a heading without a mark, and of a heading with a mark.
MAX_HEADING_COLUMNS = 64
MAX_MARKED_HEADING_COLUMNS = 80
# The most columns of a heading right after a sentence, over the first item of a series.
_MAX_SERIES_HEADING_COLUMNS = 32
# The most lines from the subject of a letter to the end of its first sentence.
_MAX_LETTER_HEAD = 20
# The most lines between two numbers of one series.
_MAX_CONTINUED_LINES = 20

# No heading ends with these.
_CANNOT_END = COMMAS + COLONS + ELLIPSES + CLOSING_QUOTES + "→＝="
_NUMBER = re.compile("[0-9０-９]+")
_PARTS_OF_NUMBER = re.compile(r"[0-9０-９]+(?:[.．\-－‐―－][0-9０-９]+)*")
_COMMA = re.compile(f"[{WIDE_COMMAS}](?![0-9０-９])")
_DATE = re.compile(r"(?:令和|平成|昭和|大正|西暦)?\s*[0-9０-９元一二三四五六七八九十〇]{1,4}\s*[年/.／]")
_ADDRESSED = re.compile(r"(?:宛て?|行き?|印|㊞|へ|記)\Z")
# A word with equal space between its characters. The name of a person has as many characters; it stands at the end.
_SPACED = re.compile(r"[一-鿿](?:([ \u3000]+)[一-鿿])(?:\1[一-鿿]){0,5}")
# A label with its value (代金　車両本体 380,000円), or words that end a sentence: no heading.
VALUE = re.compile(r"(?<=[^\s0-9０-９一二三四五六七八九十.．)）])\u3000[^\s].*?[0-9０-９]|[：:][^\s]")
_SENTENCE_LIKE = re.compile("。|(?:です|ます|ました|ません|ください|下さい|でした|でしょう|ましょう)\\Z")
# The beginning of a sentence that continues below, or the words before a list: no heading.
_GOES_ON_BELOW = re.compile(r"(?:[がを]|の(?:とおり|通り)|以下|下記)\Z")
# The text at the right of a title: a number, a date, a state.
_TITLE_TAIL = re.compile(
    r"[（(]?(?:第|№|[Nn][Oo][.．]|作成|令和|平成|[0-9０-９]{4}\s*[年/.])|.*(?:現在|作成|改訂|発行)[）)]?\Z"
)


def is_numbered_heading(groups: Groups, place: int, group: Group, width: int) -> bool:
    """Whether a short numbered line is the heading of the lines after it, and not one of several short items."""
    if width > MAX_MARKED_HEADING_COLUMNS or groups.is_last(place):
        return False
    content = groups.content(group)
    if groups.first_line(group).gaps or _COMMA.search(content, 6) or "。" in content or VALUE.search(content):
        return False
    after, before = groups.all[place + 1], _number_before(groups, place, group)
    if after.kind == "furniture" or (after.shape == group.shape and not _is_part(content, groups.content(after))):
        return False
    return not (before is not None and before.shape == group.shape and before.kind == "clause")


def _is_part(chapter: str, part: str) -> bool:
    """Whether the number of one line is a part of the number of another: 2.1 of 2."""
    numbers = [_PARTS_OF_NUMBER.match(content) for content in (chapter, part)]
    whole, own = (_NUMBER.findall(match.group()) if match else [] for match in numbers)
    return 0 < len(whole) < len(own) and own[: len(whole)] == whole


def _number_before(groups: Groups, place: int, group: Group) -> Group | None:
    """The group before, past lines that stand further to the right: they belong to the number before them."""
    indent = groups.first_line(group).indent
    before = groups.near(place, -1)
    for back in range(1, min(place, _MAX_CONTINUED_LINES)):
        if before is None or before.shape in NUMBERED or groups.first_line(before).indent <= indent:
            break
        if len(before.lines) > 1 or groups.ends_sentence(before):
            break
        before = groups.near(place - back, -1)
    return before


def is_plain_heading(groups: Groups, place: int, group: Group, width: int) -> bool:
    """Whether a short line without a mark is a heading: first of the text, or after a blank line with text below."""
    content = groups.content(group)
    line = groups.first_line(group)
    if width > (MAX_MARKED_HEADING_COLUMNS if place == 0 else MAX_HEADING_COLUMNS) or line.quotes:
        return False
    if content[-1] in _CANNOT_END or _ADDRESSED.search(content) or _GOES_ON_BELOW.search(content):
        return False
    if line.gaps or (place and VALUE.search(content)):
        return False
    if _SENTENCE_LIKE.search(content) and ("。" in content or not _over_indented(groups, place, line)):
        return False
    if place == 0 and len(groups.all) > 3:
        return line.indent < 20 or line.edge > 3 * line.indent // 2
    if place and not groups.is_last(place):
        above, below = groups.all[place - 1], groups.all[place + 1]
        alike = above.shape == below.shape != ""
        if alike and above.shape == "symbol":
            alike = groups.content(above)[0] == groups.content(below)[0]
        if above.kind == "heading" and alike:  # ■日時 / 8月2日 / ■場所: what it heads
            return False
    before, after = groups.near(place, -1), groups.near(place, 1)
    # Below the date and the sender of a letter, its subject stands in the middle.
    # Below the date of minutes stand only names.
    subject = (
        before is not None
        and before.kind == "note"
        and before.shape in ("", "date")
        and line.indent >= 6
        and any(groups.ends_sentence(other) for other in groups.all[place + 1 : place + _MAX_LETTER_HEAD])
    )
    if before is not None and before.kind not in ("heading", "furniture") and not subject:
        series = after is not None and (after.shape in NUMBERED or after.shape in ("bullet", "symbol"))
        if not series or width > _MAX_SERIES_HEADING_COLUMNS or not groups.sentence_before(place):
            return False
    if groups.is_last(place) or line.indent >= 24:
        return False
    following = groups.all[place + 1]
    if after is None:  # it stands alone
        return (
            following.shape not in ("page", "head", "separator")
            and not _COMMA.search(content)
            and not _DATE.match(content)
        )
    if before is not None and before.kind == "heading" and before.shape == "":
        return False
    more = groups.first_line(after)
    return (
        len(after.lines) > 1
        or groups.ends_sentence(after)
        or after.shape in STRONG
        or after.shape == "bracketed"
        or more.indent > line.indent
        or more.edge - more.indent > 2 * width
        or bool(more.gaps)
    )


def _over_indented(groups: Groups, place: int, line: Line) -> bool:
    """Whether a line after a blank one stands over a paragraph of several lines that begins one character in."""
    after = groups.near(place, 1)
    return (
        groups.near(place, -1) is None
        and after is not None
        and after.shape == ""
        and len(after.lines) > 1
        and groups.first_line(after).indent == line.indent + 2
    )


def is_title_with_tail(groups: Groups, group: Group) -> bool:
    """Whether the first line of a text is its title and, at the right edge, a number or a date."""
    line = groups.first_line(group)
    if len(line.gaps) != 1 or len(group.lines) > 1 or groups.ends_sentence(group):
        return False
    return _TITLE_TAIL.match(groups.text, line.gaps[0][1], line.last) is not None


def is_spaced_title(groups: Groups, place: int, group: Group) -> bool:
    """Whether a line over others is a word with equal space between its characters: 主　　　文."""
    after = None if groups.is_last(place) else groups.all[place + 1]
    return after is not None and after.kind != "furniture" and _SPACED.fullmatch(groups.content(group)) is not None


def is_wrapped_heading(groups: Groups, place: int, group: Group) -> bool:
    """Whether two lines, after a blank line and over others, are a heading with a bracket across the line end."""
    content = groups.content(group)
    first = groups.first_line(group)
    opened = groups.text[first.first : first.last]
    return (
        content[-1] in CLOSERS
        and "。" not in content
        and sum(char in OPENERS for char in opened) == sum(char in CLOSERS for char in opened) + 1
        and groups.near(place, 1) is not None
        and ((before := groups.near(place, -1)) is None or before.kind == "furniture")
    )

"""The lines of a text that are wrapped: cut at a column of the page and not at the end of a sentence or paragraph.

A text counts as wrapped at a width when lines of about that width do not end a sentence, few of their neighbours
without an end have another width, and the next lines begin as only a cut sentence can: with hiragana, or with a
character that begins no sentence. This module knows lines and columns, and does not know blocks.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.text.characters import CLOSERS, CLOSING_QUOTES, COMMAS, FULL_STOPS, OPENERS, WIDE_COMMAS
from app.text.line_shapes import NUMBERED, STRONG, ends_sentence, mark_end
from app.text.lines import Line

# The narrowest and the widest columns of wrapped prose; the narrowest have ten full-width characters.
_MIN_EDGE, _MAX_EDGE = 20, 240
# Below this width, lists of words look like wrapped prose, so more evidence is needed.
_NARROW = 32
# The line after a wrapped line stands at most this many columns to the right of it.
_MAX_HANGING = 12
# Lines of one width differ by this many columns: a mark that may not begin a line stays on it or takes its neighbour
# along, and half-width characters leave a column free.
_JITTER = 4
# No line of Japanese begins with these unless it was cut (JIS X 4051, characters that may not begin a line).
_CANNOT_BEGIN = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮんンをヲー々゛゜" + FULL_STOPS + COMMAS + CLOSERS)
# Neither does a sentence begin with a particle right before a word in kanji, katakana or Latin letters: に渡します.
_PARTICLE_FIRST = re.compile(
    f"[のにがはへで](?:[一-鿿ァ-ヺA-Za-z]|み[{WIDE_COMMAS}{FULL_STOPS}にをがはで]|よう[なに]|ため[{WIDE_COMMAS}にの])"
)
# No sentence and no heading ends with these particles.
_CANNOT_END = frozenset("がを")
_PROSE = re.compile(f"[{WIDE_COMMAS}{FULL_STOPS}]")
# A number or a bullet narrower than this may be the indentation of a new paragraph.
_MIN_MARK_COLUMNS = 3
# A label or number and the gap after it are no longer than this.
_MAX_MARK_CHARACTERS = 40
# Shapes of lines that are complete by themselves.
_WHOLE = frozenset(
    (
        "row",
        "message",
        "csv",
        "separator",
        "markdown-heading",
        "mail-header",
        "contents",
        "bracketed",
        "article-title",
        "ruled",
    )
)


@dataclass(slots=True)
class _Cuts:
    """Lines of one width that do not end a sentence."""

    count: int = 0
    goes_on: int = 0  # how many of them precede a line that probably begins no sentence
    must_go_on: int = 0  # how many of them precede a line that certainly begins no sentence


def continued(text: str, lines: Sequence[Line], visible: Sequence[int], widths: npt.NDArray[np.uint8]) -> list[bool]:
    """For each line of `visible`, whether the next one of `visible` continues its paragraph.

    Args:
        text: with the ordinary forms of punctuation.
        visible: indices of the lines to look at, in order; blank lines between them separate paragraphs, unless page
            furniture stands there too.
        widths: of the characters of the text as it was sent, in half-width columns.
    """
    count = len(visible)
    result = [False] * count
    if count < 2:
        return result
    chosen = [lines[index] for index in visible]
    ends = [_ends(text, line) for line in chosen]
    near = [visible[i + 1] == visible[i] + 1 for i in range(count - 1)]
    open_ = [
        len(chosen[i].gaps) < 2
        and len(chosen[i + 1].gaps) < 2
        and chosen[i].shape not in _WHOLE
        and chosen[i + 1].shape not in STRONG
        and chosen[i].quotes == chosen[i + 1].quotes
        and not (chosen[i].indent > 14 and chosen[i].indent * 5 > chosen[i].edge * 2)
        and chosen[i + 1].indent <= chosen[i].indent + _MAX_HANGING
        and (near[i] or _bridged(lines, visible[i], visible[i + 1]))
        for i in range(count - 1)
    ]
    full = _full_edges(text, chosen, ends, near, open_)
    longest = max(full, default=0)
    first_of_block = chosen[0]
    body = 0  # columns before the first line of the paragraph
    for i in range(count - 1):
        line, after = chosen[i], chosen[i + 1]
        started = i == 0 or not result[i - 1]
        if started:
            body = line.indent
            first_of_block = line
        if near[i] and _hangs(text, first_of_block, line, after, widths):
            # Below the text of a cell or a numbered item, which continues there, even after a sentence.
            if not first_of_block.gaps:
                goes_on = text[line.last - 1] in FULL_STOPS
            else:
                cell = first_of_block.gaps[0][1]
                another = text[cell : cell + 2] == text[after.first : after.first + 2]  # 令和７年度 over 令和８年度
                begun = line is first_of_block and any(char in FULL_STOPS for char in text[cell : line.last])
                goes_on = ((line.edge in full or begun) and not another) or must_go_on(text, after)
            if goes_on:
                result[i] = True
                continue
        if not open_[i] or (i == 0 and _title_alone(text, chosen, near)):
            continue
        if not ends[i]:
            first = text[after.first]
            # A line with a long word after it, or cut at a phrase, ends a quarter before the others.
            fits = line.edge in full or (
                "ぁ" <= first <= "ゖ" and not after.shape and line.edge + line.edge // 3 in full
            )
            last = text[line.last - 1]
            prose = bool(full) or _PROSE.search(text, line.first, line.last) is not None
            cut = last in COMMAS or (prose and last in _CANNOT_END and not after.shape)
            result[i] = (fits and after.edge <= longest) or (near[i] and (must_go_on(text, after) or cut))
        elif line.edge in full and near[i] and not after.shape:
            # The second line of a paragraph stands left of the first, or below the text after a number or bullet.
            result[i] = (
                after.indent < body or body == after.indent == 0
                if started and not line.shape
                else after.indent <= line.indent
            )
    return result


def _hangs(text: str, first: Line, line: Line, after: Line, widths: npt.NDArray[np.uint8]) -> bool:
    """Whether a line stands right below the text of the block's first line, after its label or number."""
    if after.indent <= first.indent or after.shape or after.gaps or line.quotes != after.quotes:
        return False
    if len(first.gaps) == 1:
        begin = first.gaps[0][1]
    elif first.shape in NUMBERED and not first.gaps:
        begin = mark_end(text, first)
        if begin - first.first < 2:
            return False
    else:
        return False
    if begin - first.first > _MAX_MARK_CHARACTERS:
        return False
    columns = int(widths[first.first : begin].sum(dtype=int))
    return columns >= _MIN_MARK_COLUMNS and abs(after.indent - first.indent - columns) <= (1 if first.gaps else 0)


def _title_alone(text: str, chosen: Sequence[Line], near: Sequence[bool]) -> bool:
    """Whether the first two lines are a title and a line under it, and no paragraph that was cut."""
    title, under = chosen[0], chosen[1]
    content = text[title.first : title.last]
    return (
        len(chosen) > 3
        and not near[1]
        and not ends_sentence(text, under)
        and not "ぁ" <= content[-1] <= "ゖ"
        and content[-1] not in COMMAS
        and sum(char in OPENERS for char in content) == sum(char in CLOSERS for char in content)
        and not must_go_on(text, under)
        and not _cut_word(content[-1], text[under.first])
    )


def _ends(text: str, line: Line) -> bool:
    """Whether a line is not cut: it ends a sentence, announces what follows, is an utterance or has a side note."""
    last = text[line.last - 1]
    if last in ":：" or ends_sentence(text, line):
        return True
    if last in CLOSING_QUOTES and text[line.first] in OPENERS:
        return True
    return bool(line.gaps) and last in CLOSERS and text[line.gaps[-1][1]] in OPENERS


def must_go_on(text: str, line: Line) -> bool:
    """Whether a line begins with characters that begin no sentence, so that the line before it was cut."""
    return text[line.first] in _CANNOT_BEGIN or _PARTICLE_FIRST.match(text, line.first, line.last) is not None


def _bridged(lines: Sequence[Line], before: int, after: int) -> bool:
    """Whether page furniture stands between two lines, so that a blank line there means nothing."""
    return any(lines[index].shape in ("page", "head") for index in range(before + 1, after))


def _full_edges(
    text: str, lines: Sequence[Line], ends: Sequence[bool], near: Sequence[bool], open_: Sequence[bool]
) -> frozenset[int]:
    """The columns at which lines are cut; empty for a text that is not wrapped."""
    runs: list[dict[int, _Cuts]] = [defaultdict(_Cuts)]  # of lines without a blank line between: edge -> cuts there
    holders: dict[int, list[int]] = defaultdict(list)  # edge -> runs that have cuts there
    for i, is_open in enumerate(open_):
        if is_open and not ends[i] and near[i] and _MIN_EDGE <= lines[i].edge <= _MAX_EDGE:
            edge = lines[i].edge
            if edge not in runs[-1]:
                holders[edge].append(len(runs) - 1)
            cuts = runs[-1][edge]
            before, after = text[lines[i].last - 1], text[lines[i + 1].first]
            must = must_go_on(text, lines[i + 1]) or before in COMMAS
            cuts.count += 1
            cuts.must_go_on += must
            # A line that is longer than the width shows that no line is cut there: it follows a heading.
            cuts.goes_on += lines[i + 1].edge <= edge + 2 * _JITTER and (
                must or (not lines[i + 1].shape and ("ぁ" <= after <= "ゖ" or _cut_word(before, after)))
            )
        if not near[i] and runs[-1]:
            runs.append(defaultdict(_Cuts))
    full: set[int] = set()
    for width in holders:
        if _is_wrapped_at(width, runs, holders):
            full.update(range(width - max(_JITTER, width // 8), width + _JITTER + 3))
    return frozenset(full)


def _is_wrapped_at(width: int, runs: Sequence[dict[int, _Cuts]], holders: dict[int, list[int]]) -> bool:
    alike = range(width - _JITTER, width + _JITTER + 1)
    cuts = goes_on = must_go_on = others = 0
    for run in {run for edge in alike for run in holders.get(edge, ())}:
        for edge, found in runs[run].items():
            if edge in alike:
                cuts += found.count
                goes_on += found.goes_on
                must_go_on += found.must_go_on
            elif edge * 2 > width:
                others += found.count
    if cuts * 2 < others * 3:
        return False
    if width < _NARROW:
        return cuts >= 4 and goes_on * 5 >= cuts * 2 and must_go_on > 0
    return goes_on * 10 >= cuts * 3 and (goes_on >= 2 or must_go_on > 0)


def _cut_word(before: str, after: str) -> bool:
    """Whether the characters on both sides of a line end stand in one word or number."""
    return (before.isdigit() and after.isdigit()) or ("ァ" <= before <= "ー" and "ァ" <= after <= "ー")

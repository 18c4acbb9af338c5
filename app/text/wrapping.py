"""Which lines of a text are wrapped: cut at a column of the page and not where a sentence or paragraph ends.

A text is taken as wrapped at a width when several lines of about that width do not end a sentence and the next line
goes on as only a cut sentence can: with hiragana, or with what may not begin a sentence at all. Knows lines and
columns, nothing of blocks.
"""

from collections.abc import Sequence

from app.text.characters import CLOSERS, COMMAS, ENDERS
from app.text.line_shapes import STRONG, ends_sentence
from app.text.lines import Line

# Narrower columns than this (six full-width characters) are not taken for wrapped prose, nor are wider ones.
_MIN_EDGE, _MAX_EDGE = 12, 240
# Lines of one width differ by this many columns: a mark that may not begin a line stays on it or takes its neighbour
# along, and half-width characters leave a column free.
_JITTER = 4
# No line of Japanese begins with these unless it was cut (JIS X 4051, characters that may not begin a line).
_CANNOT_BEGIN = frozenset("ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮんンをヲー々゛゜？！" + ENDERS + COMMAS + CLOSERS)
_UNPROSE = frozenset(("row", "separator", "page", "head"))


def continued(text: str, lines: Sequence[Line], visible: Sequence[int], columns: Sequence[int]) -> list[bool]:
    """For each line of `visible`, whether the next one of `visible` continues its paragraph.

    Args:
        visible: indices of the lines to look at, in order; the lines between them (blank ones, page furniture) are
            passed over.
        columns: for each of `visible`, how many wide gaps it has.
    """
    count = len(visible)
    result = [False] * count
    if count < 2:
        return result
    chosen = [lines[index] for index in visible]
    ends = [ends_sentence(text, line) for line in chosen]
    prose = [
        line.shape not in _UNPROSE and gaps < 2 and not (line.indent > 20 and line.indent * 5 > line.edge * 2)
        for line, gaps in zip(chosen, columns, strict=True)
    ]
    near = [visible[i + 1] == visible[i] + 1 for i in range(count - 1)]
    open_ = [
        prose[i]
        and prose[i + 1]
        and chosen[i + 1].shape not in STRONG
        and chosen[i].quotes == chosen[i + 1].quotes
        and _MIN_EDGE <= chosen[i].edge <= _MAX_EDGE
        for i in range(count - 1)
    ]
    is_full = _full_edges(text, chosen, ends, prose, near, open_)
    if not is_full:
        return result
    body = 0  # columns before the first line of the paragraph
    for i in range(count - 1):
        line, after = chosen[i], chosen[i + 1]
        if i == 0 or not result[i - 1]:
            body = line.indent
        if not open_[i] or line.shape in ("markdown-heading", "mail-header", "bracketed"):
            continue
        full = line.edge in is_full
        if not ends[i]:
            result[i] = (full and (near[i] or after.indent <= body or text[after.first] in _CANNOT_BEGIN)) or (
                near[i] and text[after.first] in _CANNOT_BEGIN and line.edge * 2 > min(is_full)
            )
        elif full and near[i] and not after.shape:
            started = i == 0 or not result[i - 1]
            # The second line of a paragraph stands left of the first, or below the text after a number or bullet.
            result[i] = after.indent < body if started and not line.shape else after.indent <= chosen[i].indent
            if started and after.indent == body and body == 0:
                result[i] = True
    return result


def _full_edges(
    text: str,
    lines: Sequence[Line],
    ends: Sequence[bool],
    prose: Sequence[bool],
    near: Sequence[bool],
    open_: Sequence[bool],
) -> frozenset[int]:
    """The columns at which lines are cut; empty for a text that is not wrapped."""
    pairs: dict[int, list[int]] = {}  # edge -> lines cut there, those that go on with hiragana, those that must go on
    start = 0
    for stop in range(1, len(lines) + 1):
        if stop < len(lines) and near[stop - 1]:
            continue
        edges = sorted(lines[i].edge for i in range(start, stop) if prose[i])
        for i in range(start, min(stop, len(lines) - 1)):
            if not open_[i] or ends[i] or lines[i].shape in ("bracketed", "mail-header", "markdown-heading"):
                continue
            edge = lines[i].edge
            # In a paragraph of lines cut at one width, hardly any is longer.
            if stop - start > 1 and edges[len(edges) * 3 // 4] > edge + 2 * _JITTER:
                continue
            before, after = text[lines[i].last - 1], text[lines[i + 1].first]
            must = after in _CANNOT_BEGIN
            goes_on = must or "ぁ" <= after <= "ゖ" or _cut_word(before, after)
            found = pairs.setdefault(edge, [0, 0, 0])
            found[0] += 1
            found[1] += goes_on
            found[2] += must
        start = stop
    full: set[int] = set()
    for edge in pairs:
        alike = [pairs[e] for e in range(edge - _JITTER, edge + _JITTER + 1) if e in pairs]
        cut, going_on, sure = (sum(found[k] for found in alike) for k in range(3))
        enough = cut >= 2 if edge >= 32 else cut >= 4
        if (enough and going_on >= 2 and going_on * 10 >= cut * 3) or (
            sure and edge >= 32 and going_on * 10 >= cut * 3
        ):
            full.update(range(edge - max(_JITTER, edge // 8), edge + _JITTER + 3))
    return frozenset(full)


def _cut_word(before: str, after: str) -> bool:
    """Whether the characters on both sides of a line end stand in one word or number."""
    return (before.isdigit() and after.isdigit()) or ("ァ" <= before <= "ー" and "ァ" <= after <= "ー")

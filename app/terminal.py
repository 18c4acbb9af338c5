"""Results as text for people: the answer marked in its sentence, summaries line by line, labels with bars.

Knows responses and terminals, nothing of files or arguments. Whatever a document holds is shown without control
characters, so that no text can move the cursor or change colours.
"""

import re
from collections.abc import Iterator

from app.schemas import Answer, ClassifyResponse, LabelResult, QaResponse, SummarizeResponse, Timings, Usage
from app.text.sentences import sentences_of
from app.text.structure import Structure, structure_of

# Characters of its sentence shown on either side of an answer.
EXCERPT_CHARACTERS = 100
BAR_CELLS = 20

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def show_answers(response: QaResponse, context: str, *, colour: bool) -> str:
    """Every question's answers, best first, each in its sentence."""
    blocks = []
    for result in response.results:
        heading = [_printable(result.question)] if len(response.results) > 1 else []
        answers = [_show_answer(answer, context, colour=colour) for answer in result.answers]
        blocks.append("\n".join([*heading, *(answers or [f"No answer in the text ({result.null_score:.3f})."])]))
    return "\n\n".join(blocks)


def show_summary(response: SummarizeResponse) -> str:
    """The chosen sentences in the order of the document, one on a line."""
    return "\n".join(_printable(sentence.text) for sentence in response.sentences if sentence.selected)


def show_labels(response: ClassifyResponse, *, colour: bool) -> str:
    """Labels with their probabilities, most probable first."""
    return "\n".join(_show_label(label, first=index == 0 and colour) for index, label in enumerate(response.labels))


def show_usage(model: str, usage: Usage, timings: Timings) -> str:
    """One line on what the result cost."""
    windows = "1 window" if usage.windows == 1 else f"{usage.windows} windows"
    return f"{model}: {usage.tokens:,} tokens in {windows}, {timings.total_ms / 1000:.2f} s"


def _show_answer(answer: Answer, context: str, *, colour: bool) -> str:
    before, after = _around(answer, context)
    marked = _mark(_printable(answer.text), colour=colour)
    return f"{answer.score:.3f}  {_printable(before)}{marked}{_printable(after)}  [{answer.start}:{answer.end}]"


def _around(answer: Answer, context: str) -> tuple[str, str]:
    """What is read before and after an answer in its sentence, or sentences, cut where it gets long."""
    structure = structure_of(context)
    touched = [(start, end) for start, end in _whole_sentences(structure) if start < answer.end and answer.start < end]
    begin = min([answer.start, *(start for start, _ in touched)])
    finish = max([answer.end, *(end for _, end in touched)])
    before = structure.reading.between(begin, answer.start, context)
    after = structure.reading.between(answer.end, finish, context)
    if len(before) > EXCERPT_CHARACTERS:
        before = "…" + before[-EXCERPT_CHARACTERS:]
    if len(after) > EXCERPT_CHARACTERS:
        after = after[:EXCERPT_CHARACTERS] + "…"
    return before, after


def _whole_sentences(structure: Structure) -> Iterator[tuple[int, int]]:
    """The spans of the sentences, those that had to be cut put together again."""
    start = None
    for sentence in sentences_of(structure):
        start = sentence.start if start is None else start
        if not sentence.cut:
            yield start, sentence.end
            start = None


def _show_label(label: LabelResult, *, first: bool) -> str:
    name = f"{label.name} ({label.label})" if label.name else label.label
    line = f"{label.score:.3f}  {'█' * round(label.score * BAR_CELLS):{BAR_CELLS}}  {_printable(name)}"
    return _bold(line) if first else line


def _mark(text: str, *, colour: bool) -> str:
    return f"\x1b[1;30;43m{text}\x1b[0m" if colour else f"【{text}】"


def _bold(text: str) -> str:
    return f"\x1b[1m{text}\x1b[0m"


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)

"""Results as text for people: the answer marked in its sentence, summaries line by line, labels with bars.

This module knows responses and terminals, and does not know files or arguments. Whatever a document holds is shown
without control characters, so that no text can move the cursor or change colours.
"""

import re
from collections.abc import Mapping, Sequence

from app.files.inputs import STANDARD_INPUT
from app.schemas import (
    Answer,
    ClassifyDocumentsResponse,
    EvidenceDocumentsResponse,
    LabelResult,
    QaDocumentsResponse,
    RerankDocumentsResponse,
    SentenceResult,
    SummarizeDocumentsResponse,
    Timings,
    Usage,
)
from app.tasks.sources import Source
from app.text.graphemes import cluster_end, cluster_start

# Characters of its sentence shown on either side of an answer.
EXCERPT_CHARACTERS = 100
# What kinds of files have in place of pages.
_PAGES = {"pptx": "slide", "odp": "slide", "xlsx": "sheet", "xls": "sheet", "ods": "sheet"}
BAR_CELLS = 20

_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")


def show_answers(response: QaDocumentsResponse, sources: Sequence[Source], *, colour: bool) -> str:
    """Every question's answers, best first, each in its sentence, with file and page."""
    by_name = {source.name: source for source in sources}
    blocks = []
    for result in response.results:
        heading = [_printable(result.question)] if len(response.results) > 1 else []
        answers = [_show_answer(answer, by_name, colour=colour) for answer in result.answers]
        none = "No answer in the text" if len(sources) == 1 else f"No answer in the {len(sources)} texts"
        blocks.append("\n".join([*heading, *(answers or [f"{none} ({result.null_score:.3f})."])]))
    return "\n\n".join(blocks)


def show_summaries(response: SummarizeDocumentsResponse, sources: Sequence[Source]) -> str:
    """The chosen sentences of each document in its order, one on a line."""
    by_name = {source.name: source for source in sources}
    parts = [
        (result.document, [_show_sentence(one, by_name[result.document]) for one in result.sentences if one.selected])
        for result in response.results
    ]
    return _by_document(parts)


def show_labels(response: ClassifyDocumentsResponse, *, colour: bool) -> str:
    """The labels of each document with their probabilities, most probable first."""
    parts = [
        (result.document, [_show_label(label, first=not index and colour) for index, label in enumerate(result.labels)])
        for result in response.results
    ]
    return _by_document(parts)


def show_scores(response: RerankDocumentsResponse) -> str:
    """Every document with its score, best first."""
    return "\n".join(f"{result.score:.3f}  {_printable(shown_name(result.document))}" for result in response.results)


def show_evidence(response: EvidenceDocumentsResponse, sources: Sequence[Source]) -> str:
    """The kept sentences of each document in its order, one on a line, each with its score."""
    by_name = {source.name: source for source in sources}
    parts = []
    for result in response.results:
        source = by_name[result.document]
        kept = [one for one in result.sentences if one.kept]
        lines = [
            f"{one.score:.3f}  {_printable(source.structure.reading.between(one.start, one.end, source.text))}"
            for one in kept
        ]
        parts.append((result.document, lines or [f"Nothing in the text bears on the query ({result.score:.3f})."]))
    return _by_document(parts)


def show_usage(model: str, usage: Usage, timings: Timings) -> str:
    """One line on what the result cost."""
    windows = "1 window" if usage.windows == 1 else f"{usage.windows} windows"
    return f"{model}: {usage.tokens:,} tokens in {windows}, {timings.total_ms / 1000:.2f} s"


def _by_document(parts: Sequence[tuple[str, list[str]]]) -> str:
    """Lines of each document, below its name if there are several."""
    if len(parts) == 1:
        return "\n".join(parts[0][1])
    return "\n\n".join("\n".join([f"==> {_printable(shown_name(name))} <==", *lines]) for name, lines in parts)


def shown_name(name: str) -> str:
    """The name of a file, as messages have it."""
    return "standard input" if name == STANDARD_INPUT else name


def _show_answer(answer: Answer, sources: Mapping[str | None, Source], *, colour: bool) -> str:
    source = sources[answer.document]
    before, after = _around(answer, source)
    marked = _mark(_printable(answer.text), colour=colour)
    return f"{answer.score:.3f}  {_printable(before)}{marked}{_printable(after)}  {_printable(_place(answer, source))}"


def _place(answer: Answer, source: Source) -> str:
    """`contract.pdf, page 3 [1204:1210]`; standard input has no name."""
    name = "" if answer.document in (None, STANDARD_INPUT) else answer.document
    page = _page(answer.page, source)
    return f"{', '.join(filter(None, (name, page)))} [{answer.start}:{answer.end}]".lstrip()


def _page(number: int | None, source: Source) -> str:
    """`page 3`, or the slide or sheet of that number; empty for a document without pages."""
    if number is None:
        return ""
    kind = source.info.kind if source.info is not None else None
    return f"{_PAGES.get(kind or '', 'page')} {number}"


def _around(answer: Answer, source: Source) -> tuple[str, str]:
    """The text before and after an answer in its sentence or sentences, cut to a limited length."""
    sentence = answer.sentence or answer
    reading = source.structure.reading
    before = reading.between(sentence.start, answer.start, source.text)
    after = reading.between(answer.end, sentence.end, source.text)
    if len(before) > EXCERPT_CHARACTERS:
        before = "…" + before[cluster_end(before, len(before) - EXCERPT_CHARACTERS) :]
    if len(after) > EXCERPT_CHARACTERS:
        after = after[: cluster_start(after, EXCERPT_CHARACTERS)] + "…"
    return before, after


def _show_sentence(sentence: SentenceResult, source: Source) -> str:
    read = _printable(source.structure.reading.between(sentence.start, sentence.end, source.text))
    return read if sentence.page is None else f"{read}  {_page(sentence.page, source)}"


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

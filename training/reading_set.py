"""Reader of reading sets: documents with questions about them and with the sentences that a summary keeps.

Each document is one UTF-8 text file that a person can write and check by eye. Lines of five `=` separate its three
parts:

    kind: 賃貸借契約書
    =====
    the text, verbatim
    =====
    Q: 賃料はいつまでに支払いますか
    A: 前月末日
    Q: 敷金はいくらですか
    A: 二か月分 @ 敷金として賃料の二か月分
    Q: 連帯保証人の電話番号は
    A: -
    S: 本物件の賃料は月額

The text contains each answer exactly once; otherwise " @ " follows the answer, with a passage that the text contains
once and that contains the answer once. Several A lines are alternatives, the best first; "-" means that the text does
not answer the question. An S line quotes a passage of a sentence that a summary keeps. A line end is written as a
backslash and n. A line "style:" above the text says in free words how it is laid out, and STYLES groups documents by
these words. This module does not know tokens or models.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from training.data import UTF_8, DataError, QuestionExample, files_under

_PART = "\n=====\n"

# What a `style:` line has to say for a document to count as of that style; one document may have several.
STYLES = {
    "wrapped lines": r"wrapped",
    "pages": r"page|footer|running head|柱",
    "tables": r"\btable|tab rows|columns|item rows|表",
    "clauses": r"第N?[0-9]*条|numbered clauses|clauses|\(1\)|（１）|条文|headings 一",
    "mail and chat": r"mail|チャット",
    "Markdown": r"Markdown",
    "lists": r"bullet|list\b|箇条|項目",
    "speech": r"spoken|verbatim|dialogue|oral|interview",
    "stray spaces": r"stray spaces|hard spaces|spaces inside",
}
NO_STYLE = "other"


@dataclass(frozen=True)
class MarkedText:
    """A document, and one code point inside each sentence that a summary keeps."""

    document: str
    text: str
    marks: tuple[int, ...]


@dataclass(frozen=True)
class ReadingDocument:
    """One file. `passages` are half-open spans of the sentences that a summary keeps, most important first."""

    id: str
    text: str
    questions: tuple[QuestionExample, ...]
    passages: tuple[tuple[int, int], ...]
    style: str = ""  # what its `style:` line says

    @property
    def marks(self) -> tuple[int, ...]:
        """Where the passages begin."""
        return tuple(start for start, _ in self.passages)

    @property
    def styles(self) -> tuple[str, ...]:
        """The names in STYLES that fit its `style:` line, or NO_STYLE alone."""
        return tuple(name for name, words in STYLES.items() if re.search(words, self.style)) or (NO_STYLE,)


def read_reading_set(path: Path) -> list[ReadingDocument]:
    """Every document of a file or a folder.

    Raises:
        DataError: a file does not have this format; names the file, the line and the fault.
    """
    root = path if path.is_dir() else path.parent
    return [_read(file, str(file.relative_to(root).with_suffix(""))) for file in files_under(path, "*.txt")]


def grouped_by_style(documents: Iterable[ReadingDocument]) -> dict[str, list[ReadingDocument]]:
    """The documents of each style that occurs, in the order of STYLES; NO_STYLE comes last."""
    groups: dict[str, list[ReadingDocument]] = {name: [] for name in (*STYLES, NO_STYLE)}
    for document in documents:
        for name in document.styles:
            groups[name].append(document)
    return {name: group for name, group in groups.items() if group}


def reading_questions(path: Path) -> list[QuestionExample]:
    """The questions of a reading set, answerable and unanswerable."""
    return [question for document in read_reading_set(path) for question in document.questions]


def marked_texts(path: Path) -> list[MarkedText]:
    """The documents of a reading set that have marked sentences."""
    return [MarkedText(one.id, one.text, one.marks) for one in read_reading_set(path) if one.marks]


def _read(file: Path, name: str) -> ReadingDocument:
    try:
        raw = file.read_text(encoding=UTF_8)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    parts = raw.split(_PART)
    if len(parts) != 3:
        raise DataError(f"{file} has {len(parts) - 1} lines of =====; a document has two.")
    head, text, notes = parts
    asked: list[_Asked] = []
    passages: list[tuple[int, int]] = []
    first_line = head.count("\n") + text.count("\n") + 5
    # Not splitlines: only "\n" ends a line here, as in the text.
    for number, line in enumerate(notes.split("\n"), start=first_line):
        where = f"{file}, line {number}"
        key, _, value = line.partition(":")
        value = value.strip()
        if not line.strip():
            continue
        if key == "Q" and value:
            asked.append(_Asked(value, where))
        elif key == "A" and value and asked:
            asked[-1].answers.append(None if value == "-" else _place(text, value, where))
        elif key == "S" and value:
            passage = value.replace("\\n", "\n")
            start = _once(text, passage, where)
            passages.append((start, start + len(passage)))
        else:
            raise DataError(f"{where}: a line must begin with Q:, A: or S: and must not be empty after that.")
    questions = tuple(
        QuestionExample(f"{name}#{number}", one.question, text, one.checked_answers(), name)
        for number, one in enumerate(asked)
    )
    style = next((line.removeprefix("style:").strip() for line in head.split("\n") if line.startswith("style:")), "")
    return ReadingDocument(name, text, questions, tuple(passages), style)


@dataclass
class _Asked:
    """A Q line and the A lines under it; None means "-"."""

    question: str
    where: str
    answers: list[tuple[str, int] | None] = field(default_factory=list)

    def checked_answers(self) -> tuple[tuple[str, int], ...]:
        places = tuple(answer for answer in self.answers if answer is not None)
        if not self.answers:
            raise DataError(f'{self.where}: the question has no A line; "A: -" means that the text does not answer it.')
        if len(places) not in (0, len(self.answers)):
            raise DataError(f'{self.where}: the question has answers and "-", which means that it has none.')
        return places


def _once(text: str, passage: str, where: str) -> int:
    if (times := text.count(passage)) != 1:
        raise DataError(f"{where}: {passage!r} occurs {times} times in the text; it must occur exactly once.")
    return text.index(passage)


def _place(text: str, value: str, where: str) -> tuple[str, int]:
    """(answer, start) from the value of an A line."""
    answer, _, passage = (part.strip().replace("\\n", "\n") for part in value.partition(" @ "))
    if not passage:
        return answer, _once(text, answer, where)
    return answer, _once(text, passage, where) + _once(passage, answer, where)

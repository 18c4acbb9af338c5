"""The sources of a request: texts, each with its structure, its name, and the places in it.

A source is the text of a field, one of several documents, or a file that was read. Its structure is found when it is
first asked for, in a text thread. This module knows neither tokens nor how files are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from app.errors import InvalidInput
from app.files.document import Document
from app.files.extraction import Extracted
from app.schemas import Box, DocumentInfo, DocumentText, SentenceSpan, WarningResult
from app.text.sentences import sentence_around
from app.text.structure import Structure, structure_of


@dataclass(frozen=True, eq=False)
class Source:
    """One text of a request.

    Args:
        called: its name in errors: "`context`", "`documents[1].text`", "The text of 報告.pdf".
        info: its description in the response; None for the one text of a request that names no document.
        file: the extracted file, for a source that is one.
    """

    text: str
    called: str
    info: DocumentInfo | None = None
    file: Document | None = None

    @property
    def name(self) -> str | None:
        return None if self.info is None else self.info.document

    @cached_property
    def structure(self) -> Structure:
        return structure_of(self.text) if self.file is None else Structure(self.text, self.file.blocks)

    @cached_property
    def places(self) -> Document:
        """Where which character stands."""
        return Document(self.text, self.structure.blocks) if self.file is None else self.file

    def heading(self, start: int) -> list[str] | None:
        """The headings above an offset; None where there are none."""
        return list(self.places.heading_path(start)) or None

    def boxes(self, start: int, end: int) -> list[Box] | None:
        """The boxes of a span, one for each visual line; None where pages have none."""
        return boxes_of(self.places, start, end)

    def sentence(self, start: int, end: int, offsets: Sequence[int]) -> SentenceSpan:
        """The sentence around a span; `offsets` are those of the unit asked for."""
        first, last = sentence_around(self.structure, start, end)
        return SentenceSpan(text=self.text[first:last], start=offsets[first], end=offsets[last])


def sources_of_texts(documents: Iterable[DocumentText]) -> list[Source]:
    """The sources of documents that were sent as text."""
    return [
        Source(
            document.text,
            f"`documents[{index}].text`",
            DocumentInfo(
                document=document.id or str(index),
                kind="text",
                characters=len(document.text),
                pages=None,
                warnings=[],
            ),
        )
        for index, document in enumerate(documents)
    ]


def sources_of_files(files: Iterable[Extracted]) -> list[Source]:
    """The sources of files that were read."""
    return [
        Source(
            file.document.text,
            f"The text of {file.name}",
            DocumentInfo(
                document=file.name,
                kind=file.kind,
                characters=len(file.document.text),
                pages=len(file.document.pages) or None,
                warnings=WarningResult.of(file.document.warnings),
            ),
            file.document,
        )
        for file in files
    ]


def with_text(sources: Sequence[Source]) -> list[Source]:
    """The sources that have a text; a file may have none.

    Raises:
        InvalidInput: no source has a text.
    """
    found = [source for source in sources if source.file is None or source.file.blocks]
    if not found:
        reasons = " ".join(
            f"{info.document}: {' '.join(one.warning for one in info.warnings)}"
            for info in (source.info for source in sources)
            if info
        )
        raise InvalidInput(f"There is no text to read. {reasons}")
    return found


def boxes_of(document: Document, start: int, end: int) -> list[Box] | None:
    """The boxes of a span, one for each visual line; None for a document without boxes."""
    if document.boxes is None:
        return None
    return [
        Box(page=box.page, left=box.left, top=box.top, right=box.right, bottom=box.bottom)
        for box in document.boxes_of(start, end)
    ]

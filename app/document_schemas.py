"""Documents and the places in them as clients see them: blocks, pages, boxes, sentences.

Spans are half-open offsets into a document's text, in the unit asked for. Boxes are in points (1/72 inch) from the top
left corner of the page. Knows nothing of models, and nothing of how a file is read.
"""

from pydantic import BaseModel, ConfigDict, Field

from app.files.sniff import Kind
from app.text.blocks import BlockKind


class _Place(BaseModel):
    model_config = ConfigDict(frozen=True)


class Box(_Place):
    """A rectangle on a page, in points from the top left corner."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


class SentenceSpan(_Place):
    """The sentence, or the neighbouring sentences, that hold an answer: `text == sent[start:end]`."""

    text: str
    start: int
    end: int


class DocumentInfo(_Place):
    """One document of a request, in the order sent."""

    document: str = Field(
        description="What answers name it by: its id, else its place among the documents, counted from 0; of a file, "
        "its name, with a number where an earlier one has the same."
    )
    kind: Kind = Field(description="What the bytes of a file are, whatever its name says. `text` for JSON.")
    characters: int = Field(description="Code points of its text.")
    pages: int | None = Field(description="Pages or slides; null for a file without any.")
    warnings: list[str] = Field(description="Sentences about what could not be read, such as scanned pages.")


class BlockResult(_Place):
    """A part of the text: a paragraph, a heading, a row of a table. Blocks stand in order and do not overlap."""

    kind: BlockKind
    start: int
    end: int
    level: int = Field(description="Of a heading, 1 is the highest; 0 for every other kind.")
    cells: list[tuple[int, int]] = Field(description="Spans of the cells of a row, empty cells included.")
    boxes: list[Box] | None = Field(
        default=None,
        description="One box for each visual line. Only with `boxes=true`, and only where pages have them.",
    )


class PageResult(_Place):
    """A page or a slide: the span of its text and its size in points, 0 where unknown."""

    number: int = Field(description="From 1, in the order of the file.")
    start: int
    end: int
    width: float
    height: float
    scanned: bool = Field(description="The page has pictures but no text: it was not read.")


class ExtractResponse(_Place):
    """A file as text, with its structure. Every visible character lies in a block."""

    document: str = Field(description="The name of the file.")
    kind: Kind = Field(description="What the bytes are, whatever the name says.")
    text: str
    blocks: list[BlockResult]
    pages: list[PageResult] = Field(description="Empty for a file without pages.")
    warnings: list[str] = Field(description="Sentences about what could not be read, such as scanned pages.")

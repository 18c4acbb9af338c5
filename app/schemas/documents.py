"""Documents and the places in them as clients send and see them: texts, blocks, pages, boxes, sentences.

Spans are half-open offsets into a document's text, in the unit asked for. Boxes are in points (1/72 inch) from the top
left corner of the page. This module knows neither models nor how a file is read.
"""

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.files.sniff import Kind
from app.files.warnings import FileWarning, WarningType
from app.schemas.fields import DocumentId, OffsetUnit, Text
from app.text.blocks import BlockKind

DEFAULT_PAGE_WIDTH = 1000  # pixels of a page's picture


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


class WarningResult(_Place):
    """A warning about a file that was read."""

    warning: str = Field(description="The warning as a sentence.")
    warning_type: WarningType = Field(description="Stable, for programs.")
    pages: list[int] = Field(description="Numbers of the pages or slides that it is about; often empty.")

    @classmethod
    def of(cls, warnings: Iterable[FileWarning]) -> "list[WarningResult]":
        """The warnings of a file."""
        return [cls(warning=str(one), warning_type=one.warning_type, pages=list(one.pages)) for one in warnings]


class DocumentInfo(_Place):
    """One document of a request, in the order sent."""

    document: str = Field(
        description="The name of the document in answers: its id, else its index, counted from 0. For a file it is the "
        "file's name, with a number if an earlier file has the same name."
    )
    kind: Kind = Field(description="The kind of a file, found from its bytes and not from its name. `text` for JSON.")
    characters: int = Field(description="Number of code points of its text.")
    pages: int | None = Field(description="Number of pages or slides; null for a file without pages.")
    warnings: list[WarningResult] = Field(description="Parts that could not be read, such as scanned pages.")


class BlockResult(_Place):
    """A part of the text: a paragraph, a heading, a row of a table. Blocks stand in order and do not overlap."""

    kind: BlockKind
    start: int
    end: int
    level: int = Field(description="The level of a heading, 1 is the highest; 0 for every other kind.")
    cells: list[tuple[int, int]] = Field(description="Spans of the cells of a row, empty cells included.")
    boxes: list[Box] | None = Field(
        default=None,
        description="One box for each visual line. Only with `boxes=true`, and only if the file has places on pages.",
    )


class PageResult(_Place):
    """A page or a slide: the span of its text and its size in points, 0 where unknown."""

    number: int = Field(description="The number of the page, from 1, in the order of the file.")
    start: int
    end: int
    width: float
    height: float
    scanned: bool = Field(description="The page has pictures but no text: it was not read.")


class ExtractResponse(_Place):
    """A file as text, with its structure. Every visible character lies in a block."""

    document: str = Field(description="The name of the file.")
    kind: Kind = Field(description="The kind of the file, found from its bytes and not from its name.")
    text: str
    blocks: list[BlockResult]
    pages: list[PageResult] = Field(description="Empty for a file without pages.")
    warnings: list[WarningResult] = Field(description="Parts that could not be read, such as scanned pages.")


class DocumentText(BaseModel):
    """One of several texts of a request."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: DocumentId | None = Field(
        default=None, description="The name of the document in answers. Without it, its index, counted from 0."
    )
    text: Text


def _named(documents: list[DocumentText]) -> list[DocumentText]:
    """Every document with an id of its own."""
    named = [document.model_copy(update={"id": document.id or str(index)}) for index, document in enumerate(documents)]
    first: dict[str | None, int] = {}
    for index, document in enumerate(named):
        if first.setdefault(document.id, index) != index:
            raise PydanticCustomError(
                "documents",
                "names document {index} like document {first}, counted from 0; every id may stand once",
                {"index": index, "first": first[document.id]},
            )
    return named


Documents = Annotated[list[DocumentText], Field(min_length=1), AfterValidator(_named)]


class ExtractFields(BaseModel):
    """The fields that /extract takes next to a file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    boxes: bool = Field(default=False, description="Return the boxes of each block, one for each visual line.")
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings need utf16.")


class RenderFields(BaseModel):
    """The fields that /render takes next to a file."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    page: int = Field(default=1, ge=1, description="The number of the page, counted from 1.")
    width: int = Field(
        default=DEFAULT_PAGE_WIDTH,
        ge=16,
        le=10_000,
        description="Width of the picture in pixels. A picture over the limit of pixels becomes smaller.",
    )

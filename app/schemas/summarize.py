"""Texts to summarise, and summaries."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.documents import Box, Documents
from app.schemas.fields import OffsetUnit, Request, Text, at_most_one
from app.schemas.results import DocumentsResult, Response, Result

DEFAULT_SENTENCES = 3


class SummarizeFields(Request):
    model_config = ConfigDict(json_schema_extra=at_most_one("max_sentences", "ratio", "max_characters"))

    max_sentences: int | None = Field(
        default=None, ge=1, description=f"Maximum number of sentences; {DEFAULT_SENTENCES} when no length is given."
    )
    ratio: float | None = Field(default=None, gt=0, le=1, description="Share of the text's sentences, rounded up.")
    max_characters: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of characters of the summary. Sentences are never cut: only those that fit are "
        "selected.",
    )
    diversity: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0 selects the most probable sentences, except those that add next to nothing to the summary; more "
        "also avoids sentences that repeat parts of it.",
    )
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings need utf16.")

    @property
    def other_texts(self) -> list[str]:
        """The texts of the request that are no documents."""
        return []

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        given = [name for name in ("max_sentences", "ratio", "max_characters") if getattr(self, name) is not None]
        if len(given) > 1:
            raise PydanticCustomError(
                "one_length",
                "only one of max_sentences, ratio and max_characters is allowed, not {given}",
                {"given": " and ".join(given)},
            )
        return self


class SummarizeRequest(SummarizeFields):
    """A text whose most important sentences are selected. At most one of the three lengths may be given."""

    text: Text = Field(description="The text to summarise, of any length within the limits in /info.")


class SummarizeDocumentsRequest(SummarizeFields):
    """Several texts, each summarised by itself; the length is the length of each summary."""

    documents: Documents = Field(description="The texts to summarise. Limits in /info hold for their sum.")


class SentenceResult(Response):
    """A sentence of the text: `text == sent[start:end]` in the unit asked for."""

    text: str
    start: int
    end: int
    index: int
    score: float = Field(
        description="Probability that a reader would keep this sentence in a summary, in [0, 1]: compares the "
        "sentences of one text."
    )
    selected: bool
    cut: bool = Field(
        description="Whether it continues in the next one: a sentence of more than 1,000 characters is cut at clauses."
    )
    page: int | None = Field(default=None, description="The page on which it begins; null for documents without pages.")
    heading: list[str] | None = Field(
        default=None, description="The headings above a selected sentence, the highest level first."
    )
    boxes: list[Box] | None = Field(
        default=None, description="The boxes of a selected sentence on pages of a PDF, line by line."
    )


class SummarizeResponse(Result):
    """The summary, and every sentence of the text in document order."""

    summary: str
    sentences: list[SentenceResult]


class DocumentSummary(Response):
    """The summary of one of several documents, and every sentence of it in order."""

    document: str
    summary: str
    sentences: list[SentenceResult]


class SummarizeDocumentsResponse(DocumentsResult):
    """One summary per document, in the order sent."""

    results: list[DocumentSummary]

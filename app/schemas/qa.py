"""Questions and their answers."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from app.schemas.documents import Box, Documents, SentenceSpan
from app.schemas.fields import OffsetUnit, Request, Text, Texts, at_most_one
from app.schemas.results import DocumentsResult, Response, Result

MAX_TOP_K = 20
MAX_ANSWER_TOKENS = 512


class QaFields(Request):
    model_config = ConfigDict(json_schema_extra=at_most_one("doc_stride", "window_overlap"))

    question: Texts = Field(description="A question, or a list of questions about the same text.")
    top_k: int = Field(
        default=1,
        ge=1,
        le=MAX_TOP_K,
        description="Maximum number of answers per question, best first; no answer appears twice.",
    )
    max_answer_length: int = Field(
        default=30,
        ge=1,
        le=MAX_ANSWER_TOKENS,
        description="Maximum number of tokens of an answer; a token is one or two characters.",
    )
    null_score_diff_threshold: float | None = Field(
        default=None,
        description="No answers are returned when `score_diff` (null logit less best answer's logit) is above this. "
        "Without it there are always answers.",
    )
    doc_stride: int | None = Field(
        default=None,
        ge=1,
        description="Tokens between the starts of two windows, if the text does not fit in one. A smaller value reads "
        "every passage with more context and costs more.",
    )
    window_overlap: int | None = Field(
        default=None,
        ge=0,
        description="Tokens that two neighbouring windows share, in place of doc_stride; Hugging Face calls this "
        "`doc_stride`. At most one of the two may be given.",
    )
    offset_unit: OffsetUnit = Field(default="codepoint", description="Unit of offsets; JavaScript strings need utf16.")

    @property
    def questions(self) -> list[str]:
        return self.question if isinstance(self.question, list) else [self.question]

    @property
    def other_texts(self) -> list[str]:
        """The texts of the request that are no documents."""
        return self.questions

    @model_validator(mode="after")
    def _one_stride(self) -> Self:
        if self.doc_stride is not None and self.window_overlap is not None:
            raise PydanticCustomError("one_stride", "only one of doc_stride and window_overlap is allowed")
        return self


class QaRequest(QaFields):
    """Questions about one text."""

    context: Text = Field(description="The text that holds the answers, of any length within the limits in /info.")


class QaDocumentsRequest(QaFields):
    """Questions about several texts: each is answered from all of them."""

    documents: Documents = Field(description="The texts that hold the answers. Limits in /info hold for their sum.")


class Answer(Response):
    """A passage of a text: `text == sent[start:end]` in the unit asked for."""

    text: str
    start: int
    end: int
    score: float = Field(description="Probability among the best answers and no answer, in [0, 1].")
    document: str | None = Field(default=None, description="The name of the document; null if `context` was sent.")
    page: int | None = Field(
        default=None, description="The page on which the answer begins; null for documents without pages."
    )
    heading: list[str] | None = Field(
        default=None, description="The headings above the answer, the highest level first; null without headings."
    )
    boxes: list[Box] | None = Field(
        default=None, description="The boxes of the answer on pages of a PDF, line by line; null for other files."
    )
    sentence: SentenceSpan | None = Field(default=None, description="The sentence or sentences that hold the answer.")


class QuestionResult(Response):
    """The answers to one question, best first."""

    question: str
    answers: list[Answer]
    null_score: float = Field(description="Probability that the text holds no answer, in [0, 1].")
    score_diff: float = Field(
        description="Null logit less the best answer's logit; null_score_diff_threshold is compared with it."
    )


class QaResponse(Result):
    """One result per question, in the order asked."""

    results: list[QuestionResult]


class QaDocumentsResponse(DocumentsResult):
    """One result per question, in the order asked, with the best answers of all documents."""

    results: list[QuestionResult]

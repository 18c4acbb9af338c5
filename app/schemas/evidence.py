"""A query and texts, and the sentences of them that bear on it."""

from pydantic import Field

from app.schemas.documents import Documents
from app.schemas.fields import OffsetUnit, Request, Text
from app.schemas.results import DocumentsResult, Response, Result

DEFAULT_THRESHOLD = 0.1


class EvidenceFields(Request):
    query: Text = Field(description="The question or key words on which the sentences must bear.")
    threshold: float = Field(
        default=DEFAULT_THRESHOLD, ge=0, le=1, description="A sentence is kept when its score is above this."
    )
    offset_unit: OffsetUnit = "codepoint"

    @property
    def other_texts(self) -> list[str]:
        """The texts of the request that are no documents."""
        return [self.query]


class EvidenceRequest(EvidenceFields):
    """A query and one text."""

    text: Text = Field(description="The text, of any length within the limits in /info.")


class EvidenceDocumentsRequest(EvidenceFields):
    """A query and several texts."""

    documents: Documents = Field(description="The texts. Limits in /info hold for their sum.")


class EvidenceSentence(Response):
    """One sentence of a text."""

    text: str
    start: int
    end: int
    index: int
    score: float = Field(description="How probable it is that its tokens bear on the query: their mean.")
    kept: bool


class EvidenceResponse(Result):
    """How well the text fits the query, and every sentence of it in order."""

    score: float = Field(
        description="The score, from 0 to 1; for a text in several windows, the score of the best window."
    )
    sentences: list[EvidenceSentence]


class DocumentEvidence(Response):
    """The score and the sentences of one of several documents."""

    document: str
    score: float
    sentences: list[EvidenceSentence]


class EvidenceDocumentsResponse(DocumentsResult):
    """The documents in the order sent."""

    results: list[DocumentEvidence]

"""A query and texts, which are put in order by how well they answer the query."""

from pydantic import Field

from app.schemas.documents import Documents
from app.schemas.fields import Request, Text
from app.schemas.results import DocumentsResult, Response, Result


class RerankFields(Request):
    query: Text = Field(description="The question or key words with which the texts are compared.")

    @property
    def other_texts(self) -> list[str]:
        """The texts of the request that are no documents."""
        return [self.query]


class RerankRequest(RerankFields):
    """A query and one text."""

    text: Text = Field(description="The text, of any length within the limits in /info.")


class RerankDocumentsRequest(RerankFields):
    """A query and several texts."""

    documents: Documents = Field(description="The texts. Limits in /info hold for their sum.")


class RerankResponse(Result):
    """How well the text fits the query."""

    score: float = Field(
        description="The score, from 0 to 1; for a text in several windows, the score of the best window."
    )


class DocumentScore(Response):
    """How well one of several documents fits the query."""

    document: str
    index: int = Field(description="The index of the document in the order sent, counted from 0.")
    score: float


class RerankDocumentsResponse(DocumentsResult):
    """The documents, best first."""

    results: list[DocumentScore]

"""A query and texts to put in order by how well they answer it."""

from pydantic import Field

from app.schemas.documents import Documents
from app.schemas.fields import Request, Text
from app.schemas.results import DocumentsResult, Response, Result


class RerankFields(Request):
    query: Text = Field(description="What the texts are compared with: a question or key words.")

    @property
    def other_texts(self) -> list[str]:
        """The texts next to those that are read."""
        return [self.query]


class RerankRequest(RerankFields):
    """A query and one text."""

    text: Text = Field(description="The text, of any length within the limits in /info.")


class RerankDocumentsRequest(RerankFields):
    """A query and several texts."""

    documents: Documents = Field(description="The texts. Limits in /info hold for their sum.")


class RerankResponse(Result):
    """How well the text fits the query."""

    score: float = Field(description="From 0 to 1; of a text in several windows, that of the best one.")


class DocumentScore(Response):
    """How well one of several documents fits the query."""

    document: str
    index: int = Field(description="Which of the documents it is, in the order sent, from 0.")
    score: float


class RerankDocumentsResponse(DocumentsResult):
    """The documents, best first."""

    results: list[DocumentScore]

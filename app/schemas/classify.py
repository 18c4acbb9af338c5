"""Texts to label, and their labels."""

from pydantic import Field

from app.schemas.documents import Documents
from app.schemas.fields import Request, Text
from app.schemas.results import DocumentsResult, Response, Result


class ClassifyFields(Request):
    text_pair: Text | None = Field(default=None, description="A second text, for models trained on pairs.")
    top_k: int | None = Field(
        default=None, ge=1, description="Maximum number of labels, most probable first. Without it, all labels."
    )

    @property
    def other_texts(self) -> list[str]:
        """The texts of the request that are no documents."""
        return [] if self.text_pair is None else [self.text_pair]


class ClassifyRequest(ClassifyFields):
    """A text, or a pair of texts, to label."""

    text: Text = Field(description="The text to classify, of any length within the limits in /info.")


class ClassifyDocumentsRequest(ClassifyFields):
    """Several texts, each to be labelled by itself, or each as a pair with the same second text."""

    documents: Documents = Field(description="The texts to classify. Limits in /info hold for their sum.")


class LabelResult(Response):
    """One label and its probability."""

    label: str
    name: str | None = Field(default=None, description="The label in words, if the model's manifest has them.")
    score: float


class ClassifyResponse(Result):
    """Labels, most probable first."""

    labels: list[LabelResult]


class DocumentLabels(Response):
    """The labels of one of several documents, most probable first."""

    document: str
    labels: list[LabelResult]


class ClassifyDocumentsResponse(DocumentsResult):
    """The labels of each document, in the order sent."""

    results: list[DocumentLabels]

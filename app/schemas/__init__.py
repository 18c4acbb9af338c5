"""Requests and responses as clients see them, a file for each subject. Start with qa.py.

Limits that hold for every installation stand here; limits an operator may move stand in app/settings.py. Knows nothing
of models or FastAPI. Messages name the field, what is wrong and what is allowed; they never repeat a text.
"""

from app.schemas.classify import (
    ClassifyDocumentsRequest,
    ClassifyDocumentsResponse,
    ClassifyFields,
    ClassifyRequest,
    ClassifyResponse,
    DocumentLabels,
    LabelResult,
)
from app.schemas.documents import (
    BlockResult,
    Box,
    DocumentInfo,
    DocumentText,
    ExtractFields,
    ExtractResponse,
    PageResult,
    RenderFields,
    SentenceSpan,
)
from app.schemas.fields import TEXT_PATTERN, OffsetUnit, Text, Texts, at_most_one
from app.schemas.operations import BrokenInfo, Health, Info, Labels, Limits, ModelInfo, ModelType
from app.schemas.qa import (
    MAX_ANSWER_TOKENS,
    MAX_TOP_K,
    Answer,
    QaDocumentsRequest,
    QaDocumentsResponse,
    QaFields,
    QaRequest,
    QaResponse,
    QuestionResult,
)
from app.schemas.results import ErrorResponse, Timings, Usage
from app.schemas.summarize import (
    DEFAULT_SENTENCES,
    DocumentSummary,
    SentenceResult,
    SummarizeDocumentsRequest,
    SummarizeDocumentsResponse,
    SummarizeFields,
    SummarizeRequest,
    SummarizeResponse,
)

__all__ = [
    "DEFAULT_SENTENCES",
    "MAX_ANSWER_TOKENS",
    "MAX_TOP_K",
    "TEXT_PATTERN",
    "Answer",
    "BlockResult",
    "Box",
    "BrokenInfo",
    "ClassifyDocumentsRequest",
    "ClassifyDocumentsResponse",
    "ClassifyFields",
    "ClassifyRequest",
    "ClassifyResponse",
    "DocumentInfo",
    "DocumentLabels",
    "DocumentSummary",
    "DocumentText",
    "ErrorResponse",
    "ExtractFields",
    "ExtractResponse",
    "Health",
    "Info",
    "LabelResult",
    "Labels",
    "Limits",
    "ModelInfo",
    "ModelType",
    "OffsetUnit",
    "PageResult",
    "QaDocumentsRequest",
    "QaDocumentsResponse",
    "QaFields",
    "QaRequest",
    "QaResponse",
    "QuestionResult",
    "RenderFields",
    "SentenceResult",
    "SentenceSpan",
    "SummarizeDocumentsRequest",
    "SummarizeDocumentsResponse",
    "SummarizeFields",
    "SummarizeRequest",
    "SummarizeResponse",
    "Text",
    "Texts",
    "Timings",
    "Usage",
    "at_most_one",
]

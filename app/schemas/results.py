"""The fields that all answers of tasks share, and the form of all errors."""

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.documents import DocumentInfo


class Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class Usage(Response):
    """The cost of the request. With several windows the text was read in overlapping parts, with nothing left out."""

    tokens: int = Field(description="Tokens computed, over all windows.")
    windows: int = Field(description="Number of windows of all texts.")


class Timings(Response):
    """Milliseconds by stage. The queue ends when the first window starts to run, inference when the last one ends."""

    tokenize_ms: float
    queue_ms: float
    infer_ms: float
    decode_ms: float
    total_ms: float


class Result(Response):
    usage: Usage
    model: str
    timings: Timings


class DocumentsResult(Result):
    documents: list[DocumentInfo] = Field(description="The documents of the request, in the order sent.")


class ErrorResponse(Response):
    """Every answer that is not a success."""

    error: str = Field(description="A sentence that says what was wrong and what is allowed.")
    error_type: str
    request_id: str

"""What every answer of a task has, and what every error says."""

from pydantic import BaseModel, ConfigDict, Field

from app.schemas.documents import DocumentInfo


class Response(BaseModel):
    model_config = ConfigDict(frozen=True)


class Usage(Response):
    """What the request cost. More than one window: the text was read in overlapping parts, none of it left out."""

    tokens: int = Field(description="Tokens computed, over all windows.")
    windows: int = Field(description="Windows the texts were read in.")


class Timings(Response):
    """Milliseconds by stage. The queue ends where the first window starts to run, inference where the last one ends."""

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
    documents: list[DocumentInfo] = Field(description="What was read, in the order sent.")


class ErrorResponse(Response):
    """Every answer that is not a success."""

    error: str = Field(description="A sentence: what was wrong and what is allowed.")
    error_type: str
    request_id: str

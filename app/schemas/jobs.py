"""Jobs as clients see them."""

from typing import Any

from pydantic import Field

from app.jobs import JobState
from app.schemas.results import Response


class JobError(Response):
    """Why a job failed: what the endpoint would have answered."""

    error: str = Field(description="A sentence: what was wrong and what is allowed.")
    error_type: str


class JobInfo(Response):
    """How far long work is, and its result once it is done."""

    id: str
    status: JobState = Field(description="`cancelled` is seen only by those who follow its events.")
    windows: int | None = Field(description="Of all texts; null until files are read and texts are cut.")
    windows_done: int
    error: JobError | None = Field(description="Of a job that failed.")
    result: dict[str, Any] | None = Field(default=None, description="Of a job that is done: what the endpoint answers.")

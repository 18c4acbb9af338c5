"""The states and results of jobs, as clients see them."""

from typing import Any

from pydantic import Field

from app.jobs import JobState
from app.schemas.results import Response


class JobError(Response):
    """The error of a job that failed, as the endpoint would have answered it."""

    error: str = Field(description="A sentence that says what was wrong and what is allowed.")
    error_type: str


class JobInfo(Response):
    """The progress of a job, and its result once it is done."""

    id: str
    status: JobState = Field(description="Only clients that follow the events of a job see `cancelled`.")
    windows: int | None = Field(description="Windows of all texts; null until files are read and texts are cut.")
    windows_done: int
    error: JobError | None = Field(description="The error of a job that failed.")
    result: dict[str, Any] | None = Field(
        default=None, description="The result of a job that is done, as the endpoint answers it."
    )

"""Settings that limit the number, size and age of jobs."""

from pydantic import Field
from pydantic_settings import BaseSettings


class JobSettings(BaseSettings):
    """Limits on jobs (Prefer: respond-async)."""

    max_jobs: int = Field(
        default=64,
        ge=0,
        description="Jobs (Prefer: respond-async) that run or whose result is kept. Past it the request gets 429. With "
        "0 there are no jobs: every request is answered at once, even if it asks for a job.",
    )
    min_job_bytes: int = Field(
        default=10_000,
        ge=0,
        description="Bytes of a JSON body, or of the files of a form, from which a request may become a job. A smaller "
        "one is answered at once even if it asks for a job, because its answer is ready about as soon as a client "
        "would first ask how the job is doing. With 0 every request may become a job.",
    )
    max_key_jobs: int = Field(
        default=16,
        ge=1,
        description="Jobs of one key among them. Past it the key's next one gets 429; fewer leave more for other keys.",
    )
    max_job_bytes: int = Field(
        default=500_000_000,
        ge=1,
        description="Bytes that all jobs hold in memory: bodies while they run, results after that. Past it a request "
        "for a job gets 429, and 413 where it alone is larger.",
    )
    job_timeout_s: float = Field(
        default=3600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a job may take, including its wait for room, for clients that send no X-Timeout-Ms. "
        "Past it the job fails.",
    )
    job_keep_s: float = Field(
        default=600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that the result of a job is kept. More means more memory and more 429 for new jobs.",
    )

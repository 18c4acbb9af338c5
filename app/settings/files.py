"""Settings that limit the cost of files."""

from pydantic import Field
from pydantic_settings import BaseSettings

from app.files.limits import FileLimits


class FileSettings(BaseSettings):
    """Limits on forms with files, and on reading each file."""

    max_upload_bytes: int = Field(
        default=100_000_000,
        ge=1,
        description="Bytes of one form with files (multipart/form-data), for all files together. Past it the request "
        "gets 413 while it arrives. Files are held in memory until they are read.",
    )
    max_file_bytes: int = Field(
        default=50_000_000, ge=1, description="Bytes of one file. Past it the request gets 413, which names the file."
    )
    max_unpacked_bytes: int = Field(
        default=200_000_000,
        ge=1,
        description="Bytes that the parts of one DOCX, PPTX, XLSX or mail may unpack to. Past it the request gets 413. "
        "This stops zip bombs.",
    )
    max_file_characters: int = Field(
        default=2_000_000,
        ge=1,
        description="Characters of the text of one file. Past it the request gets 413. /extract returns as many; texts "
        "for a model must also keep to max_text_characters.",
    )
    max_file_pages: int = Field(
        default=2_000, ge=1, description="Pages of one PDF. Past it the request gets 413 before any page is read."
    )
    max_page_pixels: int = Field(
        default=8_000_000,
        ge=10_000,
        description="Pixels of one page that /render draws. Past it the picture is smaller than requested.",
    )
    file_timeout_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds for reading one file; plain text and tables have no limit. Past it the process that reads "
        "the file is killed and the request gets 413.",
    )
    file_memory_bytes: int = Field(
        default=2_000_000_000,
        ge=200_000_000,
        description="Bytes of memory of the process that reads one file other than plain text and tables. Past it the "
        "request gets 413, or 422 if the process is killed. With file_processes processes at once, the machine needs "
        "that many times as much.",
    )
    file_processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Files that are read at the same time; the others wait. A higher value takes more cores from the "
        "models.",
    )
    max_waiting_files: int = Field(
        default=128,
        ge=1,
        description="Files that may wait to be read. Past it a request gets 429 with Retry-After, and a job waits; "
        "more means more memory and longer waits instead. The files of one request are always accepted when no other "
        "ones wait.",
    )
    upload_timeout_s: float = Field(
        default=120.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a client may take to send one form with files. Past it the request gets 408.",
    )

    @property
    def file_limits(self) -> FileLimits:
        """The limits on reading one file."""
        return FileLimits(
            max_file_bytes=self.max_file_bytes,
            max_unpacked_bytes=self.max_unpacked_bytes,
            max_characters=self.max_file_characters,
            max_pages=self.max_file_pages,
            max_seconds=self.file_timeout_s,
            max_memory_bytes=self.file_memory_bytes,
            max_pixels=self.max_page_pixels,
        )

"""What files may cost, by consequence."""

from pydantic import Field
from pydantic_settings import BaseSettings

from app.files.limits import FileLimits


class FileSettings(BaseSettings):
    """Limits on forms with files, and on reading each file."""

    max_upload_bytes: int = Field(
        default=100_000_000,
        ge=1,
        description="Bytes of one form with files (multipart/form-data), all of them together. Past it the request "
        "gets 413 while it arrives. They are held in memory until they are read.",
    )
    max_file_bytes: int = Field(
        default=50_000_000, ge=1, description="Bytes of one file. Past it the request gets 413 and is told which file."
    )
    max_unpacked_bytes: int = Field(
        default=200_000_000,
        ge=1,
        description="Bytes that the parts of one DOCX, PPTX or mail may unpack to. Past it the request gets 413, which "
        "is what stops a zip bomb.",
    )
    max_file_characters: int = Field(
        default=2_000_000,
        ge=1,
        description="Characters of the text of one file. Past it the request gets 413. /extract gives as many; what is "
        "read by a model is held to max_text_characters as well.",
    )
    max_file_pages: int = Field(
        default=2_000, ge=1, description="Pages of one PDF. Past it the request gets 413 before any page is read."
    )
    max_page_pixels: int = Field(
        default=8_000_000,
        ge=10_000,
        description="Pixels of one page that /render draws. Past it the picture comes out smaller than asked for.",
    )
    file_timeout_s: float = Field(
        default=60.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that one PDF may take to be read. Past it its process is killed and the request gets 413.",
    )
    file_memory_bytes: int = Field(
        default=2_000_000_000,
        ge=200_000_000,
        description="Memory that the process which reads one PDF may have. Past it the process ends and the request "
        "gets 422. With file_processes of them at once, the machine needs that many times as much.",
    )
    file_processes: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Files that are read at the same time; the others wait. More of them compete with the models for "
        "the cores.",
    )
    upload_timeout_s: float = Field(
        default=120.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that a client may take to send one form with files. Past it the request gets 408.",
    )

    @property
    def file_limits(self) -> FileLimits:
        """What reading one file may cost."""
        return FileLimits(
            max_file_bytes=self.max_file_bytes,
            max_unpacked_bytes=self.max_unpacked_bytes,
            max_characters=self.max_file_characters,
            max_pages=self.max_file_pages,
            max_seconds=self.file_timeout_s,
            max_memory_bytes=self.file_memory_bytes,
            max_pixels=self.max_page_pixels,
        )

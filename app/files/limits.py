"""The limits on reading one file. This module does not know settings or HTTP; app/settings/files.py sets the limits."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileLimits:
    """Bounds for one file; past any of them, reading the file raises an error that names the bound."""

    max_file_bytes: int = 50_000_000
    max_unpacked_bytes: int = 200_000_000  # of all parts of an office file that are read, and of all parts of a mail
    max_characters: int = 5_000_000  # of the Document's text
    max_pages: int = 2_000  # of a PDF
    max_seconds: float = 60.0  # of wall time, for a file that is read in a process of its own
    max_memory_bytes: int = 2_000_000_000  # address space of that process
    max_pixels: int = 8_000_000  # of the picture of one page; a larger page is drawn smaller


# Of the commands, whose users wait for files of their own: 2,000 pages take some minutes on a slow core.
COMMAND_LIMITS = FileLimits(max_seconds=600.0)

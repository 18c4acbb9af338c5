"""Files that are replaced in one step: after a crash there is the old file or the new one, never half of one.

This module knows text and paths, and does not know the content.
"""

import os
from pathlib import Path


def write_then_rename(path: Path, content: str) -> None:
    """Write UTF-8 next to the file, flush it to the disk, and rename it into place.

    Raises:
        OSError: the file cannot be written; the old file is unchanged.
    """
    temporary = path.with_name(f"{path.name}.partial")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)

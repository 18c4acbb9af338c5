"""A folder that is written whole or not at all. This module does not know the content of the folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(out: Path, *, last: str, replaced: Sequence[str]) -> Iterator[Path]:
    """A hidden folder next to `out`. Its files are moved to `out` at the end, and removed after an error.

    Args:
        last: the file that is moved last; its presence means that the others are there.
        replaced: files of `out` that are removed before the new files come, even if their names differ.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        yield folder
        out.mkdir(exist_ok=True)
        for name in (last, *replaced):
            (out / name).unlink(missing_ok=True)
        for file in sorted(folder.iterdir(), key=lambda file: file.name == last):
            os.replace(file, out / file.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)

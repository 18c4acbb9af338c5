"""Files as a command line names them: paths, folders, patterns, and - for standard input.

This module knows paths and bytes, and does not know the contents of files.
"""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.errors import FileTooLarge, InvalidInput
from app.files.extraction import SentFile
from app.files.limits import FileLimits
from app.streams import read_input

STANDARD_INPUT = "-"

# Endings of the files that are read from a folder; a file that is named by itself may have any name.
SUFFIXES = frozenset(
    (
        *(".pdf", ".docx", ".pptx", ".xlsx", ".xls", ".odt", ".odp", ".ods", ".epub", ".html", ".htm", ".xhtml"),
        *(".md", ".markdown", ".eml", ".msg", ".vtt", ".srt", ".csv", ".tsv", ".txt", ".text"),
    )
)


def named_files(names: Sequence[str]) -> list[str]:
    """The files behind some names, in order, each once: -, a path, the files below a folder or matching a pattern.

    Raises:
        InvalidInput: a name is empty, a folder holds no file of a kind that is read, or a pattern matches none.
    """
    found: dict[str, None] = {}
    for name in names:
        if not name:
            raise InvalidInput(
                "The name of a file is empty; name a file, a folder or a pattern, or - for standard input."
            )
        if name != STANDARD_INPUT and os.path.isdir(name):
            inside = list(_files_below(Path(name)))
            if not inside:
                raise InvalidInput(f"{name} holds no file with one of the endings {', '.join(sorted(SUFFIXES))}.")
            found.update(dict.fromkeys(inside))
        elif glob.has_magic(name) and not os.path.exists(name):
            matching = sorted(path for path in glob.glob(name, recursive=True) if os.path.isfile(path))
            if not matching:
                raise InvalidInput(f"No file matches {name}.")
            found.update(dict.fromkeys(matching))
        else:
            found[name] = None
    return list(found)


def read_named(name: str, limits: FileLimits) -> SentFile:
    """The bytes of one file, or of standard input, never more than are allowed.

    Raises:
        InvalidInput: the file cannot be opened; the sentence lacks its name.
        FileTooLarge: the file has more bytes; the sentence lacks its name.
    """
    most = limits.max_file_bytes
    if name == STANDARD_INPUT:
        data = read_input(most + 1)
    else:
        try:
            with open(name, "rb") as file:
                data = file.read(most + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its name holds a NUL character"
            raise InvalidInput(f"it cannot be opened: {reason}.") from None
    if len(data) > most:
        raise FileTooLarge(f"The file has more than {most:,} bytes, which is the limit.")
    return SentFile(name, data)


def _files_below(folder: Path) -> Iterator[str]:
    """Files of the kinds that are read, in order, without hidden files; links to folders are not followed."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if not path.is_symlink():
                yield from _files_below(path)
        elif path.suffix.lower() in SUFFIXES and path.is_file():
            yield str(path)

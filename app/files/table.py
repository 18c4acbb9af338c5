"""CSV and TSV -> Document: every record a row, every field a cell.

The delimiter is the comma, tab or semicolon, whichever gives the most rows the same number of fields. This module does
not know the meaning of the columns.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from app.errors import BrokenFile, FileTooLarge
from app.files.document import Document, DocumentBuilder
from app.files.limits import FileLimits
from app.files.warnings import FileWarning

MAX_FIELD_CHARACTERS = 1_000_000
_DELIMITERS = ",\t;"
_SAMPLE_ROWS = 50


def read_table(text: str, limits: FileLimits, warnings: tuple[FileWarning, ...] = ()) -> Document:
    """Read the characters of a CSV or TSV file.

    Raises:
        BrokenFile: a field is longer than the limit.
        FileTooLarge: the rows hold more text than is allowed; the rest is not read.
    """
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    builder = DocumentBuilder()
    try:
        for row in _rows(text, _delimiter(text)):
            builder.add_row(row)
            if builder.length > limits.max_characters:
                raise FileTooLarge(
                    f"The table has more than {limits.max_characters:,} characters of text, which is the limit."
                )
    except csv.Error as error:
        rows = len(builder.blocks)
        raise BrokenFile(
            f"The table is damaged after {rows} rows, perhaps by a lost quotation mark: {error}."
        ) from None
    return builder.build(warnings)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _delimiter(text: str) -> str:
    """The delimiter under which most rows of the beginning have the same number, more than one, of fields."""
    best, most = ",", (0, 0)
    for delimiter in _DELIMITERS:
        try:
            sizes = Counter(len(row) for row in islice(_rows(text, delimiter), _SAMPLE_ROWS) if row)
        except csv.Error:
            continue
        sizes.pop(1, None)
        if sizes:
            size, rows = sizes.most_common(1)[0]
            if (rows, size) > most:
                best, most = delimiter, (rows, size)
    return best

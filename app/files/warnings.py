"""Warnings about a file that was read: the parts that are missing or changed, as a sentence with a stable type."""

from collections.abc import Sequence
from typing import Literal, get_args

WarningType = Literal[
    "no_text",
    "pages_without_text",
    "damaged_pages",
    "unnamed_characters",
    "recognised_text",
    "hidden_slides",
    "missing_slides",
    "hidden_sheets",
    "hidden_cells",
    "missing_sheets",
    "formulas_without_result",
    "missing_chapters",
    "embedded_file",
    "attached_files",
    "mail_part",
    "header_cut",
    "nested_text",
    "struck_out_text",
    "unknown_charset",
    "wrong_charset",
    "damaged_text",
]
WARNING_TYPES: tuple[WarningType, ...] = get_args(WarningType)


class FileWarning(str):
    """A sentence for the user, with its type and the numbers of the pages, slides or sheets that it is about."""

    warning_type: WarningType
    pages: tuple[int, ...]

    def __new__(cls, warning_type: WarningType, sentence: str, pages: Sequence[int] = ()) -> "FileWarning":
        """A `sentence` of this type."""
        if warning_type not in WARNING_TYPES:
            raise ValueError(f"{warning_type!r} is no type of warning; there are {', '.join(WARNING_TYPES)}.")
        warning = super().__new__(cls, sentence)
        warning.warning_type, warning.pages = warning_type, tuple(pages)
        return warning


def numbers_in_words(numbers: Sequence[int]) -> str:
    """The first numbers as words: `2, 5, 7 and 12 more`."""
    shown = ", ".join(map(str, numbers[:10]))
    return shown if len(numbers) <= 10 else f"{shown} and {len(numbers) - 10} more"

"""Whole numbers in the attributes of files, which strangers write."""

import re

_WHOLE = re.compile("-?[0-9]{1,9}")


def bounded_integer(text: str | None) -> int | None:
    """A number of at most nine ASCII digits; None for everything else, so that no number is too large to count with."""
    return int(text) if text is not None and _WHOLE.fullmatch(text) else None

"""Raised, lowered and struck characters of marked-up files, as plain text has them.

Without it, 10 with a raised 6 becomes 106, and a struck price runs into the new one. This module does not know files.
"""

from app.files.warnings import FileWarning

_RAISED = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_LOWERED = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")

STRUCK_OUT = FileWarning("struck_out_text", "Text that is struck out was not read.")


def raised(text: str) -> str:
    """A superscript: in the characters for it if all have one, else as it is."""
    return text.translate(_RAISED) if all(ord(character) in _RAISED for character in text) else text


def lowered(text: str) -> str:
    """A subscript: in the characters for it if all have one, else as it is."""
    return text.translate(_LOWERED) if all(ord(character) in _LOWERED for character in text) else text


def fraction(numerator: str, denominator: str) -> str:
    """A fraction on one line: 2/3."""
    return f"{numerator}/{denominator}"

r"""The text of Word's EQ fields, which have no result: enclosed characters, ruby of old files, fractions.

`EQ \o\ac(○,印)` draws 印 in a circle, `EQ \o\ad(\s\up 9(かんじ),漢字)` is ruby, and `EQ \f(1,2)` is a fraction. This
module knows only the code of a field.
"""

import re

from app.files.raised import fraction

_CODE = re.compile(r"\s*EQ\b(.*)", re.IGNORECASE | re.DOTALL)
_FORMAT = re.compile(r'\\\*\s*(?:"[^"]*"|\S+)')
_COMMAND = re.compile(r"\\([A-Za-z]+)\s*-?[0-9]*\s*")


def equation_text(code: str) -> str:
    """The text that a field shows: of characters over each other the last. Other codes have no text."""
    match = _CODE.match(code)
    if match is None:
        return ""
    formula = _FORMAT.sub("", match.group(1)).strip()
    commands = _COMMAND.findall(formula[: max(formula.find("("), 0)])
    opened = formula.find("(")
    parts = _arguments(formula[opened + 1 :].removesuffix(")")) if opened >= 0 else [formula]
    texts = [_COMMAND.sub("", part).strip() for part in parts]
    if commands[:1] == ["f"] and len(texts) == 2:
        return fraction(*texts)
    return texts[-1] if commands[:1] == ["o"] else "".join(texts)


def _arguments(text: str) -> list[str]:
    """The parts between the commas that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character in ",;" and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]

"""The kinds of the blocks of a text, for tests."""

from app.text.structure import structure_of


def kinds(text: str) -> list[tuple[str, str]]:
    """The kind and the text of each block."""
    return [(block.kind, text[block.start : block.end]) for block in structure_of(text).blocks]

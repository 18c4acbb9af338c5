"""The kinds of the blocks and the sentences of a text, for tests."""

from app.text.sentences import split_sentences
from app.text.structure import structure_of


def kinds(text: str) -> list[tuple[str, str]]:
    """The kind and the text of each block."""
    return [(block.kind, text[block.start : block.end]) for block in structure_of(text).blocks]


def sentences(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]

"""The types of the blocks of a text.

`app.text.structure` finds the blocks of a plain text; the readers of files make them from the file's own structure.
"""

from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["paragraph", "heading", "list-item", "clause", "table-head", "table-row", "note", "furniture"]

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A half-open span of code points of a text, and its kind. Blocks do not overlap.

    clause: a numbered provision or paragraph: 第３条, ２, （１）, ア, イ, 一.
    note: text outside the running text: ※, footnotes, a speaker's notes, 〔登壇〕, remarks of an editor, address, date
        and signature of a letter or mail.
    furniture: page numbers, running heads and feet, rules drawn with characters, mail headers, empty lines of
        quotation, copyright lines.
    """

    kind: BlockKind
    start: int
    end: int
    level: int = 0  # of a heading, 1 is the highest; 0 for every other kind
    cells: Spans = ()  # of a row of a table: the span of each cell, an empty cell included
    # Spans inside the block that are not read: line ends of wrapped lines with the indentation after them, ruby,
    # markup, marks of quotation, and page furniture between two lines of one paragraph. They are in order and do not
    # overlap.
    omitted: Spans = ()

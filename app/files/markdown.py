"""Markdown -> Document. The text is built without the markup, so that none of it can stand in an answer.

Offsets count in that text and not in the file: `**重要**` is 重要. Numbers of ordered lists are kept as they were
typed; bullets, the marks of headings, addresses of links and HTML tags are not. Front matter is furniture, footnotes
are notes at the end, code stays as it is. The rules are those of CommonMark, with tables, strikethrough and footnotes
as on GitHub.
"""

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.front_matter import front_matter_plugin

from app.files.document import BlockKind, Document, DocumentBuilder
from app.files.html import read_html_text
from app.files.raised import STRUCK_OUT, lowered, raised
from app.files.spacing import collapsed
from app.files.warnings import FileWarning

# markdown-it drops blocks that are nested deeper; each level of a list counts twice.
MAX_NESTING = 100

_TAG_NAME = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)")
_UNREAD_TAGS = ("rt", "rp", "script", "style", "del", "s", "strike")
_SCRIPT_TAGS = {"sup": raised, "sub": lowered}
_ESCAPED_STAR = "\0"  # the parser leaves no NUL in a text
# CommonMark sees no emphasis in ** next to 「 or 。, but authors of Japanese mean it.
_LEFT_EMPHASIS = re.compile(r"\*\*(?=\S)([^*\n]+?)(?<=\S)\*\*")


def read_markdown(text: str, warnings: tuple[FileWarning, ...] = ()) -> Document:
    """Read the characters of a Markdown file. Raises UnsafeFile or FileTooLarge for HTML in it that cannot be read."""
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    parser.disable("text_join")  # it hides which stars were escaped
    parser.use(footnote_plugin, inline=False).use(front_matter_plugin)
    tokens = parser.parse(text)
    if any(token.level >= MAX_NESTING - 2 for token in tokens):
        sentence = f"Text that is nested more than {MAX_NESTING} levels deep was not read."
        warnings = (*warnings, FileWarning("nested_text", sentence))
    reader = _MarkdownReader()
    for token in tokens:
        reader.take(token)
    if any(child.type == "s_open" for token in tokens for child in token.children or ()):
        warnings = (*warnings, STRUCK_OUT)
    return reader.builder.build(warnings)


class _MarkdownReader:
    """Takes the tokens of markdown-it one after the other, and adds a block at the text of each."""

    def __init__(self) -> None:
        self.builder = DocumentBuilder()
        self._items = 0  # open list items
        self._number = ""  # of the item whose first text comes next
        self._level = 0  # of the open heading
        self._cells: list[str] | None = None  # of the open row
        self._in_head = False
        self._in_notes = False

    def take(self, token: Token) -> None:
        match token.type:
            case "inline":
                self._add_inline(token)
            case "heading_open":
                self._level = int(token.tag[1])
            case "heading_close":
                self._level = 0
            case "list_item_open":
                self._items += 1
                self._number = f"{token.info}{token.markup} " if token.info else ""
            case "list_item_close":
                self._items -= 1
            case "bullet_list_close" | "ordered_list_close" | "table_open" | "table_close":
                if not self._items:
                    self.builder.end_list()
            case "tr_open":
                self._cells = []
            case "tr_close":
                self._add_row()
            case "thead_open" | "thead_close":
                self._in_head = token.nesting > 0
            case "fence" | "code_block" | "math_block":
                self._add(token.content)
            case "html_block":
                html = read_html_text(token.content)
                self.builder.add_text(html.text, html.blocks)
            case "front_matter":
                self.builder.add("furniture", token.content)
            case "footnote_block_open":
                self._in_notes = True
            case "footnote_block_close":
                self._in_notes = False

    def _add_inline(self, token: Token) -> None:
        text = _inline_text(token.children or ())
        if self._cells is not None:
            self._cells.append(text)
        else:
            self._add(text)

    def _add(self, text: str) -> None:
        kind: BlockKind = "note" if self._in_notes else "list-item" if self._items else "paragraph"
        if self._level:
            self.builder.add("heading", text, self._level)
        elif self.builder.add(kind, self._number + text if text.strip() else ""):
            self._number = ""

    def _add_row(self) -> None:
        if self._cells and self._in_notes:
            self.builder.add("note", " ".join(self._cells))
        elif self._cells:
            self.builder.add_row(self._cells, head=self._in_head)
        self._cells = None


def _inline_text(tokens: Sequence[Token]) -> str:
    """The text of a paragraph: links' texts, code as it is, no tags, no pictures."""
    parts: list[str] = []
    run: list[str] = []  # text whose white space and left-over emphasis are not yet decided
    unread = 0
    script: Callable[[str], str] = str
    for token in tokens:
        if token.type in ("s_open", "s_close"):
            unread += token.nesting
        if token.type == "html_inline":
            match = _TAG_NAME.match(token.content)
            name = match.group(2).lower() if match else ""
            if match and name in _UNREAD_TAGS:
                unread = max(unread + (-1 if match.group(1) else 1), 0)
            if match and name in _SCRIPT_TAGS:
                script = str if match.group(1) else _SCRIPT_TAGS[name]
            if name != "br":
                continue
        if unread:
            continue
        if token.type == "text":
            run.append(script(token.content))
        elif token.type == "text_special":  # \\* and entities
            run.append(token.content.replace("*", _ESCAPED_STAR))
        elif token.type == "softbreak":
            run.append("\n")
        elif token.type in ("hardbreak", "html_inline", "code_inline"):
            parts += [_settled(run), token.content if token.type == "code_inline" else "\n"]
            run = []
    return "".join([*parts, _settled(run)])


def _settled(run: list[str]) -> str:
    return _LEFT_EMPHASIS.sub(r"\1", collapsed("".join(run))).replace(_ESCAPED_STAR, "*")

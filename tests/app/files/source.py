"""The Japanese text that the fixtures of tests/app/files are made of, as blocks, as HTML and as OpenDocument.

data/library.txt holds it, written for this project, one block a line: `# ` and `## ` begin headings, `- ` items, `| `
rows; `%page` starts a page. ｜base《ruby》 is base text with ruby over it; 〔12〕 is set upright side by side
(tate-chu-yoko) where the text is vertical.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

HEAD = "みなと町のきまり　写し"

_RUBY = re.compile("｜([^《]+)《([^》]+)》")
_UPRIGHT = re.compile("〔([^〕]+)〕")


@dataclass(frozen=True)
class Part:
    """A block of the source; a row of a table has cells."""

    kind: Literal["title", "heading", "paragraph", "item", "row", "page"]
    text: str = ""
    cells: tuple[str, ...] = ()

    @property
    def plain(self) -> str:
        """The text that a person reads aloud: base text without ruby, no marks, a tab between cells."""
        return "\t".join(self.cells) or _UPRIGHT.sub(r"\1", _RUBY.sub(r"\1", self.text))


def _part(line: str) -> Part:
    if line == "%page":
        return Part("page")
    if line.startswith("| "):
        return Part("row", cells=tuple(line[2:].split(" | ")))
    for mark, kind in (("# ", "title"), ("## ", "heading"), ("- ", "item")):
        if line.startswith(mark):
            return Part(kind, line.removeprefix(mark))  # type: ignore[arg-type]  # one of the literals above
    return Part("paragraph", line)


LIBRARY = tuple(
    _part(line) for line in (Path(__file__).parent / "data" / "library.txt").read_text(encoding="utf-8").splitlines()
)


def tables(parts: Sequence[Part]) -> list[Part | list[Part]]:
    """The parts with the rows of a table as one list."""
    found: list[Part | list[Part]] = []
    for part in parts:
        if part.kind == "row" and found and isinstance(found[-1], list):
            found[-1].append(part)
        else:
            found.append([part] if part.kind == "row" else part)
    return found


_HTML = """<!doctype html><html lang="ja"><meta charset="utf-8"><title>きまり</title><style>{font_face}
@page {{ size: 105mm 148mm; margin: 15mm;
@top-center {{ content: "{head}"; font-size: 7pt; writing-mode: horizontal-tb }}
@bottom-center {{ content: "- " counter(page) " -"; font-size: 7pt; writing-mode: horizontal-tb }} }}
html {{ writing-mode: {mode} }} body {{ font: 9pt/1.8 "{font}"; margin: 0; text-align: justify }}
h1 {{ font-size: 15pt; font-weight: normal }} h2 {{ font-size: 11pt; font-weight: normal }} p {{ margin: .6em 0 }}
li {{ list-style: none }} b {{ font-weight: normal; text-combine-upright: all }} hr {{ break-before: page; border: 0 }}
td {{ border: .5pt solid; padding: .2em .6em; break-inside: avoid }} table {{ border-collapse: collapse }}
</style><body>
{body}
</body></html>
"""
_HTML_TAGS = {"title": "h1", "heading": "h2", "paragraph": "p", "item": "li"}


def html(vertical: bool, font: str, font_face: str = "", parts: Sequence[Part] = LIBRARY) -> str:
    """The source as a page for a browser to print on A6, with a running head and page numbers."""
    lines = []
    for part in tables(parts):
        if isinstance(part, list):
            rows = ["".join(f"<td>{escape(cell)}</td>" for cell in row.cells) for row in part]
            lines.append("<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
        elif part.kind == "page":
            lines.append("<hr>")
        else:
            text = _RUBY.sub(r"<ruby>\1<rt>\2</rt></ruby>", escape(part.text))
            tag = _HTML_TAGS[part.kind]
            lines.append(f"<{tag}>" + _UPRIGHT.sub(r"<b>\1</b>", text) + f"</{tag}>")
    mode = "vertical-rl" if vertical else "horizontal-tb"
    return _HTML.format(head=HEAD, mode=mode, font=font, font_face=font_face, body="\n".join(lines))


_FODT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0"
 xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.text">
<office:font-face-decls><style:font-face style:name="F" svg:font-family="{font}"/></office:font-face-decls>
<office:styles>
<style:default-style style:family="paragraph"><style:paragraph-properties style:text-autospace="none"/>
<style:text-properties style:font-name="F" style:font-name-asian="F" fo:font-size="9pt"
 style:font-size-asian="9pt" fo:language="ja" fo:country="JP" style:language-asian="ja" style:country-asian="JP"/>
</style:default-style>
<style:style style:name="Standard" style:family="paragraph"/>
{headings}
</office:styles>
<office:automatic-styles>
<style:style style:name="P" style:family="paragraph" style:parent-style-name="Standard">
<style:paragraph-properties fo:text-align="justify" fo:line-height="160%" fo:margin-bottom="2mm"/></style:style>
<style:style style:name="I" style:family="paragraph" style:parent-style-name="Standard"/>
<style:style style:name="N" style:family="paragraph" style:parent-style-name="Standard">
<style:paragraph-properties fo:break-before="page"/></style:style>
<style:style style:name="S" style:family="paragraph" style:parent-style-name="Standard">
<style:paragraph-properties fo:text-align="center"/>
<style:text-properties fo:font-size="7pt" style:font-size-asian="7pt"/></style:style>
<style:style style:name="C" style:family="table-cell"><style:table-cell-properties fo:border="0.5pt solid #000000"
 fo:padding="1mm"/></style:style>
<style:style style:name="R" style:family="ruby"><style:ruby-properties style:ruby-align="center"
 style:ruby-position="above"/></style:style>
<style:style style:name="U" style:family="text"><style:text-properties {upright}/></style:style>
<style:page-layout style:name="L"><style:page-layout-properties fo:page-width="105mm" fo:page-height="148mm"
 fo:margin="10mm" style:writing-mode="{mode}"/>
<style:header-style><style:header-footer-properties fo:min-height="6mm"/></style:header-style>
<style:footer-style><style:header-footer-properties fo:min-height="6mm"/></style:footer-style></style:page-layout>
</office:automatic-styles>
<office:master-styles><style:master-page style:name="Standard" style:page-layout-name="L">
<style:header><text:p text:style-name="S">{head}</text:p></style:header>
<style:footer><text:p text:style-name="S">- <text:page-number text:select-page="current">1</text:page-number> -</text:p>
</style:footer></style:master-page></office:master-styles>
<office:body><office:text>
{body}
</office:text></office:body></office:document>
"""
_FODT_HEADING = (
    '<style:style style:name="H{level}" style:family="paragraph" style:parent-style-name="Standard"'
    ' style:default-outline-level="{level}"><style:paragraph-properties fo:margin-top="4mm" fo:margin-bottom="2mm"'
    ' fo:keep-with-next="always"/><style:text-properties fo:font-size="{size}pt" style:font-size-asian="{size}pt"/>'
    "</style:style>"
)
_FODT_RUBY = (
    r'<text:ruby text:style-name="R"><text:ruby-base>\1</text:ruby-base>'
    r"<text:ruby-text>\2</text:ruby-text></text:ruby>"
)
_FODT_CELL = '<table:table-cell table:style-name="C" office:value-type="string"><text:p>{}</text:p></table:table-cell>'
_FODT_STYLES = {"paragraph": "P", "item": "I", "page": "N"}


def fodt(vertical: bool, font: str, parts: Sequence[Part] = LIBRARY) -> str:
    """The source as a flat OpenDocument text on A6 for LibreOffice, with a running head and page numbers."""
    lines = []
    for part in tables(parts):
        if isinstance(part, list):
            rows = ["".join(_FODT_CELL.format(escape(cell)) for cell in row.cells) for row in part]
            columns = f'<table:table-column table:number-columns-repeated="{len(part[0].cells)}"/>'
            body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
            lines.append(f"<table:table>{columns}{body}</table:table>")
        elif part.kind in ("title", "heading"):
            level = 1 if part.kind == "title" else 2
            lines.append(f'<text:h text:style-name="H{level}" text:outline-level="{level}">{part.text}</text:h>')
        else:
            text = _RUBY.sub(_FODT_RUBY, escape(part.text))
            text = _UPRIGHT.sub(r'<text:span text:style-name="U">\1</text:span>', text)
            lines.append(f'<text:p text:style-name="{_FODT_STYLES[part.kind]}">{text}</text:p>')
    headings = "\n".join(_FODT_HEADING.format(level=level, size=size) for level, size in ((1, 15), (2, 11)))
    mode = "tb-rl" if vertical else "lr-tb"
    upright = 'style:text-rotation-angle="90" style:text-rotation-scale="line-height"' if vertical else ""
    return _FODT.format(head=HEAD, font=font, headings=headings, mode=mode, upright=upright, body="\n".join(lines))

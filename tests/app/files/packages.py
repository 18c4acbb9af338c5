"""Makes small DOCX, PPTX, XLSX, OpenDocument and EPUB files for tests, part by part, as no program would write them."""

import io
import zipfile

_NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
        "p": "http://schemas.openxmlformats.org/presentationml/2006/main",
        "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
        "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
        "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
        "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "v": "urn:schemas-microsoft-com:vml",
        "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
        "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
        "x": "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
        "xdr": "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing",
    }.items()
)
_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/"

_ODF = "urn:oasis:names:tc:opendocument:xmlns:"
_ODF_NAMESPACES = {
    "office": "office:1.0", "style": "style:1.0", "text": "text:1.0", "table": "table:1.0", "draw": "drawing:1.0",
    "presentation": "presentation:1.0", "fo": "xsl-fo-compatible:1.0", "svg": "svg-compatible:1.0",
    "chart": "chart:1.0", "meta": "meta:1.0", "manifest": "manifest:1.0",
}  # fmt: skip
_APP = '<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties">{}</Properties>'


def xml(tag: str, inner: str, attributes: str = "") -> str:
    """A part's XML with every namespace that the tests use."""
    return f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?><{tag} {_NAMESPACES} {attributes}>{inner}</{tag}>'


def relationships(links: dict[str, tuple[str, str]]) -> str:
    """Id -> (type, target) as the XML of a .rels part."""
    inner = "".join(
        f'<Relationship Id="{id_}" Type="{_TYPES}{type_}" Target="{target}"/>' for id_, (type_, target) in links.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}relationships">{inner}</Relationships>'


def pack(parts: dict[str, str | bytes]) -> bytes:
    """A zip archive of the parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2025, 4, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def docx(body: str, **parts: str) -> bytes:
    """A DOCX with this body. `parts` are the inner XML of styles, numbering, footnotes, header, app and so on."""
    roots = {
        "styles": "w:styles", "numbering": "w:numbering", "footnotes": "w:footnotes", "endnotes": "w:endnotes",
        "comments": "w:comments", "header": "w:hdr", "footer": "w:ftr",
    }  # fmt: skip
    files: dict[str, str | bytes] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}content-types"/>',
        "_rels/.rels": relationships(
            {"rId1": ("officeDocument", "word/document.xml"), "rId2": ("extended-properties", "word/app.xml")}
        ),
        "word/document.xml": xml("w:document", f"<w:body>{body}</w:body>"),
        "word/_rels/document.xml.rels": relationships({name: (name, f"{name}.xml") for name in parts}),
    }
    for name, inner in parts.items():
        files[f"word/{name}.xml"] = xml(roots[name], inner) if name != "app" else _APP.format(inner)
    return pack(files)


def paragraph(text: str, properties: str = "") -> str:
    """A `w:p` with one run."""
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def pptx(*slides: str, more: dict[str, str | bytes] | None = None, order: str = "") -> bytes:
    """A PPTX with these slides (the inner XML of their `p:spTree`), in the order of `order` ("2 1") where it is given.

    `more` are further parts, which replace those of the same name.
    """
    numbers = range(1, len(slides) + 1)
    ids = "".join(f'<p:sldId id="{255 + int(n)}" r:id="rId{n}"/>' for n in (order.split() or numbers))
    files: dict[str, str | bytes] = {
        "_rels/.rels": relationships({"rId1": ("officeDocument", "ppt/presentation.xml")}),
        "ppt/presentation.xml": xml(
            "p:presentation", f"<p:sldIdLst>{ids}</p:sldIdLst><p:sldSz cx='12700' cy='25400'/>"
        ),
        "ppt/_rels/presentation.xml.rels": relationships(
            {f"rId{n}": ("slide", f"slides/slide{n}.xml") for n in numbers}
        ),
    }
    for number, slide in zip(numbers, slides, strict=True):
        files[f"ppt/slides/slide{number}.xml"] = xml("p:sld", f"<p:cSld><p:spTree>{slide}</p:spTree></p:cSld>")
    return pack(files | (more or {}))


def xlsx(
    *sheets: str,
    names: dict[int, str] | None = None,
    styles: str = "",
    strings: str = "",
    workbook: str = "",
    more: dict[str, str | bytes] | None = None,
) -> bytes:
    """An XLSX with these sheets (the inner XML of their `x:worksheet`), named Sheet1 and so on by default.

    `names` holds number -> name, and further attributes after it: 2: `作業" state="hidden`. `styles`, `strings` and
    `workbook` are the inner XML of those parts, `more` are further parts, which replace those of the same name.
    """
    numbers = range(1, len(sheets) + 1)
    tabs = "".join(
        f'<x:sheet sheetId="{n}" r:id="rId{n}" name="{(names or {}).get(n, f"Sheet{n}")}"/>' for n in numbers
    )
    links = {f"rId{n}": ("worksheet", f"worksheets/sheet{n}.xml") for n in numbers}
    links |= {"rIdS": ("styles", "styles.xml"), "rIdT": ("sharedStrings", "sharedStrings.xml")}
    files: dict[str, str | bytes] = {
        "_rels/.rels": relationships({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": xml("x:workbook", f"{workbook}<x:sheets>{tabs}</x:sheets>"),
        "xl/_rels/workbook.xml.rels": relationships(links),
        "xl/styles.xml": xml("x:styleSheet", styles),
        "xl/sharedStrings.xml": xml("x:sst", strings),
    }
    for number, sheet in zip(numbers, sheets, strict=True):
        files[f"xl/worksheets/sheet{number}.xml"] = xml("x:worksheet", sheet)
    return pack(files | (more or {}))


def sheet(cells: dict[str, str]) -> str:
    """The `x:sheetData` of cells by their references, row by row: texts, or the XML of a cell."""
    rows: dict[str, list[str]] = {}
    for reference, content in cells.items():
        if not content.startswith("<"):
            content = f'<x:c r="{reference}" t="inlineStr"><x:is><x:t>{content}</x:t></x:is></x:c>'
        rows.setdefault(reference.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), []).append(content)
    inner = "".join(f'<x:row r="{number}">{"".join(inside)}</x:row>' for number, inside in rows.items())
    return f"<x:sheetData>{inner}</x:sheetData>"


def shape(text: str, placeholder: str = "", at: tuple[int, int, int, int] | None = None, name: str = "") -> str:
    """A `p:sp`: one paragraph a line; `placeholder` is `type="title"` and the like, `at` left, top, width, height."""
    holder = f"<p:ph {placeholder}/>" if placeholder else ""
    place = ""
    if at is not None:
        left, top, width, height = at
        place = f'<a:xfrm><a:off x="{left}" y="{top}"/><a:ext cx="{width}" cy="{height}"/></a:xfrm>'
    lines = "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
    return (
        f"<p:sp><p:nvSpPr><p:cNvPr {name}/><p:nvPr>{holder}</p:nvPr></p:nvSpPr><p:spPr>{place}</p:spPr>"
        f"<p:txBody>{lines}</p:txBody></p:sp>"
    )


def odf(kind: str, body: str, styles: str = "", masters: str = "", more: dict[str, str | bytes] | None = None) -> bytes:
    """An OpenDocument file: the inner XML of `office:text`, `office:presentation` or `office:spreadsheet`.

    `styles` are the automatic styles of the body, `masters` the inner XML of styles.xml, `more` are further parts.
    """
    namespaces = " ".join(f'xmlns:{prefix}="{_ODF}{name}"' for prefix, name in _ODF_NAMESPACES.items())
    namespaces += ' xmlns:xlink="http://www.w3.org/1999/xlink"'
    content = (
        f"<office:document-content {namespaces}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document-content>"
    )
    files: dict[str, str | bytes] = {
        "mimetype": f"application/vnd.oasis.opendocument.{kind}",
        "content.xml": content,
        "styles.xml": f"<office:document-styles {namespaces}>{masters}</office:document-styles>",
    }
    return pack(files | (more or {}))


def odf_chart(inner: str) -> str:
    """The content of a chart: the inner XML of `chart:chart`."""
    namespaces = " ".join(f'xmlns:{prefix}="{_ODF}{name}"' for prefix, name in _ODF_NAMESPACES.items())
    return (
        f"<office:document-content {namespaces}><office:body><office:chart><chart:chart>{inner}</chart:chart>"
        "</office:chart></office:body></office:document-content>"
    )


def epub(*chapters: str, more: dict[str, str | bytes] | None = None) -> bytes:
    """An EPUB with these chapters (the inner XML of their `body`) as book/text/1.xhtml and so on.

    `more` are further parts, which replace those of the same name.
    """
    numbers = range(1, len(chapters) + 1)
    items = "".join(f'<item id="c{n}" href="text/{n}.xhtml" media-type="application/xhtml+xml"/>' for n in numbers)
    order = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="book/package.opf"/></rootfiles></container>',
        "book/package.opf": opf(items, order),
    }
    for number, chapter in zip(numbers, chapters, strict=True):
        files[f"book/text/{number}.xhtml"] = (
            '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
            f"<head><title/></head><body>{chapter}</body></html>"
        )
    return pack(files | (more or {}))


def opf(items: str, order: str) -> str:
    """The package document of an EPUB: the inner XML of its manifest and of its spine."""
    return f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest><spine>{order}</spine></package>'

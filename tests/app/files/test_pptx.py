"""What PowerPoint's files hold and in which order it is read. The fixture of LibreOffice is made by
`soffice --headless --convert-to pptx --outdir tests/app/files/data tests/app/files/data/slides.fodp`.
"""

from pathlib import Path

import pytest

from app.errors import FileTooLarge
from app.files import pptx as reader
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.pptx import read_pptx
from tests.app.files.packages import pptx, relationships, shape, xml

DATA = Path(__file__).parent / "data"


def _read(*slides: str, **options: object) -> Document:
    return read_pptx(pptx(*slides, **options), FileLimits())  # type: ignore[arg-type]  # passed on as they are


def _blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_struck_out_text_is_left_out_and_raised_digits_stay_raised() -> None:
    line = (
        '<a:r><a:rPr strike="sngStrike"/><a:t>旧</a:t></a:r><a:r><a:rPr strike="noStrike"/><a:t>10</a:t></a:r>'
        '<a:r><a:rPr baseline="30000"/><a:t>6</a:t></a:r><a:r><a:rPr baseline="-25000"/><a:t>2</a:t></a:r>'
        '<a:r><a:rPr baseline="0"/><a:t>個</a:t></a:r>'
    )
    document = _read(f"<p:sp><p:txBody><a:p>{line}</a:p></p:txBody></p:sp>")
    assert document.text == "10⁶₂個"
    assert document.warnings == ("Text that is struck out was not read.",)


def test_slides_written_by_libreoffice_come_back_whole_with_their_pages() -> None:
    document = read_pptx((DATA / "slides.pptx").read_bytes(), FileLimits())
    assert _blocks(document) == [
        ("heading", "朝市のしおり"),
        ("list-item", "港の朝市は毎月第二日曜日に開く"),
        ("list-item", "出店の申し込みは前の月の末日まで"),
        ("note", "ここで昨年の写真を見せる。"),
        ("heading", "区画と料金"),
        ("paragraph", "左の説明。㈱みなとの売り場は東口に置く。"),
        ("paragraph", "右の説明。𠮷田組の売り場は西口に置く。"),
        ("table-row", "区画\t料金（円）\t"),
        ("table-row", "角\t５，０００\t六か月"),
        ("paragraph", "組の中の一つ目。"),
        ("paragraph", "組の中の二つ目。"),
        ("heading", "予備の頁"),
        ("list-item", "1. 雨天のときは中止する。"),
        ("list-item", "2. 中止は前日の午後五時に知らせる。"),
    ]
    at = document.text.index
    assert [document.page_of(at(text)) for text in ("朝市", "昨年", "角", "予備", "前日")] == [1, 1, 2, 3, 3]
    assert [(round(page.width), round(page.height)) for page in document.pages] == [(794, 595)] * 3
    assert document.heading_path(at("前日")) == ("予備の頁",)
    assert document.warnings == ("Hidden slides were read as well: 3.",)


def test_slides_stand_in_the_order_of_the_presentation_and_not_of_their_names() -> None:
    assert _read(shape("一枚目"), shape("二枚目"), order="2 1").text == "二枚目\n\n一枚目"


def test_the_title_comes_first_then_line_by_line_from_the_left_and_furniture_last() -> None:
    slide = (
        shape("7", 'type="sldNum"', (0, 900, 10, 10))
        + shape("右上", at=(600, 110, 300, 100))
        + shape("下", at=(100, 400, 800, 100))
        + shape("左上", at=(100, 100, 300, 100))
        + shape("場所なし")
        + shape("題\n副題", 'type="ctrTitle"', (100, 800, 800, 50))
    )
    assert _blocks(_read(slide)) == [
        ("heading", "題\n副題"),
        ("paragraph", "左上"),
        ("paragraph", "右上"),
        ("paragraph", "下"),
        ("paragraph", "場所なし"),
        ("furniture", "7"),
    ]


def test_a_placeholder_without_a_place_takes_that_of_its_layout() -> None:
    layout = xml(
        "p:sldLayout",
        "<p:cSld><p:spTree>"
        + shape("様式の文字", 'type="body" idx="1"', (0, 500, 100, 100))
        + shape("様式の文字", 'idx="2"', (0, 100, 100, 100))
        + "</p:spTree></p:cSld>",
    )
    more = {
        "ppt/slideLayouts/l.xml": layout,
        "ppt/slides/_rels/slide1.xml.rels": relationships({"rId1": ("slideLayout", "../slideLayouts/l.xml")}),
    }
    slide = shape("下の文", 'type="body" idx="1"') + shape("中の文", at=(0, 300, 100, 100)) + shape("上の文", 'idx="2"')
    assert _read(slide, more=more).text.split() == ["上の文", "中の文", "下の文"]


def test_groups_are_opened_in_the_scale_of_the_slide() -> None:
    group = (
        '<p:grpSp><p:grpSpPr><a:xfrm><a:off x="0" y="500"/><a:ext cx="100" cy="100"/><a:chOff x="0" y="0"/>'
        f'<a:chExt cx="1000" cy="1000"/></a:xfrm></p:grpSpPr>{shape("組の下", at=(0, 500, 900, 400))}'
        f"<p:grpSp>{shape('組の上', at=(0, 0, 900, 400))}</p:grpSp></p:grpSp>"
    )
    slide = group + shape("先", at=(0, 400, 100, 50)) + shape("後", at=(0, 700, 100, 50))
    assert _read(slide).text.split() == ["先", "組の上", "組の下", "後"]


def test_groups_that_enlarge_each_other_to_infinity_are_read() -> None:
    huge = '<a:off x="2000000000" y="2000000000"/><a:ext cx="2000000000" cy="2000000000"/>'
    frame = f'<p:grpSpPr><a:xfrm>{huge}<a:chOff x="0" y="0"/><a:chExt cx="1" cy="1"/></a:xfrm></p:grpSpPr>'
    slide = f"<p:grpSp>{frame}" * 60 + shape("中", at=(9, 9, 9, 9)) + "</p:grpSp>" * 60
    assert _read(slide + shape("", at=(0, 0, 1, 1))).text == "中"


def test_a_merged_cell_of_a_table_stands_once() -> None:
    def cell(text: str, name: str = "", value: int = 1) -> str:
        attributes = f'{name}="{value}"' if name else ""
        return f"<a:tc {attributes}><a:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></a:txBody></a:tc>"

    table = (
        f"<a:tbl><a:tr>{cell('区分', 'rowSpan', 2)}{cell('料金', 'gridSpan', 2)}{cell('料金', 'hMerge')}</a:tr>"
        f"<a:tr>{cell('区分', 'vMerge')}{cell('平日')}{cell('休日')}</a:tr></a:tbl>"
    )
    slide = f"<p:graphicFrame><a:graphic><a:graphicData>{table}</a:graphicData></a:graphic></p:graphicFrame>"
    assert _blocks(_read(slide)) == [("table-row", "区分\t料金\t"), ("table-row", "\t平日\t休日")]


def test_a_chart_is_read_as_its_title_and_a_row_for_each_category() -> None:
    def cache(tag: str, *values: str) -> str:
        points = "".join(f'<c:pt idx="{n}"><c:v>{value}</c:v></c:pt>' for n, value in enumerate(values))
        return f"<c:{tag}><c:strRef><c:strCache>{points}</c:strCache></c:strRef></c:{tag}>"

    slide = (
        '<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id="rId9"/></a:graphicData></a:graphic></p:graphicFrame>'
    )
    title = "<c:title><c:tx><c:rich><a:p><a:r><a:t>来館者数の推移</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    series = "".join(
        f"<c:ser>{cache('tx', name)}{cache('cat', '4月', '5月')}{cache('val', *values)}</c:ser>"
        for name, values in {"本館": ("120", "95"), "分館": ("40", "38")}.items()
    )
    chart = f"<c:chart>{title}<c:plotArea><c:barChart>{series}</c:barChart></c:plotArea></c:chart>"
    more = {
        "ppt/slides/_rels/slide1.xml.rels": relationships({"rId9": ("chart", "../charts/chart1.xml")}),
        "ppt/charts/chart1.xml": xml("c:chartSpace", chart),
    }
    assert [text for _, text in _blocks(_read(slide, more=more))] == [
        "来館者数の推移", "\t本館\t分館", "4月\t120\t40", "5月\t95\t38"
    ]  # fmt: skip
    assert _read(slide).text == ""


def test_the_texts_of_a_smartart_diagram_are_read() -> None:
    slide = (
        '<p:graphicFrame><a:graphic><a:graphicData><dgm:relIds r:dm="rId9"/></a:graphicData></a:graphic>'
        "</p:graphicFrame>"
    )
    points = "".join(f"<dgm:pt><dgm:t><a:p><a:r><a:t>{t}</a:t></a:r></a:p></dgm:t></dgm:pt>" for t in ("受付", "審査"))
    more = {
        "ppt/slides/_rels/slide1.xml.rels": relationships({"rId9": ("diagramData", "../diagrams/data1.xml")}),
        "ppt/diagrams/data1.xml": xml("dgm:dataModel", f"<dgm:ptLst>{points}</dgm:ptLst>"),
    }
    assert _blocks(_read(slide, more=more)) == [("list-item", "受付"), ("list-item", "審査")]
    assert _read(slide).text == ""


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("arabicPeriod", "3."), ("arabicParenBoth", "(3)"), ("arabicDbPlain", "３"), ("circleNumDbPlain", "③"),
        ("alphaUcParenR", "C)"), ("romanLcPeriod", "iii."), ("ea1JpnChsDbPeriod", "三."), ("unheardOf", "3."),
    ],
)  # fmt: skip
def test_numbers_of_paragraphs_are_written_out(kind: str, number: str) -> None:
    properties = f'<a:pPr><a:buAutoNum type="{kind}" startAt="3"/></a:pPr>'
    slide = f"<p:sp><p:txBody><a:p>{properties}<a:r><a:t>乙</a:t></a:r></a:p></p:txBody></p:sp>"
    assert _blocks(_read(slide)) == [("list-item", f"{number} 乙")]


def test_lines_fields_and_alternatives_are_read_once() -> None:
    slide = (
        "<mc:AlternateContent><mc:Choice><p:sp><p:txBody><a:p><a:r><a:t>一</a:t></a:r><a:br/>"
        "<a:fld><a:t>二</a:t></a:fld></a:p></p:txBody></p:sp></mc:Choice>"
        f"<mc:Fallback>{shape('古い形')}</mc:Fallback></mc:AlternateContent>"
    )
    assert _read(slide).text == "一\n二"


def test_notes_are_marked_and_stand_on_the_page_of_their_slide() -> None:
    notes = xml(
        "p:notes",
        "<p:cSld><p:spTree>"
        + shape("ここで笑う。", 'type="body" idx="1"')
        + shape("3", 'type="sldNum"')
        + "</p:spTree></p:cSld>",
    )
    more = {
        "ppt/slides/_rels/slide1.xml.rels": relationships({"rId1": ("notesSlide", "../notesSlides/n.xml")}),
        "ppt/notesSlides/n.xml": notes,
    }
    document = _read(shape("一枚目"), shape("二枚目"), more=more)
    assert _blocks(document) == [("paragraph", "一枚目"), ("note", "ここで笑う。"), ("paragraph", "二枚目")]
    assert document.page_of(document.text.index("笑う")) == 1


def test_hidden_shapes_are_left_out_and_missing_slides_are_said_and_keep_their_number() -> None:
    document = _read(shape("見える") + shape("隠した", name='hidden="1"'), shape("二"), order="1 9 2")
    assert document.text == "見える\n\n二"
    assert document.page_of(document.text.index("二")) == 3
    assert document.warnings == ("Slides are missing from the file: 2.",)


def test_a_presentation_of_more_slides_than_are_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_SLIDES", 2)
    with pytest.raises(FileTooLarge, match="has 3 slides; at most 2 are read"):
        _read(shape("一"), order="1 1 1")


def test_a_slide_that_is_named_a_thousand_times_counts_each_time() -> None:
    data = pptx(shape("長い" * 1000), order="1 " * 1000)
    with pytest.raises(FileTooLarge, match="unpacks to more than 1,000,000 bytes"):
        read_pptx(data, FileLimits(max_unpacked_bytes=1_000_000))

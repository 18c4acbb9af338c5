"""Texts of OpenDocument, and what is read of them. The fixture of LibreOffice is made by
`soffice --headless --convert-to odt --outdir tests/app/files/data tests/app/files/data/minutes.fodt`.
"""

from pathlib import Path

import pytest

from app.errors import BrokenFile, EncryptedFile, UnsafeFile
from app.files.document import Document
from app.files.docx import read_docx
from app.files.limits import FileLimits
from app.files.odt import read_odt
from tests.app.files.packages import odf, odf_chart

DATA = Path(__file__).parent / "data"
LIMITS = FileLimits()
NUMBERED = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-prefix="第" '
    'style:num-suffix="条" style:num-format="１, ２, ３, ..."><style:list-level-properties>'
    '<style:list-level-label-alignment text:label-followed-by="space"/></style:list-level-properties>'
    '</text:list-level-style-number><text:list-level-style-number text:level="2" style:num-format="1" '
    'text:display-levels="2" style:num-suffix=")"/><text:list-level-style-bullet text:level="3"/></text:list-style>'
)


def _read(body: str, styles: str = "", masters: str = "", more: dict[str, str | bytes] | None = None) -> Document:
    return read_odt(odf("text", body, styles, masters, more), LIMITS)


def _style(name: str, properties: str, family: str = "text", attributes: str = "") -> str:
    return f'<style:style style:name="{name}" style:family="{family}" {attributes}>{properties}</style:style>'


def _items(*texts: str) -> str:
    return "".join(f"<text:list-item><text:p>{text}</text:p></text:list-item>" for text in texts)


def test_an_odt_of_libreoffice_is_read_as_the_docx_of_the_same_document() -> None:
    odt = read_odt((DATA / "minutes.odt").read_bytes(), LIMITS)
    docx = read_docx((DATA / "minutes.docx").read_bytes(), LIMITS)

    assert odt.text == docx.text
    assert odt.blocks == docx.blocks
    assert odt.warnings == docx.warnings == ()
    assert [(page.number, odt.text[page.start : page.start + 5]) for page in odt.pages] == [
        (1, "図書館協議"),
        (2, "採決の結果"),
    ]


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("第一条<text:s/>目的", "第一条 目的"),
        ('名<text:s text:c="3"/>氏', "名   氏"),
        ("列<text:tab/>値<text:line-break/>次", "列\t値\n次"),
        ("  前\n   後 <text:span>  続き</text:span>", "前 後 続き"),  # white space of the XML is one space
        (
            "<text:ruby><text:ruby-base>葛󠄀西</text:ruby-base><text:ruby-text>かさい</text:ruby-text></text:ruby>𠮷",
            "葛󠄀西𠮷",
        ),
        ("㍻<text:a xlink:href='x'>か\u3099ｶﾞ</text:a>👨‍👩‍👧", "㍻か\u3099ｶﾞ👨‍👩‍👧"),
        ("<text:page-number>3</text:page-number>頁", "3頁"),
        ("残<text:hidden-text>隠</text:hidden-text>る", "残る"),
        ('前<text:s text:c="99999999"/>後', "前" + " " * 1000 + "後"),
        ('前<text:s text:c="-5"/>後', "前 後"),
        ('前<text:s text:c="x"/>後', "前 後"),
    ],
)
def test_the_characters_of_a_paragraph_are_those_that_it_shows(inner: str, text: str) -> None:
    assert _read(f"<text:p>{inner}</text:p>").text == text


def test_hidden_and_struck_text_is_left_out_and_raised_digits_stay_raised() -> None:
    styles = (
        _style("H", '<style:text-properties text:display="none"/>')
        + _style("S", '<style:text-properties style:text-line-through-style="solid"/>')
        + _style("S2", "", attributes='style:parent-style-name="S"')
        + _style("U", '<style:text-properties style:text-position="super 58%"/>')
        + _style("D", '<style:text-properties style:text-position="-33% 58%"/>')
        + _style("P", '<style:text-properties style:text-line-through-type="single"/>', "paragraph")
    )
    spans = {"H": "隠", "S": "旧", "S2": "旧", "U": "6", "D": "2"}
    inner = "10" + "".join(f'<text:span text:style-name="{name}">{text}</text:span>' for name, text in spans.items())
    document = _read(f'<text:p>{inner}個</text:p><text:p text:style-name="P">消した段落</text:p>', styles)

    assert document.text == "10⁶₂個"
    assert document.warnings == ("Text that is struck out was not read.",)


def test_the_numbers_of_lists_and_their_levels_are_written_out() -> None:
    inner = f"<text:list>{_items('子', '子')}</text:list>"
    bullets = f"<text:list><text:list-item><text:list>{_items('点')}</text:list></text:list-item></text:list>"
    body = (
        '<text:list text:style-name="L"><text:list-header><text:p>見出しの行</text:p></text:list-header>'
        f"<text:list-item><text:p>目的</text:p><text:p>続きの段落。</text:p>{inner}{bullets}</text:list-item>"
        f'{_items("定義")}<text:list-item text:start-value="10"><text:p>附則</text:p></text:list-item></text:list>'
    )
    assert _read(body, NUMBERED).text.split("\n") == [
        "見出しの行", "", "第１条 目的", "", "続きの段落。", "", "１.1)子", "１.2)子", "点", "第２条 定義",
        "第１０条 附則",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "number"),
    [
        ("", "１"),
        ('text:continue-numbering="true"', "３"),
        ('text:continue-list="a"', "３"),
        ('text:continue-list="x"', "１"),
    ],
)
def test_a_list_goes_on_from_another_only_where_it_says_so(attributes: str, number: str) -> None:
    body = (
        f'<text:list xml:id="a" text:style-name="L">{_items("一", "二")}</text:list><text:p>間の文。</text:p>'
        f'<text:list text:style-name="L" {attributes}>{_items("次")}</text:list>'
    )
    assert _read(body, NUMBERED).text.endswith(f"第{number}条 次")


def test_headings_have_their_levels_and_the_numbers_of_the_outline() -> None:
    masters = (
        '<office:styles><text:outline-style><text:outline-level-style text:level="1" style:num-format="一, 二, ..." '
        'style:num-prefix="第" style:num-suffix="章　"/><text:outline-level-style text:level="2" style:num-format=""/>'
        "</text:outline-style>"
        + _style("Free", "", "paragraph", 'style:list-style-name=""')
        + _style("T", "", "paragraph", 'style:display-name="表題"')
        + "</office:styles>"
    )
    document = _read(
        '<text:p text:style-name="T">就業規則</text:p><text:h text:outline-level="1">総則</text:h>'
        '<text:h text:outline-level="2">目的</text:h><text:p>文。</text:p>'
        '<text:h text:outline-level="1">休日</text:h>'
        '<text:h text:outline-level="1" text:style-name="Free">附則</text:h>'
        '<text:h text:outline-level="1">雑則</text:h>',
        masters=masters,
    )
    assert [(block.level, document.text[block.start : block.end]) for block in document.blocks] == [
        (1, "就業規則"),
        (1, "第一章　総則"),
        (2, "目的"),
        (0, "文。"),
        (1, "第二章　休日"),
        (1, "附則"),
        (1, "第三章　雑則"),
    ]


def test_a_table_repeats_its_equal_cells_and_rows_and_knows_its_head() -> None:
    document = _read(
        "<table:table><table:table-header-rows><table:table-row>"
        "<table:table-cell><text:p>品</text:p></table:table-cell><table:table-cell><text:p>価</text:p></table:table-cell>"
        "<table:table-cell><text:p>数</text:p></table:table-cell></table:table-row></table:table-header-rows>"
        '<table:table-row table:number-rows-repeated="2"><table:table-cell><text:p>筆</text:p></table:table-cell>'
        '<table:table-cell table:number-columns-repeated="2"><text:p>10</text:p></table:table-cell></table:table-row>'
        "</table:table>"
    )
    assert document.text == "品\t価\t数\n筆\t10\t10\n筆\t10\t10"
    assert [block.kind for block in document.blocks] == ["table-head", "table-row", "table-row"]


def test_a_table_of_one_cell_is_a_box_around_text_and_a_frame_follows_its_paragraph() -> None:
    cell = "<table:table-cell><text:p>枠の文。</text:p></table:table-cell>"
    box = f"<table:table><table:table-row>{cell}</table:table-row></table:table>"
    frame = "<draw:frame><draw:text-box><text:p>別の枠。</text:p></draw:text-box><svg:desc>絵</svg:desc></draw:frame>"
    document = _read(f"{box}<text:p>本文{frame}の続き。</text:p>")

    assert document.text == "枠の文。\n\n本文の続き。\n\n別の枠。"


def test_contents_are_furniture_and_hidden_sections_and_deleted_text_are_left_out() -> None:
    document = _read(
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>消した</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes>"
        "<text:table-of-content><text:table-of-content-source/><text:index-body><text:p>第一章 1</text:p>"
        '</text:index-body></text:table-of-content><text:section text:display="none"><text:p>隠した節</text:p>'
        "</text:section>"
        "<text:section><text:p>見える節。</text:p></text:section>"
    )
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("furniture", "第一章 1"),
        ("paragraph", "見える節。"),
    ]


def test_headers_are_furniture_once_and_notes_and_comments_stand_at_the_end() -> None:
    masters = (
        "<office:master-styles><style:master-page><style:header><text:p>社外秘</text:p></style:header>"
        '<style:header-left style:display="false"><text:p>使わない</text:p></style:header-left></style:master-page>'
        "<style:master-page><style:header><text:p>社外秘</text:p></style:header></style:master-page></office:master-styles>"
    )
    note = (
        "<text:note text:note-class='{}'><text:note-citation>1</text:note-citation><text:note-body><text:p>{}</text:p>"
        "</text:note-body></text:note>"
    )
    comment = "<office:annotation><text:p>確認のこと</text:p></office:annotation>"
    inner = f"本文{note.format('endnote', '後注。')}{comment}{note.format('footnote', '脚注。')}。"
    document = _read(f"<text:p>{inner}</text:p>", masters=masters)

    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("furniture", "社外秘"),
        ("paragraph", "本文。"),
        ("note", "脚注。"),
        ("note", "後注。"),
        ("note", "確認のこと"),
    ]


def test_pages_begin_at_the_breaks_of_the_program_and_of_the_author() -> None:
    styles = (
        _style("B", '<style:paragraph-properties fo:break-before="page"/>', "paragraph")
        + _style("A", '<style:paragraph-properties fo:break-after="page"/>', "paragraph")
        + _style("M", "", "paragraph", 'style:master-page-name="横"')
    )
    document = _read(
        '<text:p text:style-name="M">一頁、</text:p><text:p>二頁に<text:soft-page-break/>続く。</text:p>'
        '<text:p text:style-name="B">三頁。</text:p><text:p text:style-name="A">三頁の終わり。</text:p>'
        "<text:p>四頁。</text:p>"
        '<text:p text:style-name="M">五頁。</text:p>',
        styles,
    )
    assert [document.text[page.start : page.end] for page in document.pages] == [
        "一頁、\n\n二頁に",
        "続く。",
        "三頁。\n\n三頁の終わり。",
        "四頁。",
        "五頁。",
    ]


def test_a_chart_gives_its_title_and_table_and_another_object_a_warning() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    row = f"<table:table-row>{cell}{cell}</table:table-row>"
    chart = odf_chart(
        "<chart:title><text:p>来館者の推移</text:p></chart:title>"
        f"<table:table>{row.format('四月', '120')}{row.format('五月', '98')}</table:table>"
    )
    frame = "<draw:frame><draw:object xlink:href='./Object {}'/><draw:image/></draw:frame>"
    document = _read(
        f"<text:p>図。{frame.format(1)}{frame.format(2)}</text:p>",
        more={"Object 1/content.xml": chart, "Object 2/content.xml": "<math/>"},
    )
    assert document.text == "図。\n\n来館者の推移\n\n四月\t120\n五月\t98"
    assert document.warnings == ("Objects in the document, such as formulas, were not read.",)


def test_a_file_with_a_password_is_refused_in_words() -> None:
    manifest = (
        '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        '<m:file-entry m:full-path="content.xml">'
        "<m:encryption-data/></m:file-entry></m:manifest>"
    )
    with pytest.raises(EncryptedFile) as caught:
        _read("<text:p>文。</text:p>", more={"META-INF/manifest.xml": manifest, "content.xml": b"\x8f\x01"})
    assert str(caught.value) == "The file is protected with a password; save it without one."


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        ("<a/>", BrokenFile, "The file is damaged: content.xml has no office:text."),
        ("<a>", BrokenFile, "The file is damaged: content.xml is not well-formed XML"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", UnsafeFile, "The file declares a document type or XML entities"),
    ],
)
def test_damaged_content_is_refused_in_words(content: str, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error) as caught:
        _read("", more={"content.xml": content})
    assert str(caught.value).startswith(sentence)


def test_styles_that_are_based_on_each_other_end() -> None:
    styles = _style("A", "", attributes='style:parent-style-name="B"') + _style(
        "B", "", attributes='style:parent-style-name="A"'
    )
    assert _read('<text:p><text:span text:style-name="A">文。</text:span></text:p>', styles).text == "文。"

"""Files of Word, and the parts of them that are read. The fixtures of LibreOffice are made by
`soffice --headless --convert-to docx --outdir tests/app/files/data tests/app/files/data/minutes.fodt`.
"""

from pathlib import Path

import pytest

from app.errors import BrokenFile
from app.files.document import Document
from app.files.docx import read_docx
from app.files.limits import FileLimits
from tests.app.files.packages import docx, pack, paragraph

DATA = Path(__file__).parent / "data"


def _read(body: str, **parts: str) -> Document:
    return read_docx(docx(body, **parts), FileLimits())


def _blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_minutes_written_by_libreoffice_come_back_whole_and_in_order() -> None:
    document = read_docx((DATA / "minutes.docx").read_bytes(), FileLimits())
    assert _blocks(document) == [
        ("furniture", "図書館協議会　第四回"),
        ("heading", "図書館協議会議事録"),
        ("heading", "開会"),
        ("paragraph", "委員長の葛󠄀西𠮷江が開会を告げ、欠席の届けが二件あったと報告した。傍聴は七人である。"),
        ("paragraph", "前回の記録は一か所を直して承認された。"),
        ("paragraph", "会場の都合により、次回の日取りを囲みに記す。"),
        ("paragraph", "次回は六月十日、場所は分館。"),
        ("heading", "議題"),
        ("heading", "開館時間の見直し"),
        ("paragraph", "事務局から、次の三つの案が示された。"),
        ("list-item", "（1）平日の閉館を午後八時とする。"),
        ("list-item", "（2）日曜日の開館を午前十時とする。"),
        ("list-item", "ア．夏の間は午前九時とする。"),
        ("list-item", "イ．冬の間は変えない。"),
        ("list-item", "（3）月末の休館をやめる。"),
        ("paragraph", "持ち物は次のとおり。"),
        ("list-item", "筆記用具"),
        ("list-item", "①の資料と㈱青葉の見積書"),
        ("paragraph", "費用の見込みを表に示す。\t単位は円、税を含む。\n端数は切り捨てた。"),
        ("table-row", "費目\t金額\t"),
        ("table-row", "\t今年度\t来年度"),
        ("table-row", "光熱費 （概算）\t３２０，０００\t"),
        ("paragraph", "採決の結果、第一案と第三案が賛成多数で可決された。"),
        ("heading", "閉会"),
        ("paragraph", "午後四時に閉会した。ｶﾅの表記は髙橋委員が〜までに改める。"),
        ("furniture", "事務局作成（2）"),
        ("note", "定員は十人。"),
        ("note", "票数は別紙に。"),
    ]
    assert [block.level for block in document.blocks if block.kind == "heading"] == [1, 1, 1, 2, 1]
    at = document.text.index
    assert document.heading_path(at("夏の間")) == ("議題", "開館時間の見直し")
    assert [document.page_of(at(text)) for text in ("開会", "光熱費", "採決", "定員")] == [1, 1, 2, 2]
    assert document.warnings == ()


def test_the_base_text_of_ruby_is_kept_and_its_reading_is_not() -> None:
    ruby = (
        "<w:p><w:r><w:t>汐</w:t></w:r><w:r><w:ruby><w:rubyPr/><w:rt><w:r><w:t>いりえ</w:t></w:r></w:rt><w:rubyBase>"
        "<w:r><w:t>入江</w:t></w:r></w:rubyBase></w:ruby></w:r><w:r><w:t>町</w:t></w:r></w:p>"
    )
    assert _read(ruby).text == "汐入江町"


def test_a_text_box_that_is_there_for_new_and_old_programs_comes_once() -> None:
    box = f"<w:txbxContent>{paragraph('囲みの文。')}</w:txbxContent>"
    body = (
        "<w:p><w:r><w:t>本文。</w:t></w:r><w:r><mc:AlternateContent>"
        f'<mc:Choice Requires="wps"><w:drawing><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></w:drawing></mc:Choice>'
        f"<mc:Fallback><w:pict><v:shape><v:textbox>{box}</v:textbox></v:shape></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )
    assert _blocks(_read(body)) == [("paragraph", "本文。"), ("paragraph", "囲みの文。")]


def test_a_text_box_of_an_old_program_alone_is_read() -> None:
    body = (
        f"<w:p><w:r><w:pict><v:textbox><w:txbxContent>{paragraph('古い囲み。')}</w:txbxContent></v:textbox></w:pict></w:r>"
        "</w:p>"
    )
    assert _read(body).text == "古い囲み。"


def test_deleted_moved_and_hidden_text_is_left_out_and_inserted_text_is_kept() -> None:
    body = (
        "<w:p><w:r><w:t>残る。</w:t></w:r><w:del><w:r><w:delText>消えた。</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>足した。</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>元の場所。</w:t></w:r></w:moveFrom>"
        "<w:moveTo><w:r><w:t>移した。</w:t></w:r></w:moveTo><w:r><w:rPr><w:vanish/></w:rPr><w:t>隠れた。</w:t></w:r>"
        '<w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t>見える。</w:t></w:r>'
        '<w:r><w:rPr><w:rStyle w:val="Secret"/></w:rPr><w:t>様式で隠れた。</w:t></w:r></w:p>'
    )
    styles = '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
    assert _read(body, styles=styles).text == "残る。足した。移した。見える。"


def test_struck_out_text_is_left_out_with_a_warning() -> None:
    def run(properties: str, text: str) -> str:
        return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"

    strike, off = run("<w:strike/>", "1,980円"), run('<w:strike w:val="0"/>', "980円")
    cell = f"<w:tc><w:p>{run('<w:dstrike/>', '旧')}{off}</w:p></w:tc>"
    for body in (f"<w:p>{strike}{off}</w:p>", f"<w:tbl><w:tr>{cell}{cell}</w:tr></w:tbl>"):
        document = _read(body)
        assert document.text in ("980円", "980円\t980円")
        assert document.warnings == ("Text that is struck out was not read.",)
    assert _read(f"<w:p>{off}</w:p>").warnings == ()


def test_raised_digits_and_formulas_keep_their_meaning() -> None:
    body = (
        '<w:p><w:r><w:t>10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>6</w:t></w:r>'
        "<w:r><w:t>個の</w:t></w:r><m:oMath><m:f><m:num><m:r><m:t>2</m:t></m:r></m:num><m:den><m:r><m:t>3</m:t></m:r>"
        "</m:den></m:f><m:sSup><m:e><m:r><m:t>x</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup>"
        "<m:sSub><m:e><m:r><m:t>a</m:t></m:r></m:e><m:sub><m:r><m:t>1</m:t></m:r></m:sub></m:sSub></m:oMath></w:p>"
    )
    assert _read(body).text == "10⁶個の2/3x²a₁"


def test_a_row_that_repeats_on_every_page_is_the_head_of_its_table() -> None:
    def row(properties: str, *cells: str) -> str:
        inner = "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in cells)
        return f"<w:tr><w:trPr>{properties}</w:trPr>{inner}</w:tr>"

    body = f"<w:tbl>{row('<w:tblHeader/>', '品', '色')}{row('', '皿', '白')}</w:tbl>"
    assert _blocks(_read(body)) == [("table-head", "品\t色"), ("table-row", "皿\t白")]


def test_paragraphs_whose_end_was_deleted_are_one() -> None:
    assert _read(paragraph("前半、", "<w:rPr><w:del/></w:rPr>") + paragraph("後半。")).text == "前半、後半。"


def test_codes_of_fields_are_left_out_and_their_results_are_kept() -> None:
    body = (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>PAGEREF _Toc1</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>十二</w:t></w:r>'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r><w:hyperlink r:id="x"><w:r><w:t>頁</w:t></w:r></w:hyperlink></w:p>'
    )
    assert _read(body).text == "十二頁"


def test_tabs_lines_hyphens_and_symbols_become_characters() -> None:
    body = (
        "<w:p><w:r><w:t>甲</w:t><w:tab/><w:t>乙</w:t><w:br/><w:t>丙</w:t><w:noBreakHyphen/><w:softHyphen/><w:t>丁</w:t>"
        '<w:sym w:font="Wingdings" w:char="F0FC"/><w:sym w:font="Symbol" w:char="F0B7"/>'
        '<w:sym w:font="Gaiji" w:char="E000"/><w:sym w:font="MS Mincho" w:char="2460"/><w:sym w:char="nonsense"/>'
        "</w:r><m:oMath><m:r><m:t>x</m:t></m:r></m:oMath></w:p>"
    )
    assert _read(body).text == "甲\t乙\n丙\u2011丁✓•〓①〓x"


HEADINGS = (
    '<w:style w:type="paragraph" w:styleId="1"><w:name w:val="heading 1"/><w:pPr><w:outlineLvl w:val="0"/></w:pPr>'
    "</w:style>"
    '<w:style w:type="paragraph" w:styleId="mine"><w:name w:val="独自の見出し"/><w:basedOn w:val="1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="ja2"><w:name w:val="見出し 2"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="toc1"><w:name w:val="toc 1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="a"><w:name w:val="a"/><w:basedOn w:val="b"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="b"><w:name w:val="b"/><w:basedOn w:val="a"/></w:style>'
)


@pytest.mark.parametrize(
    ("properties", "kind", "level"),
    [
        ('<w:pStyle w:val="1"/>', "heading", 1),
        ('<w:pStyle w:val="mine"/>', "heading", 1),
        ('<w:pStyle w:val="ja2"/>', "heading", 2),
        ('<w:outlineLvl w:val="2"/>', "heading", 3),
        ('<w:pStyle w:val="1"/><w:outlineLvl w:val="9"/>', "paragraph", 0),
        ('<w:pStyle w:val="toc1"/>', "furniture", 0),
        ('<w:pStyle w:val="a"/>', "paragraph", 0),
        ('<w:pStyle w:val="missing"/>', "paragraph", 0),
        ('<w:outlineLvl w:val="99999999999999999999"/>', "paragraph", 0),
    ],
)
def test_a_heading_is_known_by_outline_level_style_or_what_the_style_is_based_on(
    properties: str, kind: str, level: int
) -> None:
    [block] = _read(paragraph("総則", properties), styles=HEADINGS).blocks
    assert (block.kind, block.level) == (kind, level)


def _level(level: int, text: str, shape: str, more: str = "") -> str:
    start = f'<w:start w:val="1"/><w:numFmt w:val="{shape}"/>'
    return f'<w:lvl w:ilvl="{level}">{start}<w:lvlText w:val="{text}"/>{more}</w:lvl>'


def test_numbers_of_lists_are_counted_and_written_out() -> None:
    numbering = (
        '<w:abstractNum w:abstractNumId="0">'
        + _level(0, "第%1条", "decimalFullWidth")
        + _level(1, "%2", "decimalEnclosedCircle")
        + _level(2, "（%3）", "aiueoFullWidth", '<w:suff w:val="nothing"/>')
        + "</w:abstractNum>"
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/>'
        "</w:lvlOverride></w:num>"
        '<w:num w:numId="3"><w:abstractNumId w:val="missing"/></w:num>'
    )

    def item(text: str, level: int, number: int = 1) -> str:
        return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')

    body = "".join(
        [
            item("目的", 0), item("甲", 1), item("乙", 1), item("丙", 2), item("定義", 0), item("丁", 1),
            item("外", 0, 0), item("附則", 0, 2), item("雑則", 0, 2), item("迷子", 0, 3), item("深い", 8),
        ]
    )  # fmt: skip
    assert [text for _, text in _blocks(_read(body, numbering=numbering))] == [
        "第１条 目的", "① 甲", "② 乙", "（ア）丙", "第２条 定義", "① 丁", "外", "第７条 附則", "第８条 雑則", "迷子",
        "深い",
    ]  # fmt: skip


PRIVATE_USE = "\uf0b7"


def test_a_heading_with_a_number_is_a_heading_and_its_bullet_is_no_text() -> None:
    numbering = (
        f'<w:abstractNum w:abstractNumId="0">{_level(0, "第%1章", "japaneseCounting")}</w:abstractNum>'
        f'<w:abstractNum w:abstractNumId="1">{_level(0, PRIVATE_USE, "bullet")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    )
    body = paragraph("総則", '<w:outlineLvl w:val="0"/><w:numPr><w:numId w:val="1"/></w:numPr>')
    body += paragraph("点", '<w:numPr><w:numId w:val="2"/></w:numPr>')
    assert _blocks(_read(body, numbering=numbering)) == [("heading", "第一章 総則"), ("list-item", "点")]


def _cell(text: str, properties: str = "") -> str:
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph(text)}</w:tc>"


def test_a_merged_cell_stands_once_and_its_other_cells_are_empty() -> None:
    restart, wide = '<w:vMerge w:val="restart"/>', '<w:gridSpan w:val="2"/>'
    body = (
        f"<w:tbl><w:tr>{_cell('費目', restart)}{_cell('金額', wide)}</w:tr>"
        f"<w:tr>{_cell('写し', '<w:vMerge/>')}{_cell('今年')}{_cell('来年')}</w:tr>"
        f"<w:tr><w:trPr><w:del/></w:trPr>{_cell('消えた行')}</w:tr>"
        f"<w:sdt><w:sdtContent><w:tr>{_cell('水道')}<w:sdt><w:sdtContent>{_cell('１')}</w:sdtContent></w:sdt></w:tr>"
        "</w:sdtContent></w:sdt></w:tbl>"
    )
    assert _blocks(_read(body)) == [
        ("table-row", "費目\t金額\t"),
        ("table-row", "\t今年\t来年"),
        ("table-row", "水道\t１"),
    ]


def test_a_table_in_a_cell_is_text_of_the_cell_and_a_table_of_one_cell_is_a_box_around_paragraphs() -> None:
    inner = f"<w:tbl><w:tr>{_cell('内一')}{_cell('内二')}</w:tr></w:tbl>"
    outer = f"<w:tbl><w:tr><w:tc>{paragraph('外')}{inner}{paragraph('')}</w:tc>{_cell('隣')}</w:tr></w:tbl>"
    assert _blocks(_read(outer)) == [("table-row", "外 内一 内二\t隣")]
    box = f"<w:tbl><w:tr><w:tc>{paragraph('囲みの一。')}{paragraph('囲みの二。')}</w:tc></w:tr></w:tbl>"
    assert _blocks(_read(box)) == [("paragraph", "囲みの一。"), ("paragraph", "囲みの二。")]


def test_a_span_of_a_billion_columns_is_cut_to_what_word_allows() -> None:
    cell = _cell("広い", '<w:gridSpan w:val="99999999"/>')
    body = f"<w:tbl><w:tr>{cell}{_cell('隣')}</w:tr></w:tbl>"
    assert len(_read(body).blocks[0].cells) == 64


def test_headers_and_footers_are_furniture_once_and_notes_stand_at_the_end() -> None:
    section = (
        '<w:sectPr><w:headerReference w:type="default" r:id="header"/><w:headerReference w:type="first" r:id="header"/>'
        '<w:footerReference w:type="default" r:id="footer"/><w:headerReference r:id="gone"/></w:sectPr>'
    )
    document = _read(
        paragraph("本文。") + section,
        header=paragraph("社外秘"),
        footer=paragraph("- 1 -"),
        footnotes=f'<w:footnote w:type="separator" w:id="0">{paragraph("線")}</w:footnote>'
        f'<w:footnote w:id="1">{paragraph("脚注。")}</w:footnote>',
        endnotes=f'<w:endnote w:id="1">{paragraph("文末脚注。")}</w:endnote>',
        comments=f'<w:comment w:id="1">{paragraph("確認のこと。")}</w:comment>',
    )
    assert _blocks(document) == [
        ("furniture", "社外秘"), ("paragraph", "本文。"), ("furniture", "- 1 -"), ("note", "脚注。"),
        ("note", "文末脚注。"), ("note", "確認のこと。"),
    ]  # fmt: skip


def test_a_package_without_a_body_is_broken() -> None:
    with pytest.raises(BrokenFile, match=r"word/document\.xml has no body"):
        read_docx(pack({"word/document.xml": "<a/>"}), FileLimits())
    with pytest.raises(BrokenFile, match=r"it has no part word/document\.xml"):
        read_docx(pack({"other": "x"}), FileLimits())


def test_a_paragraph_without_an_end_mark_ends_with_its_cell_or_document() -> None:
    open_end = "<w:rPr><w:del/></w:rPr>"
    cells = f"<w:tc>{paragraph('甲', open_end)}</w:tc><w:tc>{paragraph('乙')}</w:tc>"
    document = _read(f"<w:tbl><w:tr>{cells}</w:tr></w:tbl>" + paragraph("最後の段落。", open_end))
    assert _blocks(document) == [("table-row", "甲\t乙"), ("paragraph", "最後の段落。")]


def test_a_number_whose_form_is_overridden_has_the_form_of_the_override() -> None:
    numbering = (
        '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/>'
        '<w:lvlText w:val="%1."/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/>'
        '<w:lvlOverride w:ilvl="0"><w:lvl w:ilvl="0"><w:start w:val="5"/><w:numFmt w:val="decimalFullWidth"/>'
        '<w:lvlText w:val="第%1条"/></w:lvl></w:lvlOverride></w:num>'
    )
    in_list = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    document = _read(paragraph("目的", in_list) + paragraph("定義", in_list), numbering=numbering)
    assert [text for _, text in _blocks(document)] == ["第５条 目的", "第６条 定義"]


def test_paragraphs_without_styles_have_the_kinds_that_their_numbers_and_brackets_show() -> None:
    lines = [
        "職員就業規則", "", "第１章　総則", "（目的）", "第１条　この規則は、服務を定める。", "２　細則は別に定める。",
        "別記", "１．\t目的", "本書の目的を述べる。", "※雨天の場合は中止する。", "・弁当", "日時\t\t五月一日",
    ]  # fmt: skip

    document = _read("".join(map(paragraph, lines)))

    assert _blocks(document) == [
        ("heading", "職員就業規則"),
        ("heading", "第１章　総則"),
        ("heading", "（目的）"),
        ("clause", "第１条　この規則は、服務を定める。"),
        ("clause", "２　細則は別に定める。"),
        ("heading", "別記"),
        ("heading", "１．\t目的"),
        ("paragraph", "本書の目的を述べる。"),
        ("note", "※雨天の場合は中止する。"),
        ("list-item", "・弁当"),
        ("paragraph", "日時\t\t五月一日"),
    ]
    assert document.heading_path(document.text.index("服務")) == ("第１章　総則", "（目的）")


def test_where_styles_mark_the_headings_no_other_line_is_one() -> None:
    def styled(text: str) -> str:
        return paragraph(text, '<w:outlineLvl w:val="0"/>')

    body = styled("目的") + paragraph("１．概要") + paragraph("本書は手引きである。") + styled("準備")

    assert [block.kind for block in _read(body).blocks] == ["heading", "paragraph", "paragraph", "heading"]


def test_a_field_that_is_an_equation_has_its_text_in_the_paragraph() -> None:
    body = (
        '<w:p><w:r><w:t>前</w:t><w:fldChar w:fldCharType="begin"/><w:instrText>EQ \\o\\ac(○</w:instrText></w:r>'
        '<w:r><w:instrText>,印)</w:instrText><w:fldChar w:fldCharType="end"/><w:t>後</w:t></w:r></w:p>'
    )
    assert _read(body).text == "前印後"


def test_of_a_field_with_a_result_only_the_result_is_read() -> None:
    body = (
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/><w:instrText>EQ \\f(1,2)</w:instrText>'
        '<w:fldChar w:fldCharType="separate"/><w:t>半分</w:t><w:fldChar w:fldCharType="end"/></w:r></w:p>'
    )
    assert _read(body).text == "半分"

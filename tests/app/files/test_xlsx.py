"""What Excel's files hold, and in which order it is read. XlsxWriter 3.2.9 wrote data/workbook.xlsx."""

from pathlib import Path

import pytest

from app.errors import FileTooLarge
from app.files import sheets
from app.files.document import Document
from app.files.limits import FileLimits
from app.files.xlsx import read_xlsx
from tests.app.files.packages import relationships, sheet, xlsx, xml

DATA = Path(__file__).parent / "data"
STRUCK = '<x:fonts><x:font/><x:font><x:strike/></x:font></x:fonts><x:cellXfs><x:xf/><x:xf fontId="1"/></x:cellXfs>'


def _read(*sheets: str, **options: object) -> Document:
    return read_xlsx(xlsx(*sheets, **options), FileLimits())  # type: ignore[arg-type]  # passed on as they are


def _blocks(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, document.text[block.start : block.end]) for block in document.blocks]


def test_a_workbook_with_a_price_list_minutes_hidden_sheet_and_chart() -> None:
    document = read_xlsx((DATA / "workbook.xlsx").read_bytes(), FileLimits())
    pages = [document.page_of(block.start) for block in document.blocks]
    assert [(page, *block) for page, block in zip(pages, _blocks(document), strict=True)] == [
        (1, "heading", "料金表"),
        (1, "paragraph", "みなと市スポーツ施設 利用料金表"),
        (1, "paragraph", "令和7年4月1日改定"),
        (1, "table-head", "施設\t区分\t料金（1時間）\t備考"),
        (1, "table-row", "体育館\t一般\t1,200円"),
        (1, "table-row", "\t高校生以下\t600円\t証明書が必要"),
        (1, "table-row", "テニスコート\t一般\t800円\t照明は別に300円"),
        (1, "table-row", "合計\t\t2,600円"),
        (1, "note", "※予約は利用日の１か月前から受け付けます。"),
        (1, "note", "※取り消しは３日前までに連絡してください。"),
        (1, "paragraph", "延滞金は、一日につき200円とする。"),
        (1, "paragraph", "問い合わせは"),
        (1, "paragraph", "生涯学習課まで"),
        (1, "note", "税込みの額"),
        (2, "heading", "議事録"),
        (2, "heading", "第３回 防災委員会 議事録"),
        (2, "heading", "１．日時"),
        (2, "paragraph", "令和７年６月１８日（水）午後２時から"),
        (2, "heading", "２．議題"),
        (2, "clause", "(1)\u3000避難所の開設訓練について"),
        (2, "clause", "(2)\u3000備蓄品の更新について"),
        (2, "heading", "３．議事の概要"),
        (
            2,
            "paragraph",
            "委員長から、訓練は９月７日に行うことが提案され、\n全員が賛成した。備蓄品は今年度中に水1,200本を更新\nすることとした。",
        ),
        (3, "heading", "作業"),
        (3, "table-row", "内部の計算\t2025/03/15 13:05"),
        (3, "table-row", "\t令和7年3月15日\t12.3%\tTRUE"),
        (4, "table-row", "月\t来館者"),
        (4, "table-row", "1月\t100"),
        (4, "table-row", "2月\t200"),
        (4, "table-row", "3月\t300"),
        (4, "table-row", "4月\t400"),
        (4, "paragraph", "来館者の推移"),
    ]
    assert document.warnings == ("Hidden sheets were read as well: 3.", "Text that is struck out was not read.")


def test_a_table_with_its_title_and_its_notes() -> None:
    document = _read(
        sheet(
            {
                "A1": "利用料金表", "C2": "令和7年4月1日改定", "A4": "施設", "C4": "区分", "E4": "料金",
                "A5": "体育館", "C5": "一般", "E5": "1,200円", "C6": "高校生", "E6": "600円", "A8": "※照明は別料金",
            }
        ),
        names={1: "料金"},
    )  # fmt: skip
    assert _blocks(document) == [
        ("heading", "料金"),
        ("paragraph", "利用料金表"),
        ("paragraph", "令和7年4月1日改定"),
        ("table-head", "施設\t区分\t料金"),
        ("table-row", "体育館\t一般\t1,200円"),
        ("table-row", "\t高校生\t600円"),
        ("note", "※照明は別料金"),
    ]


def test_a_document_typed_into_cells_has_the_structure_of_its_lines() -> None:
    document = _read(
        sheet(
            {
                "A1": "第３回委員会 議事録", "A3": "１．日時", "B4": "令和７年６月１８日午後２時から",
                "A6": "２．議題", "B7": "(1)", "D7": "訓練について", "B8": "(2)", "D8": "備蓄品について",
                "A9": "３．概要", "B10": "訓練は９月７日に行うことが提案され、全員が賛成した。",
            }
        ),
        names={1: "議事録"},
    )  # fmt: skip
    assert _blocks(document) == [
        ("heading", "議事録"),
        ("heading", "第３回委員会 議事録"),
        ("heading", "１．日時"),
        ("paragraph", "令和７年６月１８日午後２時から"),
        ("heading", "２．議題"),
        ("clause", "(1)\u3000訓練について"),
        ("clause", "(2)\u3000備蓄品について"),
        ("heading", "３．概要"),
        ("paragraph", "訓練は９月７日に行うことが提案され、全員が賛成した。"),
    ]
    assert document.heading_path(document.text.index("備蓄品")) == ("議事録", "第３回委員会 議事録", "２．議題")


def test_a_sentence_over_several_rows_is_one_paragraph() -> None:
    lines = [
        "委員長から、訓練は九月に行うことが提案され、",
        "全員が賛成した。備蓄品は今年度中に水を更新す",
        "ることとした。",
    ]
    document = _read(sheet({f"B{row}": line for row, line in enumerate(lines, 3)}))
    assert _blocks(document) == [("paragraph", "\n".join(lines))]


def test_a_row_of_one_cell_between_rows_of_a_table_belongs_to_the_table() -> None:
    document = _read(sheet({"A1": "品名", "B1": "数", "A2": "文具", "A3": "筆", "B3": "三本"}))
    assert document.text == "品名\t数\n文具\n筆\t三本"
    assert {block.kind for block in document.blocks} <= {"table-head", "table-row"}


def test_a_number_in_front_of_a_text_is_a_row_and_no_mark() -> None:
    document = _read(sheet({"A1": "1", "B1": "りんご", "A2": "2", "B2": "みかん"}))
    assert _blocks(document) == [("table-row", "1\tりんご"), ("table-row", "2\tみかん")]


def test_rows_and_cells_without_a_reference_follow_one_another() -> None:
    text = '<x:c t="inlineStr"><x:is><x:t>{}</x:t></x:is></x:c>'
    rows = f"<x:row>{text.format('一')}{text.format('二')}</x:row><x:row>{text.format('三')}{text.format('四')}</x:row>"
    assert _read(f"<x:sheetData>{rows}</x:sheetData>").text == "一\t二\n三\t四"


def test_sheets_are_pages_and_names_that_the_program_gave_are_no_headings() -> None:
    document = _read(sheet({"A1": "一枚目"}), sheet({}), sheet({"A1": "三枚目"}), names={3: "まとめ"})
    assert document.text == "一枚目\n\nまとめ\n\n三枚目"
    assert [document.page_of(document.text.index(text)) for text in ("一枚目", "まとめ", "三枚目")] == [1, 3, 3]
    assert document.heading_path(0) == ()


def test_hidden_sheets_rows_and_columns_are_read_and_named() -> None:
    shown = sheet({"A1": "表"})
    row = shown.replace("<x:row ", '<x:row hidden="1" ')
    column = f'<x:cols><x:col min="2" max="2" hidden="1"/></x:cols>{shown}'
    document = _read(shown, shown, row, column, shown, names={2: '作業" state="hidden', 5: '秘" state="veryHidden'})
    assert document.text == "表\n\n作業\n\n表\n\n表\n\n表\n\n秘\n\n表"
    assert [(str(warning), warning.warning_type, warning.pages) for warning in document.warnings] == [
        ("Hidden sheets were read as well: 2, 5.", "hidden_sheets", (2, 5)),
        ("Hidden rows or columns were read as well, on these sheets: 3, 4.", "hidden_cells", (3, 4)),
    ]


def test_a_sheet_that_is_missing_keeps_its_number() -> None:
    parts: dict[str, str | bytes] = {
        "xl/_rels/workbook.xml.rels": relationships({"rId2": ("worksheet", "worksheets/sheet2.xml")})
    }
    document = _read(sheet({"A1": "一"}), sheet({"A1": "二"}), more=parts)
    assert (document.text, document.page_of(0)) == ("二", 2)
    assert document.warnings == ("Sheets are missing from the file: 1.",)


def test_text_boxes_and_titles_of_charts_follow_the_cells_and_comments_come_last() -> None:
    box = "<xdr:sp><xdr:txBody><a:p><a:r>{}<a:t>{}</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
    graph = '<a:graphic><a:graphicData><c:chart r:id="rId1"/></a:graphicData></a:graphic>'
    anchors = [
        box.format("", "電話で申し込む"),
        box.format('<a:rPr strike="sngStrike"/>', "旧"),
        f"<xdr:grpSp>{box.format('', '組の中')}</xdr:grpSp>",
        f"<xdr:graphicFrame>{graph}</xdr:graphicFrame>",
    ]
    inside = "".join(f"<xdr:twoCellAnchor>{anchor}</xdr:twoCellAnchor>" for anchor in anchors)
    chosen = f"<xdr:oneCellAnchor>{box.format('', '申込書')}</xdr:oneCellAnchor>"
    inside += f"<mc:AlternateContent><mc:Choice>{chosen}</mc:Choice><mc:Fallback/></mc:AlternateContent>"
    title = "<c:title><c:tx><c:rich><a:p><a:r><a:t>来館者の推移</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    values = '<c:ser><c:val><c:pt idx="0"><c:v>100</c:v></c:pt></c:val></c:ser>'
    comment = '<x:comment ref="A1"><x:text><x:r><x:t>税込み</x:t></x:r></x:text></x:comment>'
    document = _read(
        sheet({"A1": "一日", "B1": "100人"}),
        more={
            "xl/worksheets/_rels/sheet1.xml.rels": relationships(
                {"rId1": ("drawing", "../drawings/drawing1.xml"), "rId2": ("comments", "../comments1.xml")}
            ),
            "xl/drawings/drawing1.xml": xml("xdr:wsDr", inside),
            "xl/drawings/_rels/drawing1.xml.rels": relationships({"rId1": ("chart", "../charts/chart1.xml")}),
            "xl/charts/chart1.xml": xml("c:chartSpace", f"<c:chart>{title}{values}</c:chart>"),
            "xl/comments1.xml": xml("x:comments", f"<x:commentList>{comment}</x:commentList>"),
        },
    )
    assert _blocks(document) == [
        ("table-row", "一日\t100人"),
        ("paragraph", "電話で申し込む"),
        ("paragraph", "組の中"),
        ("paragraph", "来館者の推移"),
        ("paragraph", "申込書"),
        ("note", "税込み"),
    ]
    assert document.warnings == ("Text that is struck out was not read.",)


def test_a_thread_of_comments_is_read_in_place_of_its_copy_for_older_versions() -> None:
    notice = "[スレッド コメント]\n使用している Excel のバージョンでは読むことができません。\nコメント: 単価を確認"
    copy = f'<x:comment ref="A1" authorId="0"><x:text><x:t>{notice}</x:t></x:text></x:comment>'
    plain = '<x:comment ref="B1" authorId="1"><x:text><x:t>税込み</x:t></x:text></x:comment>'
    authors = "<x:authors><x:author>tc={1A2B}</x:author><x:author>佐藤</x:author></x:authors>"
    namespace = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
    threads = (
        f'<ThreadedComments xmlns="{namespace}"><threadedComment ref="A1"><text>単価を確認</text></threadedComment>'
        "<threadedComment><text>確認しました</text></threadedComment></ThreadedComments>"
    )
    links = {"rId1": ("comments", "../comments1.xml"), "rId2": ("threadedComment", "../threadedComments/1.xml")}
    document = _read(
        sheet({"A1": "一日", "B1": "100人"}),
        more={
            "xl/worksheets/_rels/sheet1.xml.rels": relationships(links),
            "xl/comments1.xml": xml("x:comments", f"{authors}<x:commentList>{copy}{plain}</x:commentList>"),
            "xl/threadedComments/1.xml": threads,
        },
    )
    assert _blocks(document)[1:] == [("note", "税込み"), ("note", "単価を確認"), ("note", "確認しました")]


def test_struck_cells_and_formulas_without_a_result_are_said() -> None:
    struck = '<x:c r="A1" s="1" t="inlineStr"><x:is><x:t>旧料金</x:t></x:is></x:c>'
    cells = {"A1": struck, "B1": '<x:c r="B1"><x:f>A1+1</x:f></x:c>', "C1": "新料金"}
    document = _read(sheet(cells), styles=STRUCK)
    assert document.text == "新料金"
    assert [(str(warning), warning.warning_type) for warning in document.warnings] == [
        (
            "Formulas without a stored result were not read: 1. Open the workbook in Excel and save it.",
            "formulas_without_result",
        ),
        ("Text that is struck out was not read.", "struck_out_text"),
    ]


def test_a_long_string_in_many_cells_is_refused_before_its_copies_are_made() -> None:
    cells = "".join(f'<x:row r="{row}"><x:c t="s"><x:v>0</x:v></x:c></x:row>' for row in range(1, 20_001))
    bomb = xlsx(f"<x:sheetData>{cells}</x:sheetData>", strings=f"<x:si><x:t>{'長' * 500_000}</x:t></x:si>")
    with pytest.raises(FileTooLarge, match="1,500,000 characters of text; 1,000,000 are allowed"):
        read_xlsx(bomb, FileLimits(max_characters=1_000_000))


def test_a_workbook_past_a_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    long = xlsx(sheet({"A1": "長" * 60}), sheet({"A1": "長", "B1": "い" * 60}))
    for allowed in (59, 100):
        with pytest.raises(FileTooLarge, match=rf"characters of text; {allowed} are allowed"):
            read_xlsx(long, FileLimits(max_characters=allowed))
    monkeypatch.setattr(sheets, "MAX_SHEETS", 1)
    with pytest.raises(FileTooLarge, match="The workbook has 2 sheets; at most 1 are read"):
        read_xlsx(long, FileLimits())

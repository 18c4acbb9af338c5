"""Paragraphs through lines, columns and pages; furniture, footnotes and headings among them."""

from app.files.pdf.geometry import Box
from app.files.pdf.glyphs import PageContent
from tests.app.files.pdf.setting import HEIGHT, across, blocks, page, read, texts

FULL = "港町の朝は早い。漁に出る船が灯台の前を通り、やがて水平線の"  # as wide as the column
REST = "向こうに消える。"


def body(*lines: str) -> PageContent:
    """Lines below each other; white space before a line moves it to the right."""
    return page(*(across(line, 50, 100 + 18 * n) for n, line in enumerate(lines)))


def test_lines_of_a_paragraph_are_joined_without_a_space() -> None:
    assert texts(body(FULL, REST)) == [FULL + REST]


def test_a_date_that_reaches_further_right_than_the_text_does_not_take_its_lines_apart() -> None:
    date = across("令和七年四月一日", 290, 40)  # the text ends at 330, the date at 370

    assert texts(page(date, *(across(FULL, 50, 100 + 18 * n) for n in range(4)), across(REST, 50, 172))) == [
        "令和七年四月一日",
        FULL * 4 + REST,
    ]


def test_a_date_at_the_right_edge_is_not_joined_to_the_line_below() -> None:
    lines = [across("令和七年四月一日", 270, 40), across("保護者の皆様", 50, 58), across("　" + FULL[1:], 50, 76)]

    assert texts(page(*lines, across(REST, 50, 94))) == ["令和七年四月一日", "保護者の皆様", FULL[1:] + REST]


def test_dates_at_the_right_edge_are_lines_of_their_own() -> None:
    dates = [across("令和七年四月一日", 250, 40), across("令和八年十月三十日改正", 220, 58)]

    assert texts(page(*dates, across(FULL, 50, 76), across(REST, 50, 94))) == [
        "令和七年四月一日",
        "令和八年十月三十日改正",
        FULL + REST,
    ]


def test_lines_that_are_cut_before_the_widest_rows_of_the_document_are_joined() -> None:
    first, second = "第一条　" + FULL[:24], "の港" + FULL[3:24] + "。"  # the second line hangs
    rows = [f"{name}　午前八時三十分から午後五時三十分まで、土曜日は正午までとし" for name in "甲乙丙"]  # wider

    assert texts(body(*[first, "　" + second] * 3, "（時間）", *rows)) == [
        *[first + second] * 3,
        "（時間）",
        *rows,
    ]


def test_the_lines_around_a_letter_are_notes() -> None:
    lines = [across("令和七年四月一日", 270, 40), across("保護者の皆様", 50, 58), across("　" + FULL[1:], 50, 76)]
    letter = page(*lines, across(REST, 50, 94), across("記", 190, 130), across("以上", 310, 160))

    assert [kind for kind, _ in blocks(letter)] == ["note", "note", "paragraph", "note", "note"]


def test_two_latin_sides_are_joined_with_a_space() -> None:
    first = "この船の名前は漁協の台帳には出ていないが、the harbour"

    assert texts(body(FULL, first, "office の記録にある。")) == [FULL + first + " office の記録にある。"]


def test_a_short_line_ends_its_paragraph() -> None:
    assert texts(body(FULL, REST, FULL, REST)) == [FULL + REST, FULL + REST]


def test_an_indented_line_begins_a_paragraph_even_after_a_full_one() -> None:
    assert texts(body("　" + FULL[1:], FULL, "　" + FULL[1:], REST)) == [FULL[1:] + FULL, FULL[1:] + REST]


def test_a_larger_distance_begins_a_paragraph() -> None:
    lines = [across(FULL, 50, top) for top in (100, 118, 136, 162, 180)]

    assert texts(page(*lines)) == [FULL * 3, FULL * 2]


def test_a_clause_begins_a_paragraph_after_a_full_line_that_ends_a_sentence() -> None:
    first = "第１条　甲は乙に対し、次の各号に定める物件を引き渡すものとする。"[:29]
    full = first[:-1] + "。"

    assert texts(body(full, "第２条　乙は代金を払う。")) == [full, "第２条　乙は代金を払う。"]


def test_lines_that_hang_under_a_clause_belong_to_it() -> None:
    assert texts(body("（１）" + FULL[3:], "　　" + FULL[2:], "　　" + REST)) == ["（１）" + FULL[3:] + FULL[2:] + REST]


def test_a_paragraph_goes_on_on_the_next_page_and_its_furniture_does_not_cut_it() -> None:
    pages = [
        page(across("市史　第一巻", 150, 20, size=8), *lines, across(f"- {number} -", 190, 570, size=8))
        for number, lines in enumerate(
            [
                [across(FULL, 50, 100 + 18 * n) for n in range(3)],
                [across(FULL, 50, 100), across(REST, 50, 118), across("次の段落。", 50, 150)],
                [across("終わり。", 50, 100)],
            ],
            1,
        )
    ]

    document = read(*pages)
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("furniture", "市史　第一巻"),
        ("furniture", "- 1 -"),
        ("paragraph", FULL * 4 + REST),
        ("furniture", "市史　第一巻"),
        ("furniture", "- 2 -"),
        ("paragraph", "次の段落。"),
        ("furniture", "市史　第一巻"),
        ("furniture", "- 3 -"),
        ("paragraph", "終わり。"),
    ]
    joint = document.text.index(FULL) + 3 * len(FULL)
    assert [document.page_of(joint - 1), document.page_of(joint)] == [1, 2]
    assert [box.page for box in document.boxes_of(joint - 1, joint + 1)] == [1, 2]


def test_a_sentence_that_ends_a_page_ends_its_paragraph() -> None:
    full = FULL[:-1] + "。"

    assert texts(body(full, full), body(FULL, REST)) == [full * 2, FULL + REST]


def test_a_paragraph_over_three_pages_is_cut_rather_than_its_furniture_moved() -> None:
    pages = [body(*[FULL] * 20) for _ in range(3)]

    assert "".join(texts(*pages)) == FULL * 60
    assert [span[0] for span in page_spans(*pages)] == [1, 2, 3]


def page_spans(*pages: PageContent) -> list[tuple[int, str]]:
    document = read(*pages)
    return [(number.number, document.text[number.start : number.end]) for number in document.pages]


def test_the_first_line_of_a_page_that_comes_again_but_is_near_the_text_is_text() -> None:
    pages = [page(*(across(FULL, 50, 30 + 18 * n) for n in range(4)), across(REST, 50, 102)) for _ in range(2)]

    assert texts(*pages) == [FULL * 4 + REST] * 2


def test_a_page_number_of_a_single_page_is_furniture() -> None:
    assert blocks(page(across(FULL, 50, 100), across(REST, 50, 118), across("― 3 ―", 190, HEIGHT - 30))) == [
        ("furniture", "― 3 ―"),
        ("paragraph", FULL + REST),
    ]


def test_a_number_that_ends_the_text_is_no_page_number() -> None:
    assert blocks(body(FULL, REST, "2024"))[-1] == ("paragraph", "2024")


def test_footnotes_come_before_the_paragraph_that_goes_on_after_their_page() -> None:
    note = across("１ これは注である。", 50, 500, size=8)
    first = page(across("最初の段落。", 50, 60), *(across(FULL, 50, 100 + 18 * n) for n in range(3)), note)

    assert blocks(first, body(FULL, REST)) == [
        ("paragraph", "最初の段落。"),
        ("note", "１ これは注である。"),
        ("paragraph", FULL * 4 + REST),
    ]


def test_headings_get_levels_by_size_and_then_by_their_numbers() -> None:
    lines = [
        across("海図の話", 50, 40, size=18),
        across("第１章　測量", 50, 80, size=13),
        across("第１節　船", 50, 110, size=13),
        across("１　道具", 50, 140, size=11.5),
        *(across(FULL, 50, 170 + 18 * n) for n in range(3)),
        across("第２章　製図", 50, 250, size=13),
        across(FULL, 50, 280),
    ]

    document = read(page(*lines))
    assert [(block.level, document.text[block.start : block.end]) for block in document.blocks if block.level] == [
        (1, "海図の話"),
        (2, "第１章　測量"),
        (3, "第１節　船"),
        (4, "１　道具"),
        (2, "第２章　製図"),
    ]


def test_a_chapter_heading_as_small_as_text_is_a_heading_and_a_large_sentence_is_none() -> None:
    large = across("この本は、港で働く人のために書かれた。", 50, 40, size=14)

    assert blocks(page(large, across("第１章　総則", 50, 80), across(FULL, 50, 110), across(REST, 50, 128))) == [
        ("paragraph", "この本は、港で働く人のために書かれた。"),
        ("heading", "第１章　総則"),
        ("paragraph", FULL + REST),
    ]


def test_bold_lines_are_headings_unless_all_is_bold() -> None:
    def lines(bold: bool) -> PageContent:
        return page(across("道具の手入れ", 50, 60, bold=True), across(FULL, 50, 90, bold=bold))

    assert blocks(lines(bold=False))[0] == ("heading", "道具の手入れ")
    assert blocks(lines(bold=True))[0] == ("paragraph", "道具の手入れ")


def test_a_heading_over_two_centred_lines_is_one() -> None:
    lines = [across("港町における水質の変化と", 110, 40, size=15), across("住民の暮らし", 155, 60, size=15)]

    assert blocks(page(*lines, across(FULL, 50, 100), across(REST, 50, 118)))[0] == (
        "heading",
        "港町における水質の変化と住民の暮らし",
    )


def test_lines_of_a_table_of_contents_stay_apart() -> None:
    lines = [f"第{n}章　測量の話{'…' * 20}{n}" for n in "123"]

    assert blocks(body(*lines)) == [("list-item", line) for line in lines]


def test_a_short_line_where_all_lines_begin_is_text_though_it_stands_on_two_pages() -> None:
    pages = [
        page(across("質問", 50, 200), across(f"図書室は{n}曜日も開いていますか。", 50, 218), across("回答", 50, 260))
        for n in "月火"
    ]
    assert "furniture" not in [kind for kind, _ in blocks(*pages)]


def test_numbers_and_brackets_make_headings_where_the_type_makes_none() -> None:
    first, second = "１　鍵について", "（駐車場）"

    assert blocks(body(first, FULL, REST, second, "第１条　一台まで止めることができる。")) == [
        ("heading", first),
        ("paragraph", FULL + REST),
        ("heading", second),
        ("clause", "第１条　一台まで止めることができる。"),
    ]


def test_the_title_over_a_page_of_tables_is_a_heading() -> None:
    rules = [Box(left, 80, left, 200) for left in (50, 100, 300)] + [Box(50, top, 300, top) for top in (80, 200)]
    rows = [across("議事", 55, 90), *(across(FULL[:18], 105, 85 + 12 * n) for n in range(8))]

    assert blocks(page(across("委員会の記録", 50, 40, size=14), *rows, rules=rules))[0] == ("heading", "委員会の記録")

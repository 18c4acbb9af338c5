"""Documents: places of characters, and structures that a Document refuses."""

import numpy as np
import pytest

from app.files.document import Block, Document, DocumentBuilder, Page, PageBox
from app.files.warnings import FileWarning


def contract() -> Document:
    builder = DocumentBuilder()
    builder.start_page(595, 842)
    builder.add("heading", "売買契約書", level=1)
    builder.add("heading", "第１章　総則", level=2)
    builder.add("paragraph", "　甲は乙に𠮷野家を売る。\n")
    builder.start_page(595, 842)  # an empty page
    builder.start_page(595, 842)
    builder.add("heading", "第２章　雑則", level=2)
    builder.add_row(["品名", "数\n量", ""])
    builder.add_row(["机", "１\t台", "可"])
    builder.add("list-item", "一　納期")
    builder.add("list-item", "二　場所")
    return builder.build(warnings=[FileWarning("pages_without_text", "Page 2 holds no text.", [2])])


def test_blocks_are_separated_by_an_empty_line_rows_and_items_by_a_line_end_cells_by_a_tab() -> None:
    assert contract().text == (
        "売買契約書\n\n第１章　総則\n\n甲は乙に𠮷野家を売る。\n\n第２章　雑則\n\n"
        "品名\t数 量\t\n机\t１ 台\t可\n\n一　納期\n二　場所"
    )


def test_an_empty_line_ends_a_paragraph_and_a_single_line_end_does_not() -> None:
    builder = DocumentBuilder()
    span = builder.add("paragraph", "お知らせ\n \n断水します。\n時間は\n\n\n別に\n")
    builder.add("heading", "第一\n\n回", level=1)
    document = builder.build()

    assert span == (0, 22)
    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("paragraph", "お知らせ"),
        ("paragraph", "断水します。\n時間は"),
        ("paragraph", "別に"),
        ("heading", "第一\n\n回"),
    ]


def test_line_ends_stay_in_a_cell_that_is_a_text() -> None:
    builder = DocumentBuilder()
    builder.add_row(["議\n事", "１．確認\n" + "承認された。" * 20 + "\t次"])

    assert builder.text == "議 事\t１．確認\n" + "承認された。" * 20 + " 次"


def test_two_tables_in_a_row_stand_apart_when_the_list_was_ended() -> None:
    builder = DocumentBuilder()
    builder.add_row(["甲"])
    builder.end_list()
    builder.add_row(["乙"])

    assert builder.text == "甲\n\n乙"


def test_every_block_and_every_cell_is_the_span_of_its_text() -> None:
    document = contract()

    assert [(block.kind, document.text[block.start : block.end]) for block in document.blocks] == [
        ("heading", "売買契約書"),
        ("heading", "第１章　総則"),
        ("paragraph", "甲は乙に𠮷野家を売る。"),
        ("heading", "第２章　雑則"),
        ("table-row", "品名\t数 量\t"),
        ("table-row", "机\t１ 台\t可"),
        ("list-item", "一　納期"),
        ("list-item", "二　場所"),
    ]
    assert [[document.text[start:end] for start, end in block.cells] for block in document.blocks[4:6]] == [
        ["品名", "数 量", ""],
        ["机", "１ 台", "可"],
    ]


def test_a_page_spans_its_blocks_and_an_empty_page_spans_nothing() -> None:
    document = contract()

    assert [document.text[page.start : page.end] for page in document.pages] == [
        "売買契約書\n\n第１章　総則\n\n甲は乙に𠮷野家を売る。",
        "",
        document.text[document.text.index("第２章") :],
    ]


@pytest.mark.parametrize(("inside", "page"), [("売買", 1), ("𠮷", 1), ("\n\n第２章", 1), ("第２章", 3), ("場所", 3)])
def test_page_of_is_the_page_of_the_character_and_white_space_counts_to_the_page_before(inside: str, page: int) -> None:
    document = contract()

    assert document.page_of(document.text.index(inside)) == page


def test_page_of_is_none_without_pages_and_skips_empty_pages_at_the_end() -> None:
    text = "本文"
    blocks = (Block("paragraph", 0, 2),)

    assert Document(text, blocks).page_of(0) is None
    assert Document(text, blocks, (Page(1, 0, 2), Page(2, 2, 2))).page_of(2) == 1
    assert Document(text, blocks, (Page(1, 0, 0), Page(2, 0, 2))).page_of(0) == 2


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        ("売買", ("売買契約書",)),
        ("総則", ("売買契約書", "第１章　総則")),
        ("野家", ("売買契約書", "第１章　総則")),
        ("場所", ("売買契約書", "第２章　雑則")),
    ],
)
def test_heading_path_names_the_headings_above_the_highest_first(inside: str, path: tuple[str, ...]) -> None:
    document = contract()

    assert document.heading_path(document.text.index(inside)) == path


def test_the_first_row_of_a_table_is_its_head_where_its_words_name_the_columns() -> None:
    builder = DocumentBuilder()
    for rows in (("品名", "単価"), ("皿", "300"), ("碗", "400")), (("甲", "1"), ("乙", "2"), ("丙", "3")):
        builder.end_list()
        for row in rows:
            builder.add_row(row)

    kinds = [block.kind for block in builder.build().blocks]
    assert kinds == ["table-head", "table-row", "table-row", "table-row", "table-row", "table-row"]


def test_heading_path_has_no_ruby_and_no_markup() -> None:
    text = "老人《ろうじん》の朝［＃「老人の朝」は中見出し］"
    heading = Block("heading", 0, len(text), 1, omitted=((2, 8), (10, len(text))))
    assert Document(text, (heading,)).heading_path(0) == ("老人の朝",)


def test_heading_path_before_the_first_heading_is_empty() -> None:
    builder = DocumentBuilder()
    builder.add("paragraph", "前文")
    builder.add("heading", "見出し", level=3)

    assert builder.build().heading_path(0) == ()
    assert builder.build().heading_path(4) == ("見出し",)


def lined_document() -> Document:
    """Two lines of three characters on page 1 and one on page 2; the white space between has no box."""
    nan = [float("nan")] * 4
    boxes = [[10.0 * i, 0, 10 * i + 10, 10] for i in range(3)] + [[10.0 * i, 20, 10 * i + 10, 30] for i in range(3)]
    boxes += [nan, nan, *([10.0 * i, 5, 10 * i + 10, 15] for i in range(3))]
    return Document(
        "あいうかきく\n\nさしす",
        (Block("paragraph", 0, 6), Block("paragraph", 8, 11)),
        (Page(1, 0, 6, 100, 100), Page(2, 8, 11, 100, 100)),
        np.array(boxes, dtype=np.float32),
        line_starts=(0, 3, 8),
    )


@pytest.mark.parametrize(
    ("span", "boxes"),
    [
        ((1, 2), [PageBox(1, 10, 0, 20, 10)]),
        ((2, 5), [PageBox(1, 20, 0, 30, 10), PageBox(1, 0, 20, 20, 30)]),
        ((5, 9), [PageBox(1, 20, 20, 30, 30), PageBox(2, 0, 5, 10, 15)]),
        ((6, 8), []),
        ((4, 4), []),
    ],
)
def test_boxes_of_merges_the_boxes_of_each_visual_line(span: tuple[int, int], boxes: list[PageBox]) -> None:
    assert lined_document().boxes_of(*span) == boxes


def test_boxes_of_a_document_without_boxes_are_none() -> None:
    assert contract().boxes_of(0, 5) == []


def test_a_block_of_white_space_is_not_added() -> None:
    builder = DocumentBuilder()

    assert builder.add("paragraph", " 　\n") is None
    assert builder.add_row(["", "　"]) is None
    assert builder.build().text == ""


@pytest.mark.parametrize(
    ("text", "blocks", "message"),
    [
        ("本文", (), r"The character at 0 \(U\+672C\) is visible and lies in no block"),
        ("本文が", (Block("paragraph", 0, 2),), "character at 2"),
        ("本文", (Block("paragraph", 0, 3),), "past the end of the text at 2"),
        ("本文", (Block("paragraph", 0, 2), Block("paragraph", 1, 2)), "begins before 2"),
        ("本文", (Block("heading", 0, 2),), "headings have a level from 1 on"),
        ("本文", (Block("paragraph", 0, 2, level=1),), "all other blocks have level 0"),
        ("本文", (Block("paragraph", 0, 2, cells=((0, 2),)),), "is no row of a table"),
        ("本文", (Block("table-row", 0, 2, cells=((1, 2), (0, 1))),), "out of order or outside its row"),
    ],
)
def test_a_document_with_wrong_blocks_is_refused(text: str, blocks: tuple[Block, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Document(text, blocks)


def test_invisible_characters_between_blocks_are_allowed() -> None:
    text = "\ufeff本\u200b\r\n文\0"

    assert Document(text, (Block("paragraph", 1, 2), Block("paragraph", 5, 6))).text == text


def test_pages_out_of_order_and_boxes_of_another_text_are_refused() -> None:
    blocks = (Block("paragraph", 0, 2),)

    with pytest.raises(ValueError, match="begins before 2"):
        Document("本文", blocks, (Page(1, 0, 2), Page(2, 1, 2)))
    with pytest.raises(ValueError, match=r"shape \(1, 4\), the text has 2 characters"):
        Document("本文", blocks, boxes=np.zeros((1, 4), dtype=np.float32))

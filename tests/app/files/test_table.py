"""CSV and TSV as people save them."""

import pytest

from app.errors import BrokenFile, FileTooLarge
from app.files import table
from app.files.limits import FileLimits
from app.files.table import read_table


def _rows(text: str) -> list[list[str]]:
    document = read_table(text, FileLimits())
    assert {block.kind for block in document.blocks} <= {"table-head", "table-row"}
    return [[document.text[start:end] for start, end in block.cells] for block in document.blocks]


@pytest.mark.parametrize(
    "text",
    [
        "品名,単価\r\nりんご,120\r\n",
        "品名\t単価\nりんご\t120\n",
        "品名;単価\nりんご;120",
        '"品名","単価"\n"りんご","120"\n',
    ],
    ids=["commas and CRLF", "tabs", "semicolons", "quotation marks"],
)
def test_the_delimiter_is_found(text: str) -> None:
    assert _rows(text) == [["品名", "単価"], ["りんご", "120"]]


def test_tabs_win_over_commas_in_the_fields() -> None:
    assert _rows("品名\t単価\nりんご,青\t1,200\nみかん\t80\n") == [
        ["品名", "単価"],
        ["りんご,青", "1,200"],
        ["みかん", "80"],
    ]


def test_line_ends_and_tabs_in_a_field_are_spaces_and_doubled_marks_are_one() -> None:
    assert _rows('住所,"北浜市\r\n港町１"\n"彼は""はい""と\t言った",𠮷') == [
        ["住所", "北浜市 港町１"],
        ['彼は"はい"と 言った', "𠮷"],
    ]


def test_empty_fields_stay_and_empty_rows_go() -> None:
    assert _rows("a,,c\n,,\n\n,b,\n") == [["a", "", "c"], ["", "b", ""]]


def test_a_table_without_delimiters_has_rows_of_one_cell() -> None:
    assert _rows("一\n二\n") == [["一"], ["二"]]


def test_nothing_is_an_empty_document() -> None:
    assert _rows("") == []


def test_a_field_that_never_ends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MAX_FIELD_CHARACTERS", 100)
    with pytest.raises(BrokenFile, match=r"damaged after 1 rows, perhaps by a lost quotation mark: field larger"):
        read_table('a,b\n"' + "x" * 200, FileLimits())


def test_a_table_is_read_no_further_than_its_text_may_be_long() -> None:
    with pytest.raises(FileTooLarge, match="more than 1,000 characters of text, which is the limit"):
        read_table("長い,表\n" * 1000, FileLimits(max_characters=1000))

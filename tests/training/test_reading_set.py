"""Reading sets: the contents of a file, and every error in one, named with its file and line."""

from pathlib import Path

import pytest

from tests.hostile import HOSTILE_TEXTS
from tests.training.conftest import reading_file
from training.data import DataError, QuestionExample
from training.reading_set import (
    MarkedText,
    ReadingDocument,
    grouped_by_style,
    marked_texts,
    read_reading_set,
    reading_questions,
)

TEXT = (
    "賃貸借契約書\n\n第1条 賃料は月額八万円とする。\n敷金は賃料の二か月分、𠮷田銀行に\n預ける。礼金は二か月分とする。\n"
)


def test_questions_alternatives_unanswered_ones_and_marks(tmp_path: Path) -> None:
    notes = [
        *(
            "Q: 賃料はいくらですか",
            "A: 八万円",
            "A: 月額八万円",
            "",
            "Q: 敷金はいくらですか",
            "A: 二か月分 @ 賃料の二か月分",
        ),
        *(
            "Q: どこに預けますか",
            r"A: 𠮷田銀行に\n預ける @ 二か月分、𠮷田銀行に\n預ける",
            "Q: 保証人は誰ですか",
            "A: -",
        ),
        *("S: 賃料は月額", r"S: 𠮷田銀行に\n預ける"),
    ]
    reading_file(tmp_path / "contracts" / "7.txt", TEXT, notes)
    name, place = "contracts/7", TEXT.index
    asked = [
        ("賃料はいくらですか", (("八万円", place("八万円")), ("月額八万円", place("月額")))),
        ("敷金はいくらですか", (("二か月分", place("二か月分")),)),
        ("どこに預けますか", (("𠮷田銀行に\n預ける", place("𠮷田")),)),
        ("保証人は誰ですか", ()),
    ]
    questions = tuple(QuestionExample(f"{name}#{n}", q, TEXT, a, name) for n, (q, a) in enumerate(asked))
    passages = tuple(
        (place(passage), place(passage) + len(passage)) for passage in ("賃料は月額", "𠮷田銀行に\n預ける")
    )
    assert read_reading_set(tmp_path) == [ReadingDocument(name, TEXT, questions, passages)]
    assert reading_questions(tmp_path / "contracts" / "7.txt")[0].id == "7#0"
    assert reading_questions(tmp_path) == list(questions)
    assert marked_texts(tmp_path) == [MarkedText(name, TEXT, (place("賃料は月額"), place("𠮷田")))]


def test_the_style_of_a_document_is_read(tmp_path: Path) -> None:
    file = tmp_path / "1.txt"
    file.write_text("kind: 契約\nstyle: hard-wrapped, tables\n=====\n賃料は八万円\n=====\nS: 賃料\n", encoding="utf-8")
    assert read_reading_set(tmp_path)[0].style == "hard-wrapped, tables"


@pytest.mark.parametrize(
    ("style", "styles"),
    [
        ("hard-wrapped at 38, Markdown table", ("wrapped lines", "tables", "Markdown")),
        ("第1条, running head", ("pages", "clauses")),
        ("a mail that quotes a list", ("mail and chat", "lists")),
        ("a notable park", ("other",)),
        ("", ("other",)),
    ],
)
def test_the_words_of_a_style_line_name_styles(style: str, styles: tuple[str, ...]) -> None:
    assert ReadingDocument("1", TEXT, (), (), style).styles == styles


def test_a_document_is_in_the_group_of_each_of_its_styles_and_the_others_come_last() -> None:
    plain, both = (ReadingDocument(id, TEXT, (), (), style) for id, style in (("1", ""), ("2", "wrapped, Markdown")))
    assert list(grouped_by_style([plain, both]).items()) == [
        ("wrapped lines", [both]),
        ("Markdown", [both]),
        ("other", [plain]),
    ]


def test_a_document_without_marks_is_no_summary(tmp_path: Path) -> None:
    reading_file(tmp_path / "1.txt", TEXT, ["Q: 賃料は", "A: 八万円"])
    assert marked_texts(tmp_path) == []
    assert [document.id for document in read_reading_set(tmp_path)] == ["1"]


def test_a_line_end_of_another_system_is_one(tmp_path: Path) -> None:
    file = reading_file(tmp_path / "1.txt", TEXT, ["Q: 賃料は", "A: 八万円"])
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read_reading_set(file)[0].text == TEXT


@pytest.mark.parametrize("text", [text for text in HOSTILE_TEXTS.values() if "\r" not in text])
def test_a_hostile_text_is_kept_as_it_is(text: str, tmp_path: Path) -> None:
    reading_file(tmp_path / "1.txt", f"{text}寧楽宮", ["Q: 宮は", "A: 寧楽宮"])
    (document,) = read_reading_set(tmp_path)
    assert document.text == f"{text}寧楽宮"
    assert document.questions[0].answers == (("寧楽宮", len(text)),)


@pytest.mark.parametrize(
    ("notes", "line", "fault"),
    [
        # The text begins in line 3 and ends in line 8, which is empty; ===== is line 9.
        (["Q: 何か", "A: 九万円"], 11, "'九万円' occurs 0 times in the text; it must occur exactly once."),
        (["Q: 何か", "A: 二か月分"], 11, "'二か月分' occurs 2 times in the text"),
        (["Q: 何か", "A: 二か月分 @ 敷金"], 11, "'二か月分' occurs 0 times in the text"),
        (["Q: 何か", "A: 賃料 @ どこにもない"], 11, "'どこにもない' occurs 0 times in the text"),
        (["", "S: 賃料"], 11, "'賃料' occurs 2 times in the text"),
        (["A: 八万円"], 10, "a line must begin with Q:, A: or S: and must not be empty after that."),
        (["Q: "], 10, "a line must begin with"),
        (["Q: 何か", "A:"], 11, "a line must begin with"),
        (["問: 何か"], 10, "a line must begin with"),
        (["Q: 何か\u2028A: 八万円"], 10, "the question has no A line"),
        (
            ["Q: 何か", "Q: 何だ", "A: -"],
            10,
            'the question has no A line; "A: -" means that the text does not answer it',
        ),
        (["Q: 何か", "A: 八万円", "A: -"], 10, 'the question has answers and "-", which means that it has none.'),
    ],
)
def test_a_fault_is_named_with_its_file_and_line(notes: list[str], line: int, fault: str, tmp_path: Path) -> None:
    file = reading_file(tmp_path / "1.txt", TEXT, notes)
    with pytest.raises(DataError) as caught:
        read_reading_set(tmp_path)
    assert str(caught.value).startswith(f"{file}, line {line}: {fault}")


def test_files_that_are_no_documents(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_reading_set(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"has no file that matches \*\.txt"):
        read_reading_set(tmp_path)
    file = tmp_path / "1.txt"
    file.write_text("kind: a\n=====\n本文\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"1\.txt has 1 lines of =====; a document has two"):
        read_reading_set(tmp_path)
    file.write_bytes("kind: 契約\n=====\n本文\n=====\n".encode("cp932"))
    with pytest.raises(DataError, match=r"1\.txt cannot be read"):
        read_reading_set(tmp_path)

"""`nagayomi qa`, `summarize` and `classify` on handmade models: inputs, output and refused arguments."""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from app.cli import main
from tests.app.files.packages import docx, paragraph

TEXT = "前の文。ここに《答え》があります。後の文。"
WORKBOOK = Path(__file__).parent / "files" / "data" / "workbook.ods"
PDF = Path(__file__).parent / "files" / "data" / "libreoffice-horizontal.pdf"


@pytest.fixture(autouse=True)
def _settings_of_the_test(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document.txt"
    path.write_bytes(TEXT.encode())
    return path


def _type_in(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_qa_marks_the_answer_in_its_sentence(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", "何?", str(document)]) == 0
    out, err = capsys.readouterr()
    assert out == f"1.000  ここに【《答え》】があります。  {document} [7:11]\n"
    assert re.fullmatch(r"hand-qa: \d+ tokens in 1 window, \d+\.\d\d s\n", err)


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_qa_reads_standard_input_in_any_encoding(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _type_in(monkeypatch, TEXT.encode("cp932"))
    assert main(["qa", "何?", *arguments]) == 0
    assert capsys.readouterr().out == "1.000  ここに【《答え》】があります。  [7:11]\n"


def test_one_question_over_a_folder_a_pattern_and_a_file_gives_the_best_answers_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("文書/奥", "他"):
        Path(folder).mkdir(parents=True)
    Path("文書/奥/a.docx").write_bytes(docx(paragraph("前。《甲》です。")))
    Path("文書/.隠し.txt").write_text("《見ない》", encoding="utf-8")
    Path("文書/写真.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    Path("他/b1.txt").write_text("次。《乙》です。", encoding="utf-8")
    Path("c").write_text("《丙》", encoding="utf-8")

    assert main(["qa", "何?", "文書", "他/*1.txt", "c", "c", "--top-k", "3"]) == 0
    assert [line.split("  ")[1:] for line in capsys.readouterr().out.splitlines()] == [
        ["【《甲》】です。", "文書/奥/a.docx [2:5]"],
        ["【《乙》】です。", "他/b1.txt [2:5]"],
        ["【《丙》】", "c [0:3]"],
    ]


def test_an_answer_in_a_workbook_names_its_sheet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", "何円ですか", str(WORKBOOK)]) == 0
    assert re.search(rf"  {re.escape(str(WORKBOOK))}, sheet [1234] \[\d+:\d+\]\n$", capsys.readouterr().out)


def test_an_answer_in_a_pdf_names_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", "何?", str(PDF)]) == 0
    assert re.search(rf"  {re.escape(str(PDF))}, page [123] \[\d+:\d+\]\n$", capsys.readouterr().out)


def test_a_file_that_cannot_be_read_keeps_no_other_from_being_read(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, empty = tmp_path / "bad.pdf", tmp_path / "empty.txt"
    bad.write_bytes(PDF.read_bytes()[:900])
    empty.write_bytes(b" \n")

    assert main(["qa", "何?", str(bad), "missing.txt", str(empty), str(document)]) == 2
    out, err = capsys.readouterr()
    assert "【《答え》】" in out
    lines = err.splitlines()
    assert lines[0].startswith(f"nagayomi: {bad}: ")
    assert lines[1:3] == [
        "nagayomi: missing.txt: it cannot be opened: No such file or directory.",
        f"nagayomi: {empty}: The file holds no text.",
    ]


def test_json_is_the_answer_of_the_http_interface_over_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "一行目。\r\n𠮷野家で《答え》だ。\r\n"
    file = tmp_path / "crlf.txt"
    file.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert main(["qa", "何?", str(file), "--json", "--top-k", "2"]) == 0
    out, err = capsys.readouterr()
    body = json.loads(out)
    assert err == ""
    assert body["documents"] == [{"document": str(file), "kind": "text", "characters": len(text), "warnings": []}]
    best = body["results"][0]["answers"][0]
    assert text[best["start"] : best["end"]] == best["text"] == "《答え》"


def test_qa_says_when_there_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plain.txt"
    file.write_text("何も書いていない。", encoding="utf-8")
    assert main(["qa", "何?", str(file), "--null-score-diff-threshold", "-1"]) == 0
    assert capsys.readouterr().out.startswith("No answer in the text (")


def test_no_text_and_no_name_controls_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "es\x1b[31mcapes.txt"
    file.write_text("前\x1b[31m《答\x1b[2Jえ》\u202e後。", encoding="utf-8")
    assert main(["qa", "何?", str(file)]) == 0
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", capsys.readouterr().out)


def test_a_long_sentence_is_cut_around_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "long.txt"
    file.write_text("あ" * 3000 + "《答え》" + "い" * 3000, encoding="utf-8")
    assert main(["qa", "何?", str(file)]) == 0
    assert f"  …{'あ' * 100}【《答え》】{'い' * 100}…  {file} [3000:3004]" in capsys.readouterr().out


def test_no_mark_and_no_cut_of_an_excerpt_goes_through_a_character(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family = "👨\u200d👩\u200d👧"
    file = tmp_path / "characters.txt"
    file.write_text(f"{family * 30}葛\U000e0100《答え》\ufe0f{family * 30}。", encoding="utf-8")
    assert main(["qa", "何?", str(file)]) == 0
    shown = f"…{family * 19}葛\U000e0100【《答え》\ufe0f】{family * 20}…"
    assert f"  {shown}  {file} [152:157]" in capsys.readouterr().out


def test_a_summary_is_one_sentence_on_a_line_below_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = tmp_path / "document.txt", tmp_path / "other.txt"
    file.write_text("軽い話。\n中くらいの話。\n重い話。\n", encoding="utf-8")
    other.write_text("重ねて言う。", encoding="utf-8")
    assert main(["summarize", str(file), "--max-sentences", "2"]) == 0
    assert capsys.readouterr().out == "中くらいの話。\n重い話。\n"
    assert main(["summarize", str(file), str(other), "--max-sentences", "1"]) == 0
    assert capsys.readouterr().out == f"==> {file} <==\n重い話。\n\n==> {other} <==\n重ねて言う。\n"


def test_labels_stand_below_their_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, other = tmp_path / "document.txt", tmp_path / "other.txt"
    file.write_text("下を向く。", encoding="utf-8")
    other.write_text("上を向く。", encoding="utf-8")
    assert main(["classify", str(file)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["0.982", "█" * 20, "down"],
        ["0.018", "up"],
    ]
    assert main(["classify", str(file), str(other), "--top-k", "1"]) == 0
    lines = [line.split()[-1] for line in capsys.readouterr().out.splitlines() if line]
    assert lines == ["<==", "down", "<==", "up"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty: it has no bytes."),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00", "The file is a PNG picture"),
    ],
)
def test_nothing_that_can_be_read_is_exit_code_2(
    data: bytes, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.txt"
    file.write_bytes(data)
    assert main(["qa", "何?", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"nagayomi: {file}: {sentence}" in err


def test_files_without_any_text_are_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "blank.txt"
    file.write_text(" \n\u3000\n", encoding="utf-8")
    assert main(["qa", "何?", str(file)]) == 2
    assert "There is no text to read." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["qa", "何?", "missing.txt"], "missing.txt: it cannot be opened: No such file or directory."),
        (["qa", "何?", "{folder}"], "holds no file with one of the endings .csv, .docx,"),
        (["qa", "何?", "{folder}/*.pdf"], "No file matches "),
        (["qa", " ", "{file}"], "QUESTION must hold at least one character"),
        (["qa", "何?", "{file}", "--top-k", "0"], "--top-k must be greater than or equal to 1."),
        (["summarize", "{file}", "--ratio", "2"], "--ratio must be less than or equal to 1."),
        (["summarize", "{file}", "--ratio", "nan"], "--ratio must be"),
        (["qa", "何?", "{file}", "--model", "nobody"], "No model named 'nobody' serves qa. Models for qa: hand-qa."),
        (["qa", "何?", "{file}", "--model", "hand-classify"], "Models for qa: hand-qa."),
        (["qa", "何" * 300, "{file}"], "question"),
    ],
)
def test_wrong_arguments_are_exit_code_2(
    arguments: list[str], sentence: str, document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").touch()
    assert main([argument.format(file=document, folder=folder) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_a_command_reads_more_than_one_request_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Limits protect clients that share a server; a command has only one client."""
    monkeypatch.setenv("NAGAYOMI_MAX_TEXT_CHARACTERS", "100")
    monkeypatch.setenv("NAGAYOMI_MAX_CLIENT_BATCH_SIZE", "1")
    files = [tmp_path / f"{number}.txt" for number in range(3)]
    for file in files:
        file.write_text("あ" * 200 + "《答え》", encoding="utf-8")
    assert main(["qa", "何?", *map(str, files)]) == 0
    assert "【《答え》】" in capsys.readouterr().out


def test_a_name_that_no_file_can_have_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["qa", "何?", "a\0b"]) == 2
    assert "it cannot be opened" in capsys.readouterr().err

"""`nagayomi batch` over lines that name files in place of their text."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.bulk.output import Paths
from app.cli import main
from tests.app.files.packages import docx, paragraph


@pytest.fixture
def folder(handmade_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")
    monkeypatch.setenv("NAGAYOMI_MAX_CLIENT_BATCH_SIZE", "2")
    (tmp_path / "文書").mkdir()
    (tmp_path / "文書" / "a.docx").write_bytes(docx(paragraph("前。《甲》です。")))
    (tmp_path / "文書" / "b.txt").write_bytes("次。《乙》です。".encode("cp932"))
    (tmp_path / "文書" / "c.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path / "文書"


def answered(folder: Path, *lines: dict[str, Any]) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    """The exit code, the answers and the failures."""
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    code = main(["batch", str(source), str(output), "--task", "qa"])
    errors = Paths.next_to(output).errors
    made, failed = ([json.loads(line) for line in path.read_text("utf-8").splitlines()] for path in (output, errors))
    return code, made, failed


def test_a_line_names_files_from_its_own_folder_on(folder: Path) -> None:
    code, answers, failed = answered(
        folder,
        {"id": "one", "question": "何?", "file": "a.docx"},
        {"question": "何?", "file": ["b.txt", str(folder / "a.docx")], "top_k": 2},
        {"question": "何?", "documents": [{"id": "x", "text": "《丙》"}]},
    )
    assert (code, failed) == (0, [])
    assert [one["id"] for one in answers] == ["one", 2, 3]
    found = [[(one["text"], one["document"]) for one in line["results"][0]["answers"]] for line in answers]
    assert found == [
        [("《甲》", "a.docx")],
        [("《乙》", "b.txt"), ("《甲》", str(folder / "a.docx"))],
        [("《丙》", "x")],
    ]
    assert "timings" not in answers[0]


def test_a_line_whose_file_cannot_be_read_fails_in_a_sentence_and_no_other_does(folder: Path) -> None:
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"file": "missing.pdf"}, "invalid_input", "missing.pdf: it cannot be opened: No such file"),
        ({"file": "c.png"}, "unsupported_file", "c.png: The file is a PNG picture"),
        ({"file": "a\0b"}, "invalid_input", "it cannot be opened"),
        ({"file": "\ud800"}, "invalid_input", "`file` must be the path of a file, or a list of at least one path."),
        ({"file": []}, "invalid_input", "`file` must be the path of a file, or a list of at least one path."),
        ({"file": 3}, "invalid_input", "`file` must be the path of a file, or a list of at least one path."),
        ({"file": ["a.docx", "b.txt", "c.png"]}, "invalid_input", "The request holds 3 texts"),
        ({"file": "a.docx", "context": "文"}, "invalid_input", "Only one of `context` and `file` is allowed"),
        ({"file": "-"}, "invalid_input", "-: it cannot be opened"),
    ]
    lines = [{"question": "何?", **line} for line, _, _ in bad]
    code, answers, failed = answered(folder, *lines, {"question": "何?", "file": "b.txt"})
    assert (code, [one["id"] for one in answers]) == (1, [len(bad) + 1])
    assert [(one["line"], one["error_type"]) for one in failed] == [
        (number, error_type) for number, (_, error_type, _) in enumerate(bad, 1)
    ]
    for one, (_, _, words) in zip(failed, bad, strict=True):
        assert words in one["error"]

"""`nagayomi extract`: files of several kinds in, texts or JSON out, sentences for files that cannot be read."""

import io
import json
from pathlib import Path

import pytest

from app.cli import main
from app.files.document import Document
from app.files.formats import read_as
from app.files.limits import FileLimits
from app.files.sniff import Kind
from app.settings import Settings

DATA = Path(__file__).parent / "data"


def test_the_texts_of_files_are_printed_and_warnings_name_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, table = tmp_path / "a.txt", tmp_path / "b.csv"
    text.write_bytes("㈱青空の①の資料である。\n".encode("cp932"))
    table.write_text("品名,単価\nりんご,120\n", "utf-8")
    assert main(["extract", str(text), str(DATA / "slides.pptx"), str(table)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("㈱青空の①の資料である。\n\n\n朝市のしおり\n\n港の朝市は")
    assert out.endswith("\n\n品名\t単価\nりんご\t120\n")
    assert err == f"nagayomi: {DATA / 'slides.pptx'}: Hidden slides were read as well: 3.\n"


def test_json_has_the_blocks_and_pages_of_each_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "表.tsv"
    table.write_text("品名\t単価\n", "utf-8")
    assert main(["extract", "--json", str(table)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "document": str(table),
        "kind": "table",
        "text": "品名\t単価",
        "blocks": [{"kind": "table-row", "start": 0, "end": 5, "level": 0, "cells": [[0, 2], [3, 5]]}],
        "pages": [],
        "warnings": [],
    }


def test_a_file_that_cannot_be_read_is_said_and_the_others_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, text = tmp_path / "a.png", tmp_path / "b.txt"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    text.write_text("文章。", "utf-8")
    assert main(["extract", str(picture), str(tmp_path / "gone"), str(text)]) == 2
    out, err = capsys.readouterr()
    assert out == "\n文章。\n"
    lines = err.splitlines()
    assert lines[0].startswith(f"nagayomi: {picture}: The file is a PNG picture; text in pictures is not read.")
    assert lines[1] == f"nagayomi: {tmp_path / 'gone'}: it cannot be opened: No such file or directory."


def test_a_dash_is_standard_input_and_a_charset_can_be_stated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO("안녕하세요".encode("cp949")))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["extract", "--charset", "euc-kr", "-"]) == 0
    assert capsys.readouterr().out == "안녕하세요\n"


def test_a_folder_means_the_files_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("一つ目。", "utf-8")
    (tmp_path / "b.md").write_text("二つ目。", "utf-8")
    assert main(["extract", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "一つ目。\n\n二つ目。\n"


def test_a_command_waits_longer_for_a_file_than_the_service_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []

    async def read_kind(kind: Kind, data: bytes, charset: str | None, limits: FileLimits) -> Document:
        waited.append(limits.max_seconds)
        return read_as(kind, data, charset, limits)

    monkeypatch.setattr("app.files.command.read_kind", read_kind)
    (tmp_path / "a.txt").write_text("文章。", "utf-8")
    assert main(["extract", str(tmp_path / "a.txt")]) == 0
    assert waited == [600.0]
    assert waited[0] > Settings().file_timeout_s

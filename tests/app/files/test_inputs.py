"""Files as a command line names them."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import FileTooLarge, InvalidInput
from app.files.inputs import named_files, read_named
from app.files.limits import FileLimits

SMALL = replace(FileLimits(), max_file_bytes=10)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.PDF", "奥/b.txt", "奥/c.png", ".git/d.txt", "[x].md", "e.docx"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["."], ["[x].md", "a.PDF", "e.docx", "奥/b.txt"]),
        (["*.docx", "a.PDF"], ["e.docx", "a.PDF"]),
        (["**/*.txt"], ["奥/b.txt"]),
        (["[x].md"], ["[x].md"]),  # a file that has the name is no pattern
        (["奥/c.png", "missing", "-"], ["奥/c.png", "missing", "-"]),
        (["e.docx", ".", "e.docx"], ["e.docx", "[x].md", "a.PDF", "奥/b.txt"]),
    ],
)
def test_names_mean_files_in_order_and_each_once(folder: Path, names: list[str], expected: list[str]) -> None:
    assert named_files(names) == expected


def test_a_link_to_a_folder_is_not_followed(folder: Path) -> None:
    Path("奥/round").symlink_to(folder)
    assert named_files(["奥"]) == ["奥/b.txt"]


@pytest.mark.parametrize("name", [".git", "*.pptx", ""])
def test_what_means_no_file_gets_a_sentence(folder: Path, name: str) -> None:
    Path(".git/d.txt").unlink()
    with pytest.raises(
        InvalidInput, match=r"holds no file with one of the endings|No file matches|name of a file is empty"
    ):
        named_files([name])


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "ten").write_bytes(b"0123456789")
    assert read_named(str(tmp_path / "ten"), SMALL).data == b"0123456789"
    for endless in ("/dev/zero", str(Path(__file__))):
        with pytest.raises(FileTooLarge, match="more than 10 bytes"):
            read_named(endless, SMALL)


@pytest.mark.parametrize(("name", "reason"), [("/nowhere", "No such file"), ("a\0b", "NUL"), ("/", "Is a directory")])
def test_what_cannot_be_opened_gets_a_sentence(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=f"it cannot be opened: .*{reason}"):
        read_named(name, SMALL)

"""Commands whose streams are closed, full or no longer read: one line, the right exit code, and nothing astray."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import BrokenModel, InvalidInput
from app.streams import run_module

TEXT = "前の文。ここに《答え》があります。後の文。"


@pytest.fixture
def folder(handmade_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")
    (tmp_path / "document.txt").write_text(TEXT, encoding="utf-8")
    bodies = [{"question": "何?", "context": TEXT}] * 3
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return tmp_path


def _run(folder: Path, command: str) -> tuple[int, str, str]:
    """A command line of sh, with its redirections last: exit code, standard output and standard error."""
    line = f'exec "{sys.executable}" -m app.cli {command}'
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


_CLOSED = "nagayomi: standard output cannot be written: it is closed.\n"
_FULL = "nagayomi: standard output cannot be written: No space left on device.\n"


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("--version >&-", _CLOSED),
        ("--version >/dev/full", _FULL),
        ("qa --help >/dev/full", _FULL),
        ("keys web >/dev/full", _FULL),
        ("keys web >&-", _CLOSED),
        ("extract document.txt >&-", _CLOSED),
        ("extract document.txt --json >/dev/full", _FULL),
        ("qa 何? document.txt >&-", _CLOSED),
        ("qa 何? document.txt --json >/dev/full", _FULL),
    ],
)
def test_results_that_cannot_be_written_are_one_line_and_exit_code_1(folder: Path, command: str, error: str) -> None:
    code, out, err = _run(folder, command)
    assert (code, out) == (1, "")
    assert err.endswith(error)
    assert err.count("\n") <= 2, "what the command says anyway, and the error"
    assert "Traceback" not in err
    assert "Exception" not in err


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_results_do_not_depend_on_standard_error(folder: Path, redirection: str) -> None:
    assert _run(folder, f"extract document.txt {redirection}") == (0, f"{TEXT}\n", "")
    assert _run(folder, f"qa 何? document.txt {redirection}") == (
        0, "1.000  ここに【《答え》】があります。  document.txt [7:11]\n", ""
    )  # fmt: skip


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", "<&- 2>&-"])
def test_a_secret_that_cannot_be_shown_is_in_no_other_stream_and_makes_no_key(folder: Path, redirection: str) -> None:
    assert _run(folder, f"keys web {redirection}") == (1, "", "")


def test_a_log_goes_on_when_its_disk_has_room_again(tmp_path: Path) -> None:
    program = """
import resource, sys
from app import streams

streams.secure()
streams.log_to_output()
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (len("one\\n"), before[1]))
for stream in (sys.stdout, sys.stderr):
    print("one", file=stream, flush=True)
    print("lost", file=stream, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, before)
for stream in (sys.stdout, sys.stderr):
    print("two", file=stream, flush=True)
"""
    logs = [tmp_path / "out", tmp_path / "err"]
    with logs[0].open("wb") as out, logs[1].open("wb") as err:
        root = Path(__file__).parents[2]
        subprocess.run([sys.executable, "-c", program], cwd=root, stdout=out, stderr=err, timeout=60, check=True)
    assert [log.read_text(encoding="utf-8") for log in logs] == ["one\ntwo\n"] * 2


def test_errors_that_cannot_be_shown_are_in_no_other_stream(folder: Path) -> None:
    assert _run(folder, "extract missing.txt 2>&-") == (2, "", "")
    assert _run(folder, "qa 何? missing.txt 2>&-") == (2, "", "")
    assert _run(folder, "qa --bogus 2>&-") == (2, "", "")


@pytest.mark.parametrize("command", ["qa 何?", "qa 何? -", "summarize", "classify", "extract -"])
def test_closed_standard_input_is_one_line_and_exit_code_2(folder: Path, command: str) -> None:
    code, out, err = _run(folder, f"{command} <&-")
    assert (code, out) == (2, "")
    assert err.endswith("Standard input is closed; name a file.\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize("redirection", ["<&- >&- 2>&-", "2>&-", ">/dev/full 2>/dev/full"])
def test_files_hold_only_what_was_written_to_them(folder: Path, redirection: str) -> None:
    """A file that is opened while a stream is closed gets the stream's number, and the text written there."""
    code, _, _ = _run(folder, f"batch in.jsonl out.jsonl --task qa {redirection}")
    assert code == 0
    answers = [json.loads(line) for line in (folder / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [answer["id"] for answer in answers] == [1, 2, 3]
    assert (folder / "out.jsonl.errors.jsonl").read_bytes() == b""


def test_a_reader_that_leaves_hears_no_complaint(folder: Path) -> None:
    (folder / "long.txt").write_text("行。\n" * 100_000, encoding="utf-8")
    assert _run(folder, "extract long.txt | head -1") == (0, "行。\n", "")


def _missing() -> None:
    Path("none/such.txt").read_bytes()


def _refused() -> None:
    raise InvalidInput("The text is empty;\n  it must hold text.")


def _broken() -> int:
    raise BrokenModel("The graph is cut.")


@pytest.mark.parametrize(
    ("main", "code", "said"),
    [
        (_missing, 2, "none/such.txt: No such file or directory."),
        (_refused, 2, "The text is empty; it must hold text."),
        (_broken, 1, "The graph is cut."),
    ],
)
def test_what_is_wrong_with_a_module_is_one_line(
    main: Callable[[], int | None], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run_module(main)
    err = capsys.readouterr().err
    assert ended.value.code == code
    assert err.endswith(f": {said}\n")
    assert err.count("\n") == 1


def test_every_module_that_is_run_reports_errors_in_one_line() -> None:
    root = Path(__file__).parents[2]
    modules = [file for package in ("bench", "export", "training") for file in (root / package).rglob("*.py")]
    run = [text for text in (file.read_text("utf-8") for file in modules) if '__name__ == "__main__"' in text]
    assert run
    assert all("run_module(main)" in text for text in run)

"""`nagayomi batch` on handmade models: the output for each line, and a kill loses or repeats no line."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from app.bulk.output import Output, Paths
from app.cli import main
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from app.settings import Settings
from app.tasks.classify import CLASSIFY
from app.tasks.qa import QA
from app.tasks.summarize import SUMMARIZE
from tests.app.bulk.made import questions

START_S = 60


@pytest.fixture(autouse=True)
def _settings_of_the_test(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")


def _write(path: Path, *lines: Any) -> Path:
    """A file of lines: bytes as they are, everything else as JSON."""
    raw = [line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in raw))
    return path


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_lines_are_what_single_requests_give(handmade_models: Path, tmp_path: Path) -> None:
    requests: dict[str, list[dict[str, Any]]] = {
        "qa": [*questions(20), {"question": ["一?", "二?"], "context": "《𠮷》", "top_k": 2, "offset_unit": "utf16"}],
        "summarize": [
            {"text": "軽い話。\n中くらいの話。\n重い話。", "max_sentences": 1},
            {"id": 7, "text": "重い話。"},
        ],
        "classify": [{"text": "上"}, {"id": "下", "text": "下", "top_k": 1}],
    }
    single: dict[str, list[dict[str, Any]]] = {}
    async with Service.open(Settings()) as service:
        single["qa"] = [await _alone(service.answer(QA, QaRequest(**_without_id(body)))) for body in requests["qa"]]
        single["summarize"] = [
            await _alone(service.answer(SUMMARIZE, SummarizeRequest(**_without_id(body))))
            for body in requests["summarize"]
        ]
        single["classify"] = [
            await _alone(service.answer(CLASSIFY, ClassifyRequest(**_without_id(body))))
            for body in requests["classify"]
        ]
    for task, bodies in requests.items():
        source, output = _write(tmp_path / f"{task}.in.jsonl", *bodies), tmp_path / f"{task}.jsonl"
        assert await _in_a_thread("batch", str(source), str(output), "--task", task) == 0
        names = [body.get("id", number) for number, body in enumerate(bodies, 1)]
        assert _read(output) == [{"id": name, **answer} for name, answer in zip(names, single[task], strict=True)]
        assert (tmp_path / f"{task}.jsonl.errors.jsonl").read_bytes() == b""


async def _alone(call: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((await call).model_dump_json(exclude={"timings"}))
    return answer


async def _in_a_thread(*arguments: str) -> int:
    return await asyncio.to_thread(main, list(arguments))


def _without_id(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "id"}


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    source = _write(tmp_path / "in.jsonl", *(line for body in questions(1000) for line in (body, {"id": body["id"]})))
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    assert main(["batch", str(source), str(whole), "--task", "qa"]) == 1
    command = [sys.executable, "-m", "app.cli", "batch", str(source), str(killed), "--task", "qa"]
    done = 0
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
        done = _wait_for_lines(Paths.next_to(killed).progress, done + 200, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "killed before it was done"
    with killed.open("ab") as file:  # what a crash may leave behind the last commit
        file.write(b'{"id":"q')
    last = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert last.returncode == 1
    errors = Paths.next_to(killed).errors
    assert last.stderr == f"1,000 of 2,000 lines answered.\n1,000 failed; the reasons are in {errors}.\n"
    assert killed.read_bytes() == whole.read_bytes()
    assert errors.read_bytes() == Paths.next_to(whole).errors.read_bytes()
    assert [answer["id"] for answer in _read(killed)] == [f"q{number}" for number in range(1000)]


def _wait_for_lines(progress: Path, lines: int, process: "subprocess.Popen[bytes]") -> int:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, "ended before it could be killed"
        if progress.exists() and (done := json.loads(progress.read_text())["place"]["lines"]) >= lines:
            return int(done)
        time.sleep(0.005)
    raise AssertionError(f"{lines} lines were not done within {START_S} s")


def test_lines_that_fail_stand_in_the_side_file_and_no_other_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAGAYOMI_MAX_BODY_BYTES", "100000")
    monkeypatch.setenv("NAGAYOMI_MAX_TEXT_CHARACTERS", "2000")
    hostile: list[tuple[Any, str, str]] = [
        (b"not JSON", "malformed_body", "is not JSON"),
        (b"\xff\xfe{}", "malformed_body", "The line is not UTF-8"),
        (b"[1]", "malformed_body", "not an object"),
        (b"[" * 50_000, "malformed_body", "nested too deeply"),
        (b'{"text": "a", "text": "b"}', "malformed_body", "twice"),
        ({"text": 3}, "invalid_input", "`text`"),
        ({"text": "   "}, "invalid_input", "white space"),
        ({"txt": "上"}, "invalid_input", "`txt` is not a field of this task"),
        (b'{"text": "\\ud800"}', "invalid_input", "lone surrogate"),
        ({"text": "上", "id": 1.5}, "invalid_input", "`id` must be"),
        ({"text": "上", "id": True}, "invalid_input", "`id` must be"),
        ({"text": "\u200b"}, "invalid_input", "invisible"),
        ({"text": "上", "model": "nobody"}, "model_not_found", "nobody"),
        ({"text": "あ" * 2001}, "request_too_large", "2000 are allowed together. NAGAYOMI_MAX_TEXT_CHARACTERS"),
        (b'{"text": "' + b"a" * 5_000_000 + b'"}', "body_too_large", "100000 bytes; NAGAYOMI_MAX_BODY_BYTES"),
    ]
    good = {"text": "上", "top_k": 1}
    lines = [line for bad, _, _ in hostile for line in (bad, good)]
    source, output = _write(tmp_path / "in.jsonl", *lines), tmp_path / "out.jsonl"
    source.write_bytes(source.read_bytes() + b'{"id": "no line end", "text": "\xe4\xb8\x8b", "top_k": 1}')
    assert main(["batch", str(source), str(output), "--task", "classify"]) == 1

    answers = _read(output)
    assert [answer["id"] for answer in answers] == [*range(2, 2 * len(hostile) + 1, 2), "no line end"]
    assert [answer["labels"][0]["label"] for answer in answers] == ["up"] * len(hostile) + ["down"]
    errors = _read(Paths.next_to(output).errors)
    assert [(error["line"], error["id"], error["error_type"]) for error in errors] == [
        (number, number, error_type) for number, (_, error_type, _) in zip(range(1, 999, 2), hostile, strict=False)
    ]
    for error, (_, _, words) in zip(errors, hostile, strict=True):
        assert words in error["error"]
    assert capsys.readouterr().err.startswith(f"{len(hostile) + 1} of {2 * len(hostile) + 1} lines answered.\n")


def test_an_id_comes_back_as_it_was(tmp_path: Path) -> None:
    names = ["\ud800", 'a"b\\c\n', "長", 2**70, -1, ""]
    lines = [json.dumps({"id": name, "text": "上", "top_k": 1}).encode() for name in names]
    output = tmp_path / "out.jsonl"
    assert main(["batch", str(_write(tmp_path / "in.jsonl", *lines)), str(output), "--task", "classify"]) == 0
    assert [answer["id"] for answer in _read(output)] == names


def test_a_finished_run_is_told_at_once_and_goes_on_when_lines_were_added(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, output = _write(tmp_path / "in.jsonl", *questions(3)), tmp_path / "out.jsonl"
    command = ["batch", str(source), str(output), "--task", "qa"]
    assert main(command) == 0
    with monkeypatch.context() as without_service:
        without_service.setattr(Service, "open", None)
        assert main(command) == 0
    assert capsys.readouterr().err == "3 of 3 lines answered.\n" * 2
    _write(source, *questions(5))
    assert main(command) == 0
    assert [answer["id"] for answer in _read(output)] == ["q0", "q1", "q2", "q3", "q4"]


def test_nothing_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.jsonl"
    assert main(["batch", str(_write(tmp_path / "in.jsonl")), str(output), "--task", "qa"]) == 0
    assert capsys.readouterr().err == "0 of 0 lines answered.\n"
    assert output.read_bytes() == b""


def test_what_does_not_belong_together_is_refused(
    handmade_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = _write(tmp_path / "in.jsonl", *questions(3)), tmp_path / "out.jsonl"
    start = ["batch", str(source), str(output), "--model-store", str(handmade_store), "--task"]
    assert main([*start, "qa"]) == 0
    written = output.read_bytes()

    def refused(sentence: str, *command: str) -> None:
        capsys.readouterr()
        assert main(list(command)) == 2
        assert sentence in capsys.readouterr().err
        assert output.read_bytes() == written

    refused('was begun with other settings: `task` was "qa" and is "classify"; use another output', *start, "classify")
    refused('was begun with other settings: `model` was null and is "hand-qa"', *start, "qa", "--model", "hand-qa")
    manifest = handmade_store / "hand-qa" / "manifest.json"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    refused("was begun with other settings: `models` was", *start, "qa")
    manifest.write_text(manifest.read_text(encoding="utf-8")[:-1], encoding="utf-8")

    _write(source, *questions(2), {"question": "別?", "context": "別"})
    refused("The input has changed since the interrupted run", *start, "qa")
    _write(source, *questions(2))
    refused("The input has changed since the interrupted run", *start, "qa")
    _write(source, *questions(3))

    with Output.open(Paths.next_to(output), json.loads(Paths.next_to(output).progress.read_text())["run"]):
        refused(f"Another run is writing {output}.", *start, "qa")
    Paths.next_to(output).progress.write_text("{}")
    refused("is not the progress file of a run", *start, "qa")
    Paths.next_to(output).progress.unlink()
    refused(f"{output} exists already and is not part of a run to resume", *start, "qa")
    refused("The output would overwrite the input", "batch", str(output), str(output), "--task", "qa")
    refused("is not a file", "batch", str(tmp_path), str(tmp_path / "new.jsonl"), "--task", "qa")
    refused("cannot be read: No such file", "batch", "missing.jsonl", str(tmp_path / "new.jsonl"), "--task", "qa")
    refused(
        "No model named 'nobody'",
        "batch",
        str(source),
        str(tmp_path / "new.jsonl"),
        "--task",
        "qa",
        "--model",
        "nobody",
    )


def test_an_output_that_was_cut_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = _write(tmp_path / "in.jsonl", *questions(3)), tmp_path / "out.jsonl"
    assert main(["batch", str(source), str(output), "--task", "qa"]) == 0
    output.write_bytes(output.read_bytes()[:-1])
    assert main(["batch", str(source), str(output), "--task", "qa"]) == 2
    assert "out.jsonl is shorter than when the run stopped" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = _write(tmp_path / "in.jsonl", *questions(1))
    assert main(["batch", str(source), str(tmp_path / "missing" / "out.jsonl"), "--task", "qa"]) == 1
    assert "out.jsonl cannot be written: No such file or directory." in capsys.readouterr().err


def test_progress_on_a_terminal_has_the_time_that_is_left(tmp_path: Path) -> None:
    source = _write(tmp_path / "in.jsonl", *questions(300))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    command = [sys.executable, "-m", "app.cli", "batch", str(source), str(tmp_path / "out.jsonl"), "--task", "qa"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stderr=theirs, timeout=120, check=False, env=environment)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(100_000).decode()
    assert done.returncode == 0, shown
    assert re.search(r"100%\|.*\[\d\d:\d\d<\d\d:\d\d, .*B/s, failed=0, lines=300\]", shown)


def test_a_start_that_answered_nothing_does_not_stand_in_the_way(handmade_store: Path, tmp_path: Path) -> None:
    source, output = _write(tmp_path / "in.jsonl", *questions(1)), tmp_path / "out.jsonl"
    (tmp_path / "empty").mkdir()
    start = ["batch", str(source), str(output), "--task", "qa", "--model-store"]
    assert main([*start, str(tmp_path / "empty")]) == 1
    assert main([*start, str(handmade_store)]) == 0
    assert len(output.read_text(encoding="utf-8").splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--workers", "0"], "'0' is not a whole number of at least 1"),
        (["--gpus-per-worker", "nan"], "'nan' is not a number of at least 0"),
        (["--workers", "2"], "--workers and --gpus-per-worker are for a cluster; give --ray."),
    ],
)
def test_options_of_workers_are_checked(options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(["batch", "in.jsonl", "out.jsonl", "--task", "qa", *options])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert sentence in capsys.readouterr().err

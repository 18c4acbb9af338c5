"""Arguments of the command, and the lines in which it speaks."""

import json
import socket
import sys
from pathlib import Path

import pytest

from bench.load_test.__main__ import checked_url, main
from bench.load_test.client import Result
from bench.load_test.search import Found, Probe
from bench.load_test.session import found_line, probe_line, progress

URL = "http://127.0.0.1:9"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://reader.example/base", "http://[::1]:80"])
def test_addresses(url: str) -> None:
    assert checked_url(url) == checked_url(url + "/") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "must begin with http:// or https://"),
        ("ftp://reader.example", "must begin with"),
        ("reader.example:8080", "must begin with"),
        ("http://", "names no host"),
        ("http://user:secret@reader.example", "must not contain a user or a password"),
        ("http://reader.example/?a=b", "must not contain \\? or #"),
        ("http://reader.example:http", "Port could not be cast"),
    ],
)
def test_addresses_that_are_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        checked_url(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "file:///x", "--rate", "1"], "must begin with http:// or https://"),
        (["--url", URL], "Give one of --rate (open loop), --concurrency (closed loop) and --search."),
        (["--url", URL, "--rate", "1", "--concurrency", "1"], "Give one of --rate (open loop), --concurrency"),
        (["--url", URL, "--search", "--concurrency", "1"], "--search looks for a rate"),
        (["--url", URL, "--search", "--duration", "5"], "5 s at 1 requests/s are 5 requests; a probe needs 10"),
        (["--url", URL, "--rate", "0"], "'0' is not a number above 0."),
        (["--url", URL, "--rate", "inf"], "'inf' is not a number above 0."),
        (["--url", URL, "--concurrency", "2.5"], "'2.5' is not a number above 0."),
        (["--url", URL, "--rate", "1", "--endpoints", "ask"], "expected qa, summarize, classify"),
        (["--url", URL, "--rate", "1", "--report", "load.pdf"], "a report is a .png file"),
        (["--url", URL, "--rate", "1", "--report", "nowhere/load.png"], "there is no folder nowhere"),
    ],
)
def test_arguments_that_cannot_be(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in " ".join(capsys.readouterr().err.split())


def test_nothing_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SystemExit, match=f"Nothing answers at {url}"):
            main(["--url", url, "--rate", "1"])


def test_documents_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"missing\.jsonl"):
        main(["--url", URL, "--rate", "1", "--documents", str(tmp_path / "missing.jsonl")])


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    monkeypatch.delitem(sys.modules, "bench.load_test.report", raising=False)
    monkeypatch.delattr("bench.load_test.report", raising=False)
    with pytest.raises(SystemExit, match=r"needs the package matplotlib; install the extra `bench`"):
        main(["--url", URL, "--rate", "1", "--report", str(tmp_path / "load.png")])


def test_progress() -> None:
    def ended(at_s: float, outcome: str = "200") -> Result:
        return Result("/qa", 2, 0.0, 0.0, at_s, outcome)

    results = [ended(1.0), ended(6.0), ended(7.0, "429"), ended(9.5)]
    assert progress(10.0, results, 3) == "10 s, 0.4 answers/s, 3 in flight, 1 errors"
    assert progress(0.0, [], 1) == "0 s, 0.0 answers/s, 1 in flight, 0 errors"


def test_what_a_search_says() -> None:
    held = Probe(4.0, 240, 640.5, 1.0, "holds")
    missed = Probe(4.2, 250, 1500.0, 0.9, "misses")
    slow = Probe(4.2, 250, None, 0.0, "client")
    assert [probe_line(probe) for probe in (held, missed, slow)] == [
        "     4.00 requests/s: 240 sent, p99 640.5 ms, 100.0% good: holds",
        "     4.20 requests/s: 250 sent, p99 1,500.0 ms, 90.0% good: misses the objective",
        "     4.20 requests/s: 250 sent, p99 –, 0.0% good: the client could not keep up",
    ]
    assert [
        found_line(found, 1000.0)
        for found in (
            Found(4.0, "misses", [held, missed]),
            Found(4.0, "client", [held, slow]),
            Found(None, "misses", [missed]),
            Found(4.0, "interrupted", [held]),
        )
    ] == [
        "Highest rate that holds 1,000 ms: 4.00 requests/s (4.20 misses it).",
        "Highest rate that holds 1,000 ms: 4.00 requests/s (at 4.20 this client could not keep up: run it on a "
        "separate machine).",
        "No rate that was tried holds 1,000 ms (4.20 misses it).",
        "Highest rate that holds 1,000 ms: 4.00 requests/s (the search was interrupted).",
    ]


def test_the_client_needs_no_engine() -> None:
    """What runs on a machine that only sends must not import the runtime or torch."""
    import subprocess

    code = "import json, sys, bench.load_test.session; print(json.dumps([m for m in ('onnxruntime', 'torch', "
    code += "'fastapi') if m in sys.modules]))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == []

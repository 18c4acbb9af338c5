"""bench.load_test against the real server: its counts are the service's, and Ctrl-C ends it with the results so far."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.load_test.__main__ import main
from tests.e2e.conftest import ROOT, START_S, Server

SAMPLE = re.compile(r"(nagayomi_requests_total|nagayomi_tokens_total)\{(.*)\} (\S+)")
ENDPOINTS = ("/qa", "/summarize", "/classify")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def counted(client: httpx.Client) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Requests by (endpoint, status) and tokens by task, as the service counts them."""
    by_status: dict[tuple[str, str], float] = {}
    tokens: dict[str, float] = {}
    for line in client.get("/metrics").text.splitlines():
        if match := SAMPLE.fullmatch(line):
            labels = dict(LABEL.findall(match[2]))
            if "status" in labels:
                by_status[labels["endpoint"], labels["status"]] = float(match[3])
            else:
                tokens["/" + labels["task"]] = float(match[3])
    return by_status, tokens


def last_line(output: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(output.splitlines()[-1])
    return report


@pytest.mark.parametrize("arguments", [["--rate", "20", "--timeout-ms", "60000"], ["--concurrency", "4"]])
def test_its_counts_are_those_of_the_service(
    server: Server, client: httpx.Client, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    # Some documents are more than one request may hold: 413.
    documents = tmp_path / "documents.jsonl"
    lines = [json.dumps({"text": text}) for text in ("東京は日本の首都である。" * 20, "富士山", "あ" * 300_001)]
    documents.write_text("\n".join(lines), encoding="utf-8")
    report = tmp_path / "load.png"
    requests_before, tokens_before = counted(client)
    code = main(
        ["--url", server.url, "--duration", "1.5", "--documents", str(documents), "--report", str(report), *arguments]
    )
    requests_after, tokens_after = counted(client)
    found = last_line(capsys.readouterr().out)
    assert code == 0
    assert {
        (endpoint, status): count
        for endpoint, part in found["endpoints"].items()
        for status, count in part["statuses"].items()
    } == {
        key: count - requests_before.get(key, 0)
        for key, count in requests_after.items()
        if key[0] in found["endpoints"] and count > requests_before.get(key, 0)
    }
    assert {endpoint: part["tokens"] for endpoint, part in found["endpoints"].items()} == {
        endpoint: tokens_after.get(endpoint, 0) - tokens_before.get(endpoint, 0) for endpoint in found["endpoints"]
    }
    assert found["sent"] == sum(found["statuses"].values())
    assert set(found["statuses"]) == {"200", "413"}
    assert found["errors"]["413"].endswith("300000 are allowed together.")
    assert [model["name"] for model in found["service"]["models"]] == ["tiny-classify", "tiny-qa", "tiny-summarize"]
    assert report.read_bytes().startswith(b"\x89PNG")


def test_a_search(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an objective that no service can meet: the search goes down, and says so."""
    arguments = ["--search", "--rate", "20", "--duration", "1", "--settle", "0", "--endpoints", "classify"]
    assert main(["--url", server.url, "--objective-ms", "0.001", "--median-characters", "64", *arguments]) == 0
    output = capsys.readouterr().out
    search = last_line(output)["search"]
    assert (search["highest_rate"], [probe["rate"] for probe in search["probes"]]) == (None, [20.0, 10.0])
    assert "No rate that was tried holds 0.001 ms" in output


def test_ctrl_c_shows_what_was_measured(server: Server, client: httpx.Client) -> None:
    def answered() -> float:
        return sum(count for (endpoint, _), count in counted(client)[0].items() if endpoint in ENDPOINTS)

    before = answered()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.load_test", "--url", server.url, "--rate", "20", "--duration", "600"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # Where the tests run in the background, SIGINT is ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        until = time.monotonic() + START_S
        while answered() < before + 10:
            assert time.monotonic() < until, "no load came"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, progress = process.communicate(timeout=START_S)
    finally:
        process.kill()
        process.communicate()
    report = last_line(output)
    assert process.returncode == 130, progress
    assert report["interrupted"]
    assert report["answered"] > 0
    assert "Interrupted; " in output
    assert "answers/s" in progress
    assert "Traceback" not in progress

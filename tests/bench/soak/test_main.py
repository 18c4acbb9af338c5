"""The whole soak in about a minute, on tiny models. `python -m bench.soak` runs it for longer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_soak_of_a_minute_passes(tiny_store: Path, tmp_path: Path) -> None:
    """In a separate process: in this one, collecting torch's garbage would stop the client for too long."""
    report = tmp_path / "soak.md"
    command = [sys.executable, "-m", "bench.soak", "--minutes=0.6", "--model-store", str(tiny_store)]
    soak = subprocess.run(
        [*command, "--report", str(report), "--logs", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert soak.returncode == 0, soak.stdout
    *checks, last = soak.stdout.splitlines()
    summary = json.loads(last)
    assert summary["passed"]
    assert len(checks) == 10
    assert {"200", "404", "405", "408", "413", "422", "429", "503", "504"} <= summary["statuses"].keys()
    assert summary["memory_growth"].keys() == {"service", "tiny-classify", "tiny-qa", "tiny-summarize"}
    assert "| every request is answered | pass |" in report.read_text(encoding="utf-8")
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")

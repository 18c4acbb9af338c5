"""The comparison of two stores, on tiny models; its figures mean nothing here, so only their sense is checked."""

import json
import shutil
from pathlib import Path

import pytest

from bench.models import main


def test_each_task_of_each_store_is_measured(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_store, other)
    assert main([str(tiny_store), str(other), "--characters=300", "--rounds=1", "--threads=1"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(report) == ["qa", "summarize", "classify"]
    for task, stores in report.items():
        assert list(stores) == [str(tiny_store), str(other)]
        for figures in stores.values():
            assert figures["model"] == f"tiny-{task}"
            assert min(figures["load_s"], figures["memory_mib"], figures["seconds"], figures["tokens_per_s"]) > 0
        assert stores[str(tiny_store)]["speedup"] == 1.0

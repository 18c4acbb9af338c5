"""Memory and processor time of processes that are not this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from app.telemetry import engines
from app.telemetry.engines import EngineProcesses

MEMORY, SECONDS = "nagayomi_engine_resident_memory_bytes", "nagayomi_engine_cpu_seconds_total"


def samples(processes: EngineProcesses) -> dict[tuple[str, str], float]:
    """Values by name of the sample and model."""
    registry = CollectorRegistry()
    registry.register(processes)
    return {
        (sample.name, sample.labels["model"]): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def test_memory_and_time_are_read_for_each_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_PROC", tmp_path)
    for pid, pages, user, system in ((7, 300, 1000, 20), (8, 5, 0, 0)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "statm").write_text(f"9999 {pages} 3 4 0 5 0\n")
        fields = f"S 1 1 1 0 -1 4194304 1 2 3 4 {user} {system} 7 8 20 0 9 0 100 9999 {pages}"
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a ) name) {fields}\n")
    processes = EngineProcesses()
    processes.watch("large", lambda: 7)
    processes.watch("small", lambda: 8)
    page, ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    assert samples(processes) == {
        (MEMORY, "large"): 300 * page,
        (MEMORY, "small"): 5 * page,
        (SECONDS, "large"): 1020 / ticks,
        (SECONDS, "small"): 0.0,
    }


def test_an_engine_between_two_processes_has_no_value() -> None:
    processes = EngineProcesses()
    processes.watch("restarting", lambda: None)
    assert samples(processes) == {}


def test_a_process_that_has_just_ended_has_no_value() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    processes = EngineProcesses()
    processes.watch("ended", lambda: ended.pid)
    assert samples(processes) == {}

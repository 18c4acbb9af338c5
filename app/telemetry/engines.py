"""Memory and processor time of the engines, which are processes of their own, for Prometheus.

The values are those of `ProcessCollector` for the gateway, read from /proc when they are asked for; a system without it
has none. This module knows process ids, and does not know engines or models.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_PROC = Path("/proc")
# In /proc/PID/stat after the name of the program, which may hold spaces: times in user mode and in the kernel.
_TIMES = slice(11, 13)
_RESIDENT = 1  # in /proc/PID/statm, in pages


class EngineProcesses(Collector):
    """One sample of each metric for each engine that runs."""

    def __init__(self) -> None:
        self._pids: dict[str, Callable[[], int | None]] = {}  # by model

    def watch(self, model: str, pid: Callable[[], int | None]) -> None:
        """Show the process of a model's engine.

        Args:
            pid: gives the process id, or None while no process runs.
        """
        self._pids[model] = pid

    def collect(self) -> Iterator[Metric]:
        """The metrics, as the registry asks for them."""
        memory = GaugeMetricFamily(
            "nagayomi_engine_resident_memory_bytes", "Resident memory of an engine, by model.", labels=["model"]
        )
        seconds = CounterMetricFamily(
            "nagayomi_engine_cpu_seconds",
            "Processor time of an engine, by model. It starts over when the engine does.",
            labels=["model"],
        )
        for model, find_pid in self._pids.items():
            if (pid := find_pid()) is not None and (used := _used_by(pid)) is not None:
                memory.add_metric([model], used[0])
                seconds.add_metric([model], used[1])
        yield memory
        yield seconds


def _used_by(pid: int) -> tuple[int, float] | None:
    """Bytes and seconds; None when the process has ended."""
    try:
        pages = (_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[_RESIDENT]
        stat = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2]
    except OSError:
        return None
    ticks = sum(map(int, stat.split()[_TIMES]))
    return int(pages) * os.sysconf("SC_PAGE_SIZE"), ticks / os.sysconf("SC_CLK_TCK")

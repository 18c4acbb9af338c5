"""The report of a soak: a table for the terminal, a Markdown page with a picture, and one line of JSON.

This module knows the record and the results of the checks, and decides nothing.
"""

import os
import platform
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench.soak.checks import COMPARED, Check, growths, medians
from bench.soak.phases import Events
from bench.soak.record import Record
from bench.soak.server import Memory

_MEGABYTE = 1e6
_BIN_S = 2.0  # width of a bin of the rates in the picture
_STATUS_COLOURS = {"200": "tab:green", "429": "tab:orange", "503": "tab:red", "504": "tab:purple"}


@dataclass(frozen=True)
class Soak:
    """Everything about one finished soak."""

    minutes: float
    seed: int
    models: Sequence[str]
    record: Record
    events: Events
    memory: Memory
    checks: Sequence[Check]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def table(checks: Sequence[Check]) -> str:
    """One line per check."""
    width = max(len(check.name) for check in checks)
    return "\n".join(f"{'pass' if check.passed else 'FAIL'}  {check.name:{width}}  {check.reason}" for check in checks)


def summary(soak: Soak) -> dict[str, Any]:
    """The last line of the output."""
    statuses = Counter(str(sent.status) for sent in soak.record.sent if sent.status is not None)
    return {
        "passed": soak.passed,
        "failed": [check.name for check in soak.checks if not check.passed],
        "minutes": soak.minutes,
        "requests": len(soak.record.sent),
        "statuses": dict(sorted(statuses.items())),
        "left": sum(sent.left for sent in soak.record.sent),
        "capacity_per_s": round(soak.events.capacity, 2),
        "offered_per_s": [round(rate, 2) for rate in soak.events.offered],
        "memory_growth": {name: round(share, 4) for name, share in growths(soak.record, soak.memory).items()},
        "stopped_after_s": round((soak.events.stopped or float("nan")) - soak.events.terminated, 2),
    }


def write(soak: Soak, file: Path) -> None:
    """Write the report, and its picture next to it under the same name."""
    picture = file.with_name(f"{file.name.removesuffix('.md')}.png")  # soak_v1.1 is no name with a suffix
    draw(soak, picture)
    file.write_text(_markdown(soak, picture.name), encoding="utf-8")


def _markdown(soak: Soak, picture: str) -> str:
    record, events = soak.record, soak.events
    verdict = "passed" if soak.passed else "**failed**"
    when = datetime.fromtimestamp(record.phases[0][1], UTC)
    parts = [
        "# Soak",
        f"`python -m bench.soak --minutes {soak.minutes:g} --seed {soak.seed}`, {when:%Y-%m-%d}, {verdict}. "
        f"Models: {', '.join(soak.models)}. Machine: {platform.system()}, {_processor()}, {os.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 1e9:.0f} GB; the clients ran on it too.",
        "Written by the command; `python -m bench.soak --help` describes the phases and the checks.",
        "## Checks",
        _rows(("check", "", "because"), [(c.name, "pass" if c.passed else "**FAIL**", c.reason) for c in soak.checks]),
        f"![Resident memory and answers over time]({picture})",
        "## Phases",
        _rows(
            ("phase", "seconds", "requests", "200", "429", "503", "504", "other", "left", "p50 of 200 (ms)"),
            [_phase(record, index) for index in range(len(record.phases))],
        ),
        f"Capacity, measured while more requests were always waiting: {events.capacity:.1f} requests/s. Offered in "
        f"the overloads: {' and '.join(f'{rate:.1f}' for rate in events.offered)} requests/s.",
        "## Clients",
        _rows(("client", "requests", "answers"), _kinds(record)),
        "## Resident memory",
        "Medians of the two calm phases, each after an overload. Every process is compared with itself, and the killed "
        "engine with its successor.",
        _rows(("process", *(f"{phase} (MB)" for phase in COMPARED), "growth"), _memory(soak)),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _phase(record: Record, index: int) -> list[object]:
    name, begun = record.phases[index]
    sent = record.of_phase(name)
    ended = record.phases[index + 1][1] if index + 1 < len(record.phases) else max(s.ended or begun for s in sent)
    statuses = Counter(one.status for one in sent if one.status is not None)
    shown = (200, 429, 503, 504)
    latencies = [1000 * (one.ended - one.began) for one in sent if one.status == 200 and one.ended and one.wanted]
    return [
        *(name, f"{ended - begun:.0f}", len(sent)),
        *(statuses[status] for status in shown),
        sum(statuses.values()) - sum(statuses[status] for status in shown),
        sum(one.left for one in sent),
        f"{statistics.median(latencies):.0f}" if latencies else "",
    ]


def _kinds(record: Record) -> list[list[object]]:
    kinds: dict[str, Counter[str]] = {}
    for sent in record.sent:
        outcome = "left" if sent.left else "none" if sent.status is None else str(sent.status)
        kinds.setdefault(sent.kind, Counter())[outcome] += 1
    return [
        [kind, sum(outcomes.values()), ", ".join(f"{count} x {name}" for name, count in sorted(outcomes.items()))]
        for kind, outcomes in kinds.items()
    ]


def _memory(soak: Soak) -> list[list[object]]:
    first, last = (medians(soak.record, soak.memory, phase) for phase in COMPARED)
    growth = growths(soak.record, soak.memory)
    return [
        [name, f"{first[name] / _MEGABYTE:.1f}", f"{last[name] / _MEGABYTE:.1f}", f"{growth[name]:+.1%}"]
        for name in first
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def draw(soak: Soak, file: Path) -> None:
    """Draw the memory of every process, and answers a second, over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    phases = soak.record.phases
    begun = phases[0][1]
    figure, (memory, rates) = pyplot.subplots(2, 1, figsize=(9, 6), sharex=True, layout="constrained")
    times = np.array(soak.memory.times) - begun
    for name, values in sorted(soak.memory.resident.items()):
        memory.plot(times, np.array(values) / _MEGABYTE, label=name, linewidth=1)
    memory.set(ylabel="resident (MB)", ylim=(0, None))
    memory.legend(fontsize=7, loc="lower right")
    answered = [
        (sent.ended - begun, str(sent.status)) for sent in soak.record.sent if sent.ended is not None and sent.is_logged
    ]
    edges = np.arange(0, max(at for at, _ in answered) + _BIN_S, _BIN_S)
    for status, colour in _STATUS_COLOURS.items():
        counts, _ = np.histogram([at for at, one in answered if one == status], edges)
        rates.plot(edges[:-1] + _BIN_S / 2, counts / _BIN_S, label=status, color=colour, linewidth=1)
    rates.set(ylabel="answers/s", xlabel="seconds", ylim=(0, None))
    rates.legend(fontsize=7, loc="upper right")
    for index, (name, at) in enumerate(phases):
        for axis in (memory, rates):
            axis.axvline(at - begun, color="grey", linewidth=0.5, linestyle=":")
        rates.text(at - begun, 1.01 + 0.05 * (index % 2), name, fontsize=6, transform=rates.get_xaxis_transform())
    figure.savefig(file, dpi=120)
    pyplot.close(figure)

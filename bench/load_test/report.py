"""The charts of a load test, as one PNG file.

Needs matplotlib. Measures nothing: it is given the results and the figures that the terminal shows.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.load_test.loops import Measured
from bench.load_test.search import Probe
from bench.load_test.summary import STAGES

TITLE_CHARACTERS = 130  # per line of the title
PARTS = 40  # a line over time has this many points
_COLOURS = {"/qa": "#1f6feb", "/summarize": "#d97706", "/classify": "#0f9d76"}
_GREY = "#8b949e"
_RED = "#cf222e"


def write_report(file: Path, title: str, about: Sequence[str], charts: Figure) -> None:
    """Write the charts as PNG, with the address and the kind of load above them."""
    lines = [line for said in (title, *about) for line in textwrap.wrap(said, TITLE_CHARACTERS)]
    charts.suptitle("\n".join(lines), fontsize=9)
    charts.savefig(file, format="png", dpi=150)


def charts(measured: Measured, figures: dict[str, Any], probes: Sequence[Probe] = ()) -> Figure:
    """Latency over time and by length, time by stage, requests sent and answered; with probes, p99 by rate."""
    # Not pyplot: it needs a display, and keeps state after the call.
    figure = Figure(figsize=(11, 11 if probes else 7.5), layout="constrained")
    grid = figure.add_gridspec(3 if probes else 2, 2)
    _latency_over_time(figure.add_subplot(grid[0, 0]), measured, figures["objective_ms"])
    _rates_over_time(figure.add_subplot(grid[0, 1]), measured)
    _latency_by_length(figure.add_subplot(grid[1, 0]), measured, figures["objective_ms"])
    _stages(figure.add_subplot(grid[1, 1]), figures)
    if probes:
        _probes(figure.add_subplot(grid[2, :]), probes, figures["objective_ms"])
    return figure


def _scatter(axes: Axes, points: Sequence[tuple[str, float, float]], objective_ms: float) -> None:
    for endpoint, colour in _COLOURS.items():
        own = [(x, y) for name, x, y in points if name == endpoint]
        if own:
            axes.plot(*zip(*own, strict=True), ".", markersize=4, alpha=0.6, color=colour, label=endpoint)
    axes.axhline(objective_ms, linestyle="--", linewidth=1, color=_RED, label="objective")
    axes.set(yscale="log", ylabel="latency at the client (ms)")
    axes.legend(fontsize=8)


def _latency_over_time(axes: Axes, measured: Measured, objective_ms: float) -> None:
    answered = [result for result in measured.results if result.answered]
    _scatter(axes, [(result.endpoint, result.scheduled_s, result.latency_ms) for result in answered], objective_ms)
    axes.set(xlabel="sent at (s)", title="Latency over time")


def _latency_by_length(axes: Axes, measured: Measured, objective_ms: float) -> None:
    answered = [result for result in measured.results if result.answered]
    _scatter(axes, [(result.endpoint, result.characters, result.latency_ms) for result in answered], objective_ms)
    axes.set(xscale="log", xlabel="characters of the document", title="Latency by length")


def _rates_over_time(axes: Axes, measured: Measured) -> None:
    results = measured.results
    end = max([measured.seconds, *(result.ended_s for result in results)])
    width = end / PARTS or 1.0
    lines = {
        "sent": ([result.scheduled_s for result in results], _GREY),
        "answered": ([result.ended_s for result in results if result.answered], _COLOURS["/qa"]),
        "not answered": ([result.ended_s for result in results if not result.answered], _RED),
    }
    for name, (times, colour) in lines.items():
        counts = [0] * PARTS
        for at_s in times:
            counts[min(int(at_s / width), PARTS - 1)] += 1
        edges = [number * width for number in range(PARTS + 1)]
        if any(counts):
            axes.stairs([count / width for count in counts], edges, color=colour, label=name)
    axes.set(xlabel="time (s)", ylabel="requests/s", title="Sent and answered", ylim=(0, None))
    if results:
        axes.legend(fontsize=8)


def _stages(axes: Axes, figures: dict[str, Any]) -> None:
    names = ["client", *reversed(STAGES)]
    values = {"client": figures["latency_ms"], **figures["stages_ms"]}
    shades = {"p99": "#c6dafc", "p90": "#6ea8fe", "p50": "#1f6feb"}
    for percent, colour in shades.items():  # the longest first, so that the shorter bars stay visible
        axes.barh(names, [values[name][percent] or 0.0 for name in names], color=colour, label=percent)
    axes.set(xlabel="milliseconds", title="Where the time goes")
    axes.legend(fontsize=8)


def _probes(axes: Axes, probes: Sequence[Probe], objective_ms: float) -> None:
    known = sorted((probe.rate, probe.p99_ms, probe.verdict) for probe in probes if probe.p99_ms is not None)
    axes.plot([rate for rate, _, _ in known], [p99_ms for _, p99_ms, _ in known], color=_GREY, linewidth=1)
    for holds, colour, label in ((True, _COLOURS["/classify"], "holds"), (False, _RED, "does not")):
        own = [(rate, p99_ms) for rate, p99_ms, verdict in known if (verdict == "holds") == holds]
        if own:
            axes.plot(*zip(*own, strict=True), "o", color=colour, label=label)
    axes.axhline(objective_ms, linestyle="--", linewidth=1, color=_RED, label="objective")
    axes.set(xlabel="requests/s", ylabel="p99 of answered (ms)", yscale="log", title="The search")
    axes.legend(fontsize=8)

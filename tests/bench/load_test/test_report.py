"""The charts of a load test, checked by the points that they show."""

from pathlib import Path

import pytest

from bench.load_test.loops import Measured
from bench.load_test.report import charts, write_report
from bench.load_test.search import Probe
from bench.load_test.summary import summary
from tests.bench.load_test.test_summary import MEASURED


def test_charts() -> None:
    probes = [
        Probe(1.0, 10, 100.0, 1.0, "holds"),
        Probe(2.0, 20, 900.0, 0.5, "misses"),
        Probe(4.0, 9, None, 0, "misses"),
    ]
    axes = charts(MEASURED, summary(MEASURED, 300.0), probes).axes
    assert [one.get_title() for one in axes] == [
        "Latency over time", "Sent and answered", "Latency by length", "Where the time goes", "The search",
    ]  # fmt: skip
    points = {str(line.get_label()): line.get_xydata().tolist() for line in axes[2].lines}  # type: ignore[union-attr]
    assert points["/qa"] == [[100, pytest.approx(100)], [1023, pytest.approx(3000)]]
    assert points["/classify"] == [[300, pytest.approx(250)]]
    searched = {str(line.get_label()): line.get_xydata().tolist() for line in axes[4].lines}  # type: ignore[union-attr]
    assert (searched["holds"], searched["does not"]) == ([[1.0, 100.0]], [[2.0, 900.0]])


@pytest.mark.parametrize("measured", [MEASURED, Measured([], 0.0)])
def test_the_file_is_a_png(tmp_path: Path, measured: Measured) -> None:
    file = tmp_path / "load.png"
    write_report(file, "http://a", ["open loop"], charts(measured, summary(measured, 300.0)))
    assert file.read_bytes().startswith(b"\x89PNG")

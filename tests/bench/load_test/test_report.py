"""The page, whole; the charts by what stands in them."""

from pathlib import Path

import pytest

from bench.load_test.loops import Measured
from bench.load_test.report import charts, page, write_report
from bench.load_test.search import Probe
from bench.load_test.summary import Table, summary
from tests.bench.load_test.test_summary import MEASURED

TABLES = [Table("", (), [("sent", "<5>")]), Table("milliseconds", ("p50", "p99"), [("client", "1.0", "2.0")])]


def test_the_page_holds_everything_and_asks_nobody() -> None:
    body = page("http://a/<b>", ["open loop & more"], TABLES, ["429: <full>"], b"PNG").partition("</style>\n")[2]
    assert body == (
        "<h1>http://a/&lt;b&gt;</h1>\n"
        "<p>open loop &amp; more</p>\n"
        "<ul><li>429: &lt;full&gt;</li></ul>\n"
        '<table class="words"><tr><th scope="row">sent</th><td>&lt;5&gt;</td></tr></table>\n'
        '<img alt="Charts of the figures in the tables" src="data:image/png;base64,UE5H">\n'
        '<table><caption>milliseconds</caption><thead><tr><th scope="col"></th><th scope="col">p50</th>'
        '<th scope="col">p99</th></tr></thead><tr><th scope="row">client</th><td>1.0</td><td>2.0</td></tr></table>\n'
        "</html>\n"
    )


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
@pytest.mark.parametrize(("name", "begins"), [("load.png", b"\x89PNG"), ("load.html", b"<!doctype html>")])
def test_files(tmp_path: Path, measured: Measured, name: str, begins: bytes) -> None:
    file = tmp_path / name
    write_report(file, "http://a", ["open loop"], TABLES, [], charts(measured, summary(measured, 300.0)))
    assert file.read_bytes().startswith(begins)

"""The Grafana dashboard of docker/grafana: whole, and asking only for metrics and labels that there are."""

import json
import os
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from app.engine.batcher import BatchReport
from app.http.auth import OPEN_PATHS, KeyHolder
from app.schemas import Timings
from app.tasks.registry import TASKS
from app.telemetry.metrics import Telemetry
from app.telemetry.request_context import RequestContext

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docker" / "grafana" / "nagayomi.json").read_text(encoding="utf-8")
)
QUERIES = [
    (panel["title"], target["expr"], target["legendFormat"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", [])
]
VARIABLES = {"$__rate_interval": "5m", "$instance": ".+", "$job": ".+"}
SCRAPED = {"instance", "job"}  # labels that Prometheus adds itself
PROBES = {
    "/metrics",
    *(path for path in OPEN_PATHS if path.endswith(("z", "health", "live", "ready"))),
    *(f"/{task}/health" for task in TASKS),
}


def labels_of_samples() -> dict[str, set[str]]:
    """Label names by name of the sample, after one of everything that is counted."""
    telemetry = Telemetry()
    telemetry.watch([KeyHolder("web", 1, 1)])
    telemetry.over(RequestContext("id", "POST", error_type="internal"))
    telemetry.request("qa", Timings(tokenize_ms=1, queue_ms=1, infer_ms=1, decode_ms=1, total_ms=4), 1, 1)
    telemetry.batch("model", [], BatchReport(tokens=64, seconds=1.0, failed=False))
    by_label = (
        telemetry.queue_tokens,
        telemetry.queue_requests,
        telemetry.model_load_seconds,
        telemetry.models,
        telemetry.jobs,
        telemetry.engine_restarts,
    )
    for gauge in by_label:
        gauge.labels("one")
    telemetry.jobs_finished.labels("failed", "internal")
    telemetry.engines.watch("one", os.getpid)
    return {sample.name: set(sample.labels) for metric in telemetry.registry.collect() for sample in metric.samples}


LABELS = labels_of_samples()


def test_the_service_has_what_the_dashboard_is_compared_with() -> None:
    assert LABELS["nagayomi_requests_total"] == {"endpoint", "key", "status"}
    assert LABELS["nagayomi_stage_seconds_bucket"] == {"task", "stage", "le"}


def parts_of(expression: str) -> tuple[list[promql_parser.VectorSelector], set[str]]:
    """The selectors of a query, and the labels by which it groups."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    selectors: list[promql_parser.VectorSelector] = []
    grouped: set[str] = set()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            selectors.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            selectors.append(node.vector_selector)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return selectors, grouped


@pytest.mark.parametrize(("title", "expression", "legend"), QUERIES)
def test_every_query_asks_for_what_there_is(title: str, expression: str, legend: str) -> None:
    selectors, grouped = parts_of(expression)
    assert selectors
    for selector in selectors:
        assert selector.name in LABELS, title
        known = LABELS[selector.name] | SCRAPED
        assert {matcher.name for matcher in selector.matchers.matchers} <= known
        assert grouped <= known
    shown = {part.partition("}}")[0] for part in legend.split("{{")[1:]}
    assert shown <= (grouped or SCRAPED)


def test_every_metric_of_the_service_is_on_the_dashboard() -> None:
    """A metric that is on no panel is either missing there or not worth counting."""
    everything = " ".join(expression for _, expression, _ in QUERIES)
    unseen = [
        metric.name
        for metric in Telemetry().registry.collect()
        if metric.name.startswith("nagayomi_") and metric.name not in everything
    ]
    assert unseen == []


@pytest.mark.parametrize(
    ("title", "expression"), [(title, text) for title, text, _ in QUERIES if "nagayomi_requests_total" in text]
)
def test_requests_are_shown_without_the_probes(title: str, expression: str) -> None:
    selectors, _ = parts_of(expression)
    for selector in selectors:
        (excluded,) = [matcher.value for matcher in selector.matchers.matchers if matcher.name == "endpoint"]
        endpoints = {*PROBES, "/", "/docs", *(f"/{task}" for task in TASKS)}
        assert {path for path in endpoints if re.fullmatch(excluded, path)} == PROBES, title


def test_no_refused_request_is_a_share_of_zero() -> None:
    """Without a failure there is no series with such a status, and a panel without a value looks broken."""
    (expression,) = [text for title, text, _ in QUERIES if title == "Refused or failed"]
    refused, _, requests = expression.partition(" / ")
    assert refused.endswith(" or vector(0))")
    assert "vector" not in requests


def test_panels_stand_next_to_one_another() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells, panel["title"]
        assert max(x for x, _ in own) < 24
        cells |= own
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))

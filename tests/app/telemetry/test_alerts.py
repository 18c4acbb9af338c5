"""The alerts of docker/prometheus: they ask only for metrics, labels and errors that there are, and count no probes."""

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from app import errors
from app.tasks.registry import TASKS
from tests.app.telemetry.test_dashboard import LABELS, PROBES, SCRAPED, parts_of

PROMETHEUS = Path(__file__).parents[3] / "docker" / "prometheus"
(GROUP,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text(encoding="utf-8"))["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
ERROR_TYPES = {error.error_type for error in vars(errors).values() if hasattr(error, "error_type")}
OF_PROMETHEUS = {"up": SCRAPED}
KNOWN = LABELS | OF_PROMETHEUS


def matchers(alert: str) -> list[tuple[str, promql_parser.Matcher]]:
    selectors, _ = parts_of(RULES[alert]["expr"])
    return [(str(selector.name), matcher) for selector in selectors for matcher in selector.matchers.matchers]


@pytest.mark.parametrize("alert", RULES)
def test_every_alert_asks_for_what_there_is(alert: str) -> None:
    selectors, grouped = parts_of(RULES[alert]["expr"])
    assert selectors
    for selector in selectors:
        assert selector.name in KNOWN
        labels = KNOWN[selector.name] | SCRAPED
        assert {matcher.name for matcher in selector.matchers.matchers} <= labels
        assert grouped <= labels
    shown = set(re.findall(r"\$labels\.(\w+)", RULES[alert]["annotations"]["summary"]))
    kept = grouped or set.intersection(*(KNOWN[str(selector.name)] | SCRAPED for selector in selectors))
    assert shown <= kept


@pytest.mark.parametrize("alert", RULES)
def test_every_type_of_error_is_one(alert: str) -> None:
    named = [kind for _, one in matchers(alert) if one.name == "error_type" for kind in one.value.split("|")]
    assert set(named) <= ERROR_TYPES


@pytest.mark.parametrize("alert", ["NagayomiFails", "NagayomiOverloaded"])
def test_requests_are_counted_without_the_probes(alert: str) -> None:
    (excluded,) = {one.value for metric, one in matchers(alert) if metric == "nagayomi_requests_total"}
    endpoints = {*PROBES, "/", "/docs", *(f"/{task}" for task in TASKS)}
    assert {path for path in endpoints if re.fullmatch(excluded, path)} == PROBES


def test_the_job_is_the_one_that_is_scraped() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    (down,) = {one.value for _, one in matchers("NagayomiDown")}
    assert [job["job_name"] for job in config["scrape_configs"]] == [down]

"""How many replicas for how many tokens."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.ray.autoscaling import METRIC, TokensPerReplica


@pytest.mark.parametrize(
    ("tokens", "requests", "waiting", "replicas"),
    [
        ({}, 0, 0, 0),  # Ray Serve keeps to min_replicas
        ({"a": 0.0}, 0, 0, 0),
        ({"a": 1.0}, 1, 0, 1),
        ({"a": 1000.0}, 4, 0, 1),
        ({"a": 1001.0}, 4, 0, 2),
        ({"a": 1500.0, "b": 1500.0}, 30, 0, 3),
        ({"a": 1000.0}, 30, 20, 3),  # those that wait are like those that run
        ({"a": 0.0}, 5, 5, 5),  # nothing is known of them
        ({}, 2, 2, 2),
    ],
)
def test_replicas_for_tokens(tokens: dict[str, float], requests: int, waiting: int, replicas: int) -> None:
    context: Any = SimpleNamespace(
        aggregated_metrics={METRIC: tokens}, total_num_requests=requests, total_queued_requests=waiting
    )
    assert TokensPerReplica(1000)(context) == (replicas, {})


def test_nothing_is_reported_yet() -> None:
    context: Any = SimpleNamespace(aggregated_metrics=None, total_num_requests=0, total_queued_requests=None)
    assert TokensPerReplica(1000)(context) == (0, {})

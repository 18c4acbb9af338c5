"""Simulations whose result can be worked out by hand, and the bounds that queueing theory sets."""

import math
import random

import pytest

from bench.simulate.simulation import Costs, Limits, Outcome, Request, replicas_needed, simulate
from bench.workload import poisson

COSTS = Costs(batch_s=1.0, token_s=0.01)  # a window of 100 tokens costs 128: 2.28 s


def test_one_request_takes_what_it_costs() -> None:
    costs = Costs(batch_s=1.0, token_s=0.01, request_s=0.5, text_token_s=0.001)
    outcome = simulate([Request(3.0, (100,))], costs, Limits())
    assert outcome.latencies_s == pytest.approx([0.5 + 0.1 + 2.28])
    assert outcome.seconds == pytest.approx(2.88)
    assert (outcome.refused, outcome.expired, outcome.tokens, outcome.batch_tokens) == (0, 0, 100, [128])


def test_what_waits_shares_the_next_batch() -> None:
    requests = [Request(0.0, (64,)), Request(0.1, (64,)), Request(0.2, (64,))]
    outcome = simulate(requests, COSTS, Limits())
    first, both = 1.64, 2.28
    assert outcome.batch_tokens == [64, 128]
    assert outcome.latencies_s == pytest.approx([first, first + both - 0.1, first + both - 0.2])


def test_windows_larger_than_a_batch_run_alone() -> None:
    assert simulate([Request(0.0, (64, 64, 640))], COSTS, Limits(max_batch_tokens=128)).batch_tokens == [128, 640]


def test_a_full_queue_refuses_and_a_late_request_expires() -> None:
    requests = [Request(0.0, (640,)), Request(0.1, (64,)), Request(0.2, (64,))]
    outcome = simulate(requests, COSTS, Limits(max_queue_tokens=64 * 10, request_timeout_s=5.0))
    assert (len(outcome.latencies_s), outcome.refused, outcome.expired) == (0, 0, 3), "the first takes 7.4 s"
    outcome = simulate(requests, COSTS, Limits(max_batch_tokens=640, max_queue_tokens=64))
    assert (len(outcome.latencies_s), outcome.refused) == (2, 1), "the first never fits"


def test_an_engine_that_gets_twice_its_work_answers_as_much_as_it_can() -> None:
    """A batch of 640 tokens takes 7.4 s and holds ten windows, and twenty come in that time."""
    requests = [Request(number * 0.37, (64,)) for number in range(2000)]
    limits = Limits(max_batch_tokens=640, max_queue_tokens=10**6, request_timeout_s=20.0)
    outcome = simulate(requests, COSTS, limits)
    possible = 10 * outcome.seconds / 7.4
    assert 0.8 * possible < len(outcome.latencies_s) <= possible


def test_the_waiting_time_of_a_queue_without_batching() -> None:
    """With one window a batch and constant times it is M/D/1: mean wait = rho / (2 (1 - rho)) * service time."""
    service_s, rho = 1.64, 0.5
    rng = random.Random(1)
    requests = [Request(at_s, (64,)) for at_s in poisson(rho / service_s, 200_000 * service_s / 10, rng)]
    outcome = simulate(requests, COSTS, Limits(max_batch_tokens=64, request_timeout_s=1e9))
    mean = sum(outcome.latencies_s) / len(outcome.latencies_s)
    assert mean == pytest.approx(service_s * (1 + rho / (2 * (1 - rho))), rel=0.05)


def test_percentiles_and_goodput() -> None:
    outcome = Outcome([4.0, 1.0, 2.0, 3.0], refused=1, expired=0, seconds=10.0, tokens=10, batch_tokens=[64, 128])
    assert [outcome.percentile_s(percent) for percent in (1, 25, 50, 99, 100)] == [1, 1, 2, 4, 4]
    assert outcome.goodput(2.0) == 0.2
    assert outcome.good_share(2.0) == 0.4
    assert outcome.batch_fill(128) == 0.75
    nothing = Outcome([], 0, 0, 0.0, 0, [])
    assert (nothing.percentile_s(50), nothing.goodput(1), nothing.good_share(1)) == (math.inf, 0.0, 1.0)


def test_replicas_for_a_load() -> None:
    """Ten requests a second of 64 tokens, each of which takes an engine without batching 0.164 s."""
    costs = Costs(batch_s=0.1, token_s=0.001)
    requests = [Request(number / 10, (64,)) for number in range(500)]
    limits = Limits(max_batch_tokens=64)
    assert replicas_needed(requests, costs, limits, objective_s=0.2, share=0.99) == 2
    assert replicas_needed(requests, costs, limits, objective_s=0.1, share=0.99, most=8) is None

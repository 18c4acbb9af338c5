"""How would the service behave under a load? Predicts latencies, goodput, batches and replicas needed, in virtual time.

    python -m bench.simulate --batch-ms 8 --token-us 55 --rate 4 --objective-ms 2000
    python -m bench.simulate --fit http://127.0.0.1:8080 --rate 4 --target-rate 50 --plot load.png
    python -m bench.simulate --fit http://127.0.0.1:8080 --check --rate 0.8 --duration 120

The scheduler is the service's own; only the engine is replaced by one that takes `batch-ms + token-us * tokens`. Give
both costs, for any machine, or let `--fit` measure them by sending single documents to a running service. `--check`
then sends the service a real load, simulates the same arrivals and lengths, and compares: exit code 0 when p50, p99 and
requests/s are predicted within 20 %. Arrivals are Poisson, or recorded (`--arrivals`: a CSV of seconds,tokens); lengths
are log-normal in tokens. The last line is JSON.
"""

import argparse
import asyncio
import dataclasses
import json
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.streams import run_module
from bench.load_test.client import Unusable
from bench.simulate.simulation import (
    Costs,
    Limits,
    Outcome,
    Request,
    recorded,
    replicas_needed,
    simulate,
    windows_of,
)
from bench.workload import log_normal, poisson, positive

TOLERANCE = 0.2
GOOD_SHARE = 0.99  # replicas are enough when this share of requests meets the objective
CHECK_CHARACTERS = (50, 4000)
SWEEP = (0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0, 1.1)  # shares of the rate at which the engine is always busy


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.arrivals is not None:
        for name in ("target_rate", "plot", "check"):
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')} draws arrivals of its own; --arrivals does not go with it.")
    try:
        return _run(args)
    except Unusable as error:
        raise SystemExit(str(error)) from None


def _run(args: argparse.Namespace) -> int:
    limits = Limits(args.max_batch_tokens, args.max_queue_tokens, args.request_timeout_s, args.text_threads)
    if args.check:
        report = asyncio.run(check(args, limits))
        print(json.dumps(report))
        return 0 if report["within_tolerance"] else 1
    costs = asyncio.run(fitted(args.fit)) if args.fit else given_costs(args)
    objective_s = args.objective_ms / 1000
    requests = workload(args, args.rate)
    begun = time.perf_counter()
    outcome = simulate(requests, costs, limits)
    report = {
        **summary(outcome, limits, objective_s),
        "costs": dataclasses.asdict(costs),
        "simulated_s": round(outcome.seconds, 1),
        "took_s": round(time.perf_counter() - begun, 2),
    }
    if args.target_rate is not None:
        report["target_rate"] = args.target_rate
        report["replicas"] = replicas_needed(
            workload(args, args.target_rate), costs, limits, objective_s=objective_s, share=GOOD_SHARE
        )
    if args.plot is not None:
        report["sweep"] = plot(args, costs, limits, objective_s)
    print(table(report))
    print(json.dumps(report))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.simulate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    engine = parser.add_argument_group("engine")
    engine.add_argument("--batch-ms", type=float, help="cost of a batch of any size")
    engine.add_argument("--token-us", type=float, help="cost of a token in the engine, in whole blocks")
    engine.add_argument("--request-ms", type=float, default=1.0, help="cost of a request outside the engine")
    engine.add_argument("--text-token-us", type=float, default=2.0, help="cost of a token on a text thread")
    engine.add_argument("--fit", metavar="URL", help="measure all four costs on a running service")
    engine.add_argument("--check", action="store_true", help="send a real load to the service of --fit, and compare")
    load = parser.add_argument_group("load")
    load.add_argument("--rate", type=positive(float), default=1.0, help="requests a second")
    load.add_argument("--duration", type=positive(float), default=600.0, help="seconds of arrivals")
    load.add_argument(
        "--arrivals", type=Path, metavar="CSV", help="recorded arrivals, seconds,tokens, in place of a rate"
    )
    load.add_argument("--median-tokens", type=positive(float), default=700.0)
    load.add_argument(
        "--sigma", type=positive(float), default=1.0, help="standard deviation of the logarithm of the length"
    )
    load.add_argument("--max-tokens", type=positive(int), default=4096, help="tokens of a window")
    load.add_argument("--doc-stride", type=positive(int), default=2048)
    load.add_argument("--seed", type=int, default=0)
    wanted = parser.add_argument_group("wanted")
    wanted.add_argument(
        "--objective-ms", type=positive(float), default=1000.0, help="an answer is good when it takes no longer"
    )
    wanted.add_argument(
        "--target-rate",
        type=positive(float),
        help="also find the replicas with which 99 %% of the answers at this rate are good",
    )
    wanted.add_argument("--plot", type=Path, metavar="PNG", help="also plot latency and goodput over the rate")
    defaults = Limits()
    service = parser.add_argument_group("settings of the service")
    service.add_argument("--max-batch-tokens", type=positive(int), default=defaults.max_batch_tokens)
    service.add_argument("--max-queue-tokens", type=positive(int), default=defaults.max_queue_tokens)
    service.add_argument("--request-timeout-s", type=positive(float), default=defaults.request_timeout_s)
    service.add_argument("--text-threads", type=positive(int), default=defaults.text_threads)
    return parser


def given_costs(args: argparse.Namespace) -> Costs:
    if args.batch_ms is None or args.token_us is None:
        raise SystemExit("Give --batch-ms and --token-us, or a running service with --fit.")
    return Costs(args.batch_ms / 1e3, args.token_us / 1e6, args.request_ms / 1e3, args.text_token_us / 1e6)


async def fitted(url: str) -> Costs:
    from bench.simulate.measured import costs_of, fit

    return costs_of(await fit(url, rounds=3))


def workload(args: argparse.Namespace, rate: float) -> list[Request]:
    if args.arrivals is not None:
        return recorded(args.arrivals, args.max_tokens, args.doc_stride)
    rng = random.Random(args.seed)
    return [
        Request(at_s, windows_of(log_normal(args.median_tokens, args.sigma, rng), args.max_tokens, args.doc_stride))
        for at_s in poisson(rate, args.duration, rng)
    ]


def summary(outcome: Outcome, limits: Limits, objective_s: float) -> dict[str, Any]:
    return {
        "answered": len(outcome.latencies_s),
        "refused": outcome.refused,
        "expired": outcome.expired,
        # Without an answer there is no latency, and JSON has no infinity.
        "p50_ms": round(1000 * outcome.percentile_s(50), 1) if outcome.latencies_s else None,
        "p99_ms": round(1000 * outcome.percentile_s(99), 1) if outcome.latencies_s else None,
        "requests_per_s": round(len(outcome.latencies_s) / max(outcome.seconds, 1e-9), 3),
        "tokens_per_s": round(outcome.tokens / max(outcome.seconds, 1e-9)),
        "goodput_per_s": round(outcome.goodput(objective_s), 3),
        "good_share": round(outcome.good_share(objective_s), 4),
        "batch_fill": round(outcome.batch_fill(limits.max_batch_tokens), 3),
    }


def table(report: dict[str, Any]) -> str:
    shown = {name: value for name, value in report.items() if not isinstance(value, dict | list)}
    return "\n".join(f"{name:>16}  {value}" for name, value in shown.items())


async def check(args: argparse.Namespace, limits: Limits) -> dict[str, Any]:
    """Measure a real load between two fits, so that a drift in the speed of the machine averages out."""
    from bench.simulate.measured import as_outcome, as_requests, costs_of, fit, send

    if not args.fit:
        raise SystemExit("--check needs the address of a running service: --fit URL.")
    rng = random.Random(args.seed)
    before = await fit(args.fit, rounds=3)
    sent = await send(args.fit, list(poisson(args.rate, args.duration, rng)), CHECK_CHARACTERS, rng)
    if not sent:
        raise SystemExit(f"No request arrives within {args.duration:g} s; give a longer --duration or a higher --rate.")
    costs = costs_of([*before, *await fit(args.fit, rounds=3)])
    objective_s = args.objective_ms / 1000
    measured = summary(as_outcome(sent), limits, objective_s)
    # In a thread, because the simulation runs its own event loop.
    predicted = summary(await asyncio.to_thread(simulate, as_requests(sent), costs, limits), limits, objective_s)
    ratios = {name: round(predicted[name] / measured[name], 3) for name in ("p50_ms", "p99_ms", "requests_per_s")}
    return {
        "predicted_over_measured": ratios,
        "within_tolerance": all(abs(ratio - 1) <= TOLERANCE for ratio in ratios.values()),
        "measured": {name: value for name, value in measured.items() if name != "batch_fill"},
        "predicted": predicted,
        "costs": dataclasses.asdict(costs),
    }


def plot(args: argparse.Namespace, costs: Costs, limits: Limits, objective_s: float) -> list[dict[str, Any]]:
    """Plot latency and goodput over the rate, up to rates beyond the capacity of the engine."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    mean_tokens = statistics.mean(sum(request.windows) for request in workload(args, args.rate))
    busy_rate = 1 / (mean_tokens * (costs.token_s + costs.batch_s / limits.max_batch_tokens))
    points = []
    for share in tqdm(SWEEP, desc="sweep", file=sys.stderr):
        outcome = simulate(workload(args, share * busy_rate), costs, limits)
        points.append({"rate": round(share * busy_rate, 3), **summary(outcome, limits, objective_s)})
    rates = [point["rate"] for point in points]
    figure, (latency, goodput) = pyplot.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for percentile in ("p50_ms", "p99_ms"):
        latency.plot(rates, [point[percentile] for point in points], marker="o", label=percentile.removesuffix("_ms"))
    latency.axhline(args.objective_ms, linestyle=":", color="grey", label="objective")
    latency.set(xlabel="requests/s", ylabel="latency (ms)", yscale="log", title="Latency")
    latency.legend()
    goodput.plot(rates, [point["goodput_per_s"] for point in points], marker="o", label="within the objective")
    goodput.plot(rates, rates, linestyle=":", color="grey", label="sent")
    goodput.set(xlabel="requests/s", ylabel="requests/s", title="Goodput")
    goodput.legend()
    figure.savefig(args.plot, dpi=150)
    pyplot.close(figure)
    return points


if __name__ == "__main__":
    run_module(main)

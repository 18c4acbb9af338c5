"""The figures of a load, and the tables that show them. This module knows results, and does not know how requests are
sent.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.load_test.client import Result
from bench.load_test.loops import Measured
from bench.workload import percentile

STAGES = ("tokenize", "queue", "infer", "decode", "total")
PERCENTILES = (50, 90, 99)
BUCKETS = (0, 256, 1024, 4096, 16_384)  # characters at which each bucket begins
# A client that sends later than this share of the objective, or that uses its whole core, measures itself.
LATE_SHARE = 0.05
BUSY_SHARE = 0.9
FEW = 100  # with fewer answers, the 99th percentile is the slowest answer


@dataclass(frozen=True)
class Table:
    """Cells as text; the first column holds names."""

    title: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def summary(measured: Measured, objective_ms: float) -> dict[str, Any]:
    """All figures; see the fields in __main__.py. Milliseconds, rounded; None where nothing was answered."""
    results = measured.results
    answered = [result for result in results if result.answered]
    good = sum(result.latency_ms <= objective_ms for result in answered)
    # Answers after the last request was sent come from the backlog: they do not count in the rate.
    in_time = [result for result in answered if result.ended_s <= measured.seconds]
    late_p99_ms = _milliseconds([result.late_ms for result in results])["p99"]
    keeps_up = (late_p99_ms or 0.0) <= LATE_SHARE * objective_ms and measured.cpu_share <= BUSY_SHARE
    return {
        "sent": len(results) + measured.unfinished,
        "answered": len(answered),
        "unfinished": measured.unfinished,
        "interrupted": measured.interrupted,
        "seconds": round(measured.seconds, 2),
        "requests_per_s": _rate(len(in_time), measured.seconds),
        "tokens_per_s": _rate(sum(result.tokens for result in in_time), measured.seconds),
        "objective_ms": objective_ms,
        "goodput_per_s": _rate(good, measured.seconds),
        "good_share": round(good / len(results), 4) if results else None,
        "statuses": dict(sorted(Counter(result.outcome for result in results).items())),
        "errors": {result.outcome: result.message for result in reversed(results) if result.message},
        "latency_ms": _milliseconds([result.latency_ms for result in answered]),
        "stages_ms": {
            stage: _milliseconds([result.stages_ms[stage] for result in answered]) for stage in STAGES
        },
        "endpoints": {name: _part(results, name) for name in sorted({result.endpoint for result in results})},
        "lengths": _by_length(results),
        "client": {
            "late_p99_ms": late_p99_ms, "cpu_share": round(measured.cpu_share, 3), "keeps_up": keeps_up,
        },
    }  # fmt: skip


def _milliseconds(values: Sequence[float]) -> dict[str, float | None]:
    return {f"p{percent}": round(percentile(values, percent), 1) if values else None for percent in PERCENTILES}


def _rate(count: int, seconds: float) -> float:
    return round(count / seconds, 3) if seconds else 0.0


def _part(results: Sequence[Result], endpoint: str) -> dict[str, Any]:
    part = [result for result in results if result.endpoint == endpoint]
    return {
        "statuses": dict(sorted(Counter(result.outcome for result in part).items())),
        "tokens": sum(result.tokens for result in part),
        "latency_ms": _milliseconds([result.latency_ms for result in part if result.answered]),
    }


def _by_length(results: Sequence[Result]) -> list[dict[str, Any]]:
    buckets = []
    for first, end in pairwise((*BUCKETS, None)):
        assert first is not None
        part = [r for r in results if first <= r.characters and (end is None or r.characters < end)]
        answered = [result.latency_ms for result in part if result.answered]
        if part:
            buckets.append(
                {
                    "from_characters": first,
                    "below_characters": end,
                    "sent": len(part),
                    "answered": len(answered),
                    "latency_ms": _milliseconds(answered),
                }
            )
    return buckets


def tables(figures: dict[str, Any]) -> list[Table]:
    """The figures as tables for the terminal."""
    shown: list[tuple[str, ...]] = [
        ("sent", f"{figures['sent']:,} requests in {figures['seconds']:,.1f} s"),
        ("answered", ", ".join(f"{status}: {count:,}" for status, count in figures["statuses"].items()) or "nothing"),
        ("throughput", f"{figures['requests_per_s']:,.2f} requests/s, {figures['tokens_per_s']:,.0f} tokens/s"),
        ("goodput", f"{figures['goodput_per_s']:,.2f} requests/s within {figures['objective_ms']:,g} ms"
         + (f" ({figures['good_share']:.1%} of those sent)" if figures["good_share"] is not None else "")),
    ]  # fmt: skip
    stages = [("client", figures["latency_ms"]), *figures["stages_ms"].items()]
    header = tuple(f"p{percent}" for percent in PERCENTILES)
    return [
        Table("", (), shown),
        Table("milliseconds", header, [(name, *_cells(values)) for name, values in stages]),
        Table(
            "milliseconds at the client, by endpoint",
            ("sent", *header),
            [
                (name, f"{sum(part['statuses'].values()):,}", *_cells(part["latency_ms"]))
                for name, part in figures["endpoints"].items()
            ],
        ),
        Table(
            "milliseconds at the client, by characters",
            ("sent", *header),
            [(_range(b), f"{b['sent']:,}", *_cells(b["latency_ms"])) for b in figures["lengths"]],
        ),
    ]


def _cells(values: dict[str, float | None]) -> tuple[str, ...]:
    return tuple("–" if value is None else f"{value:,.1f}" for value in values.values())


def _range(bucket: dict[str, Any]) -> str:
    first, below = bucket["from_characters"], bucket["below_characters"]
    if below is None:
        return f"{first:,} and more"
    return f"{first:,} to {below - 1:,}" if first else f"below {below:,}"


def remarks(figures: dict[str, Any]) -> list[str]:
    """Warnings next to the figures: errors, and reasons to trust the figures less."""
    said = [f"{status}: {message}" for status, message in figures["errors"].items()]
    client = figures["client"]
    if not client["keeps_up"]:
        said.append(
            f"The client could not keep up (p99 of its delay {client['late_p99_ms']:,.1f} ms, "
            f"{client['cpu_share']:.0%} of a core): latencies include its own delay. "
            "Run it on a separate machine, or on several."
        )
    if 0 < figures["answered"] < FEW:
        said.append(f"{figures['answered']} answers: the 99th percentile is the slowest of them.")
    if figures["interrupted"]:
        said.append(f"Interrupted; {figures['unfinished']} requests in flight count only in `sent`.")
    return said


def as_text(table: Table) -> str:
    """Names on the left, cells in aligned columns; without a header, cells unaligned."""
    if not table.header:
        width = max(len(row[0]) for row in table.rows)
        return "\n".join(f"{row[0]:<{width}}  {row[1]}" for row in table.rows)
    rows = [(table.title, *table.header), *table.rows]
    first, *others = (max(len(row[column]) for row in rows) for column in range(len(rows[0])))
    lines = []
    for name, *cells in rows:
        lines.append(f"{name:<{first}}  " + "  ".join(f"{c:>{w + 2}}" for c, w in zip(cells, others, strict=True)))
    return "\n".join(lines)

"""One load test from its arguments (__main__.py) to its last line: describe the service, send, show, write."""

import argparse
import asyncio
import dataclasses
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
from tqdm import tqdm

from bench.load_test.client import Result, Target, Unusable, ask, describe, open_client
from bench.load_test.loops import Load, Measured
from bench.load_test.search import PROBE_REQUESTS, Found, Probe, highest_rate, verdict
from bench.load_test.summary import as_text, remarks, summary, tables
from bench.load_test.traffic import GivenTexts, LogNormalTexts, Texts, requests
from bench.workload import poisson

TICK_S, LOGGED_TICK_S = 0.25, 5.0  # between two progress lines: on a terminal, and in a log file
RECENT_S = 5.0  # the rate of the progress line is the mean over this time
MOST_FILES = 65_536


async def run(args: argparse.Namespace) -> int:
    """The exit code of the command.

    Raises:
        KeyboardInterrupt: Ctrl-C; the figures measured until then have been shown.
    """
    if args.report is not None:
        from bench.load_test import report  # fails before the load, not after it, when a package is missing
    texts = documents(args)
    target = Target(args.url, args.api_key, args.timeout_ms)
    _allow_many_connections()
    async with open_client(target) as client:
        try:
            service = await describe(client, target, args.endpoints)
        except Unusable as error:
            raise SystemExit(str(error)) from None
        session = Session(args, client, texts)
        found = await session.search() if args.search else None
        if found is None:
            await session.load(args.rate)
    measured, figures = session.kept
    record = {
        "url": args.url,
        "service": service,
        "load": as_record(args),
        **figures,
        **({} if found is None else {"search": dataclasses.asdict(found)}),
    }
    about, said = headlines(args, service, found), remarks(figures)
    print("\n\n".join(["\n".join([args.url, *about]), *map(as_text, tables(figures)), "\n".join(said)]).rstrip())
    if args.report is not None:
        drawn = report.charts(measured, figures, found.probes if found is not None else ())
        report.write_report(args.report, args.url, about, drawn)
        print(f"\nThe charts are in {args.report}.")
    print(json.dumps(record, ensure_ascii=False))
    if figures["interrupted"] or (found is not None and found.limited_by == "interrupted"):
        raise KeyboardInterrupt
    return 0 if any(result.reached for result in measured.results) else 1


class Session:
    """Loads on one service. `kept` is the load to report: the last one, or the best of a search."""

    def __init__(self, args: argparse.Namespace, client: httpx.AsyncClient, texts: Texts) -> None:
        self._args = args
        self._client = client
        self._texts = texts
        self.kept: tuple[Measured, dict[str, Any]]

    async def load(self, rate: float | None) -> dict[str, Any]:
        """Run an open loop at this rate, or the closed loop of the arguments; return its figures."""
        args = self._args
        load = Load(partial(ask, self._client))
        following = requests(self._texts, args.endpoints, args.seed)
        if rate is None:
            async with _shown(load, args.duration, f"{args.concurrency} clients"):
                measured = await load.closed_loop(following, args.concurrency, args.duration)
        else:
            times = list(poisson(rate, args.duration, random.Random(args.seed)))
            async with _shown(load, args.duration, f"{rate:g} requests/s"):
                measured = await load.open_loop(zip(times, following, strict=False), args.duration)
        figures = summary(measured, args.objective_ms)
        self.kept = (measured, figures)
        return figures

    async def search(self) -> Found:
        best: tuple[Measured, dict[str, Any]] | None = None
        settle_s = 0.0

        async def probe(rate: float) -> Probe:
            nonlocal best, settle_s
            try:
                await asyncio.sleep(settle_s)
            except asyncio.CancelledError:  # Ctrl-C
                return Probe(rate, 0, None, None, "interrupted")
            settle_s = self._args.settle
            figures = await self.load(rate)
            tried = Probe(rate, figures["sent"], figures["latency_ms"]["p99"], figures["good_share"], verdict(figures))
            if tried.verdict == "holds":
                best = self.kept  # later rates that hold are always higher
            print(probe_line(tried), flush=True)
            return tried

        found = await highest_rate(probe, self._args.rate, lowest=PROBE_REQUESTS / self._args.duration)
        self.kept = best or self.kept
        print(found_line(found, self._args.objective_ms), end="\n\n")
        return found


@asynccontextmanager
async def _shown(load: Load, duration_s: float, name: str) -> AsyncIterator[None]:
    """Show a progress line on stderr while the load runs."""
    tick_s = TICK_S if sys.stderr.isatty() else LOGGED_TICK_S
    with tqdm(total=duration_s, file=sys.stderr, bar_format="{bar:20} {desc}") as bar:

        async def tick() -> None:
            while True:
                show()
                await asyncio.sleep(tick_s)

        def show() -> None:
            bar.n = min(load.clock(), duration_s)
            bar.set_description_str(f"{name}: {progress(load.clock(), load.results, load.in_flight)}")

        ticking = asyncio.create_task(tick())
        try:
            yield
        finally:
            ticking.cancel()
            show()


def progress(now_s: float, results: list[Result], in_flight: int) -> str:
    """The text of the progress line."""
    window_s = min(max(now_s, TICK_S), RECENT_S)
    recent = 0
    for result in reversed(results):
        if result.ended_s < now_s - window_s:
            break
        recent += result.answered
    errors = sum(not result.answered for result in results)
    return f"{now_s:.0f} s, {recent / window_s:.1f} answers/s, {in_flight} in flight, {errors} errors"


def documents(args: argparse.Namespace) -> Texts:
    """The documents to send. Raises SystemExit when the file cannot be read or holds none."""
    try:
        if args.documents is not None:
            return GivenTexts.read(args.documents)
        return LogNormalTexts(args.text.read_text(encoding="utf-8"), args.median_characters, args.sigma)
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from None


def as_record(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of the load, for the last line."""
    drawn = {"text": args.text.name, "median_characters": args.median_characters, "sigma": args.sigma}
    return {
        "loop": "closed" if args.concurrency else "open",
        "rate": args.rate,
        "concurrency": args.concurrency,
        "duration_s": args.duration,
        "endpoints": args.endpoints,
        "documents": args.documents.name if args.documents else drawn,
        "timeout_ms": args.timeout_ms,
        "seed": args.seed,
    }


def headlines(args: argparse.Namespace, service: dict[str, Any], found: Found | None) -> list[str]:
    """The load and the service, in words."""
    if args.concurrency:
        load = f"closed loop, {args.concurrency} in flight for {args.duration:g} s"
    else:
        kept = found.highest_rate or found.probes[-1].rate if found is not None else args.rate
        load = f"open loop, {kept:g} requests/s for {args.duration:g} s"
    tasks = ", ".join(f"{task} {weight:g}" for task, weight in args.endpoints.items())
    lengths = (
        f"documents of {args.documents.name}"
        if args.documents
        else f"log-normal lengths around {args.median_characters:,g} characters (sigma {args.sigma:g})"
    )
    lines = [f"{load}; {tasks}; {lengths}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"]
    if service:
        models = ", ".join(f"{m['name']} ({m['precision']}, {m['provider']})" for m in service["models"])
        lines.append(f"Nagayomi {service['version']}: {models}")
    if found is not None:
        lines.append(found_line(found, args.objective_ms))
    return lines


def probe_line(probe: Probe) -> str:
    p99 = "–" if probe.p99_ms is None else f"{probe.p99_ms:,.1f} ms"
    good = "–" if probe.good_share is None else f"{probe.good_share:.1%}"
    verdicts = {
        "holds": "holds",
        "misses": "misses the objective",
        "client": "the client could not keep up",
        "interrupted": "interrupted",
    }
    return f"{probe.rate:>9,.2f} requests/s: {probe.sent:,} sent, p99 {p99}, {good} good: {verdicts[probe.verdict]}"


def found_line(found: Found, objective_ms: float) -> str:
    fails = min((probe.rate for probe in found.probes if probe.verdict != "holds"), default=0.0)
    reasons = {
        "misses": f"{fails:,.2f} misses it",
        "client": f"at {fails:,.2f} this client could not keep up: run it on a separate machine",
        "interrupted": "the search was interrupted",
    }
    if found.highest_rate is None:
        return f"No rate that was tried holds {objective_ms:,g} ms ({reasons[found.limited_by]})."
    return (
        f"Highest rate that holds {objective_ms:,g} ms: {found.highest_rate:,.2f} requests/s "
        f"({reasons[found.limited_by]})."
    )


def _allow_many_connections() -> None:
    """Raise the limit of open files: every request in flight is one, and 1,024 would seem the limit of the service."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

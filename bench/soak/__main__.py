"""Does the service hold? Runs a real server under a mixed load, with every kind of fault, up to an orderly stop.

    python -m bench.soak --minutes 10
    python -m bench.soak --minutes 10 --report docs/soak.md

Starts `nagayomi serve` with the models of --model-store and sends in phases. First, each valid request once, alone:
later answers are compared with these. Then as many requests as the server can answer: its capacity. Then, together with
clients that leave while sending or waiting, read or send slowly, never finish, send malformed, too large or mistyped
bodies, and set deadlines that pass: overload at three times the capacity, calm, a SIGKILL of an engine, overload, calm,
and at last SIGTERM under overload.

The soak passes, with exit code 0, when

    every request is answered      except those whose client left, and those sent after the server stopped listening
    statuses and errors            are documented, errors have the documented form, and 429 always carries Retry-After
    results                        equal those of the quiet run; scores to 1e-5
    every request                  is in the server's log once, with the status that the client saw
    overload                       was answered with 200 and 429
    the killed engine              made the service unready, then ready again; only requests in that engine got 503
    metrics                        by endpoint, status and error type, tokens and windows equal the client's counts
    resident memory                of the service and of each engine grows by at most 5 % from the first calm phase,
                                   which follows a warm-up and an overload, to the last (medians of samples)
    SIGTERM                        ends the server within the drain time, with the exit code of a terminated process
    the log                        holds no exception except those of the crash

For clients that leave, the status comes from the server's log. --report writes everything as Markdown with a picture.
The minutes are those of the load; the start, the quiet run and the end come on top. Linux only. The last line is JSON.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.streams import run_module
from bench.soak import report
from bench.soak.checks import check_all
from bench.soak.phases import SHARES, Load
from bench.soak.record import Record
from bench.soak.report import Soak
from bench.soak.server import Server


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of load")
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--report", type=Path, metavar="FILE.md", help="also write a report, and a picture next to it")
    parser.add_argument("--seed", type=int, default=0, help="seed of the requests and their times")
    parser.add_argument("--logs", type=Path, metavar="DIRECTORY", help="also keep the server's logs in this folder")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        logs = args.logs or Path(temporary)
        logs.mkdir(parents=True, exist_ok=True)
        soak = asyncio.run(run(args.minutes, args.model_store, logs, args.seed))
    print(report.table(soak.checks))
    if args.report is not None:
        report.write(soak, args.report)
    print(json.dumps(report.summary(soak)))
    return 0 if soak.passed else 1


async def run(minutes: float, store: Path, logs: Path, seed: int) -> Soak:
    """One soak, from the start of a server to its end."""
    record = Record()
    with Server(store, logs) as server:
        await server.ready()
        models = sorted(server.engines())
        load = Load(server, record, seed)
        watching = [
            asyncio.create_task(server.watch_memory()),
            asyncio.create_task(_show(record, server, round(60 * minutes))),
        ]
        try:
            await load.quiet()
            seconds = {phase: 60 * minutes * share for phase, share in SHARES.items()}
            await load.capacity(seconds["capacity"])
            await load.overload("overload 1", seconds["overload 1"])
            await load.calm("calm 1", seconds["calm 1"])
            await load.crash(seconds["crash"])
            await load.overload("overload 2", seconds["overload 2"])
            await load.calm("calm 2", seconds["calm 2"])
            await load.settle()
            await load.stop()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        checks = check_all(record, load.events, server.lines(), server.errors(), server.memory)
    return Soak(minutes, seed, models, record, load.events, server.memory, checks)


async def _show(record: Record, server: Server, seconds: int) -> None:
    """Show the progress through the phases once a second, until cancelled."""
    ends = dict(zip(SHARES, accumulate(SHARES.values()), strict=True))
    with tqdm(total=seconds, desc="soak", unit="s", file=sys.stderr, bar_format=_BAR) as progress:
        while True:
            statuses = " ".join(f"{status}:{count}" for status, count in sorted(record.answered.items()))
            resident = np.nansum([values[-1] for values in server.memory.resident.values()]) / 1e6
            progress.set_description(record.phase, refresh=False)
            progress.set_postfix_str(f"{len(record.sent)} sent, {statuses}, {resident:.0f} MB", refresh=False)
            if record.phase in SHARES:
                begun = ends[record.phase] - SHARES[record.phase]
                inside = (time.time() - record.phases[-1][1]) / seconds
                progress.n = round(seconds * min(begun + inside, ends[record.phase]))
            progress.refresh()
            await asyncio.sleep(1)


_BAR = "{desc:12} {percentage:3.0f}%|{bar:20}| {elapsed}, {postfix}"

if __name__ == "__main__":
    run_module(main)

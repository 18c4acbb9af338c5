"""Load on a running service, local or remote: throughput, latencies by stage and length, statuses, goodput.

    python -m bench.load_test --url http://127.0.0.1:8080 --rate 4 --duration 60 --report load.png
    python -m bench.load_test --url https://reader.example --concurrency 32 --duration 60 --endpoints qa=3,classify
    python -m bench.load_test --url http://127.0.0.1:8080 --search --objective-ms 2000 --duration 60

`--rate` is an open loop: Poisson arrivals that do not wait for answers. Latency counts from the time at which a request
was scheduled, so waiting in a slow service or a slow client is counted too. `--concurrency` is a closed loop: this many
clients, each with one request in flight. `--search` finds the highest open-loop rate at which 99 % of all requests are
answered within the objective: it doubles from `--rate`, then bisects.

Needs the extra `bench` (httpx, and matplotlib for `--report`), but no model and no engine. Requests go only to the
given address; redirects and proxies are not followed. The API key comes from --api-key, or from NAGAYOMI_API_KEY, which
other users of the machine cannot see. Ctrl-C ends the load and shows the figures measured so far.

Exit code: 0 when the load ran to its end; 1 when the service could not be reached or refuses such requests (no key, no
model); 2 for invalid arguments; 130 after Ctrl-C. The last line is JSON:

    url, service, load          the address, its models, and the arguments of the load
    sent, answered, unfinished, interrupted     requests; unfinished: in flight at Ctrl-C
    seconds                     time during which requests were sent
    requests_per_s, tokens_per_s    answered with 200 during that time
    goodput_per_s, good_share   answered within objective_ms; the share is of all requests sent
    statuses                    counts by status code, or by kind of failure without an answer; errors: one message each
    latency_ms                  of answered requests, measured at the client; p50, p90 and p99
    stages_ms                   the same by stage, as measured by the service
    endpoints, lengths          the same by endpoint and by characters of the document
    client                      its delay in sending, its share of a core, and whether it could keep up
    search                      with --search: highest_rate, limited_by, and all probes; the other figures are those of
                                the best probe
"""

import argparse
import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from app.streams import run_module
from bench.load_test.search import PROBE_REQUESTS
from bench.load_test.traffic import parse_weights
from bench.workload import SAMPLE, positive

T = TypeVar("T")

KEY_VARIABLE = "NAGAYOMI_API_KEY"
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    args = _checked(_parser(), arguments)
    try:
        from bench.load_test import session

        return asyncio.run(session.run(args))
    except ModuleNotFoundError as error:
        raise SystemExit(
            f"This needs the package {str(error.name).partition('.')[0]}; install the extra `bench`: "
            "pip install -c constraints.txt -e '.[bench]'"
        ) from None
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.load_test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True, type=_words(checked_url), help="address of the service; http or https")
    parser.add_argument("--api-key", default=os.environ.get(KEY_VARIABLE), help=f"default: {KEY_VARIABLE}")
    parser.add_argument(
        "--timeout-ms", type=positive(int), help="sent as X-Timeout-Ms; default: the service's own timeout"
    )
    load = parser.add_argument_group("load")
    load.add_argument(
        "--rate", type=positive(float), help="open loop: requests a second; with --search, the first rate to try"
    )
    load.add_argument("--concurrency", type=positive(int), help="closed loop: requests in flight")
    load.add_argument("--duration", type=positive(float), default=60.0, metavar="S", help="seconds; default: 60")
    load.add_argument(
        "--endpoints",
        type=_words(parse_weights),
        default="qa,summarize,classify",
        metavar="TASK=WEIGHT,…",
        help="default: %(default)s, equally often",
    )
    load.add_argument("--seed", type=int, default=0, help="seed of arrivals, lengths and texts")
    documents = parser.add_argument_group("documents", "log-normal lengths from 64 to 20,000 characters, or a file")
    documents.add_argument("--median-characters", type=positive(float), default=1000.0, metavar="N")
    documents.add_argument(
        "--sigma", type=positive(float), default=1.0, help="standard deviation of the logarithm of the length"
    )
    documents.add_argument("--text", type=Path, default=SAMPLE, help="file to cut documents from; default: %(default)s")
    documents.add_argument(
        "--documents", type=Path, metavar="JSONL", help='send these documents unchanged: one line of {"text": …} each'
    )
    wanted = parser.add_argument_group("wanted")
    wanted.add_argument(
        "--objective-ms", type=positive(float), default=1000.0, help="an answer is good when it takes no longer"
    )
    wanted.add_argument("--report", type=_words(_report_file), metavar="FILE", help="write charts as PNG")
    wanted.add_argument("--search", action="store_true", help="find the highest rate that holds the objective")
    wanted.add_argument(
        "--settle", type=float, default=2.0, metavar="S", help="pause between two probes, in seconds; default: 2"
    )
    return parser


def _checked(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    args = parser.parse_args(arguments)
    if args.search:
        args.rate = args.rate or 1.0
        if args.concurrency is not None:
            parser.error("--search looks for a rate: combine it with --rate, not with --concurrency.")
        if (expected := args.rate * args.duration) < PROBE_REQUESTS:
            parser.error(
                f"{args.duration:g} s at {args.rate:g} requests/s are {expected:g} requests; a probe needs "
                f"{PROBE_REQUESTS}: raise --duration or --rate."
            )
    elif (args.rate is None) == (args.concurrency is None):
        parser.error("Give one of --rate (open loop), --concurrency (closed loop) and --search.")
    return args


def checked_url(url: str) -> str:
    """The base address; the paths of the endpoints are appended to it.

    Raises:
        ValueError: says what is wrong with it.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{url!r}: the address must begin with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "The address must not contain a user or a password, because reports show it. Pass a key with --api-key."
        )
    if not parts.hostname:
        raise ValueError(f"{url!r} names no host.")
    if parts.query or parts.fragment:
        raise ValueError(
            f"{url!r}: a base address must not contain ? or #; /qa, /summarize and /classify are appended to it."
        )
    _ = parts.port  # raises ValueError when the port is not a number
    return url.rstrip("/")


def _report_file(value: str) -> Path:
    file = Path(value)
    if file.suffix != ".png":
        raise ValueError(f"{value!r}: a report is a .png file.")
    if not file.parent.is_dir():
        raise ValueError(f"{value!r}: there is no folder {file.parent}.")
    return file


def _words(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Show the sentence of a ValueError, where argparse would only say that the value is invalid."""

    def parsed(value: str) -> T:
        try:
            return parse(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parsed


if __name__ == "__main__":
    run_module(main)

"""The checks at the end of a soak, each with the reason for its verdict.

Reads the record of the client, the log and the metrics of the server, and the memory of its processes. This module does
not know how requests were sent.
"""

import math
import re
import signal
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.soak.phases import CRASHED, OVERLOAD, Events
from bench.soak.record import Record, Sent
from bench.soak.server import STOP_S, Line, Memory

GROWTH = 0.05  # allowed growth of resident memory between the two calm phases
COMPARED = ("calm 1", "calm 2")
OVERLOADS = ("overload 1", "overload 2")

_TASKS = ("/qa", "/summarize", "/classify")
_COUNTED = {  # by name in /metrics: the thing counted, and the labels
    "nagayomi_requests_total": ("requests", ("endpoint", "status")),
    "nagayomi_errors_total": ("errors", ("endpoint", "error_type")),
    "nagayomi_tokens_total": ("tokens", ("task",)),
    "nagayomi_windows_total": ("windows", ("task",)),
}
_ALSO_ASKED = ("/readyz", "/metrics")  # the harness asks these too, at the start and for the metrics
_EMPTY = frozenset({"nagayomi_in_flight", "nagayomi_queue_tokens", "nagayomi_queue_requests"})
_FORESEEN = re.compile(
    r"a batch of \d+ documents, \d+ tokens failed$|the engine of \S+ ended with code -9 |"
    r"\d+ requests are not answered after the drain timeout|Cancel \d+ running task\(s\), timeout graceful shutdown"
)
_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """One check, its verdict, and the reason."""

    name: str
    passed: bool
    reason: str


def check_all(
    record: Record,
    events: Events,
    lines: Sequence[tuple[str, Line]],
    errors: Sequence[Mapping[str, Any]],
    memory: Memory,
) -> list[Check]:
    """Every check.

    Args:
        lines: the server's log lines about requests.
        errors: its other log lines.
    """
    return [
        check_answers(record, events, lines, stopped_listening(errors)),
        check_form(record),
        check_results(record),
        check_once(record, lines),
        check_overload(record, events),
        check_crash(record, events),
        check_metrics(record, dict(lines), events.metrics),
        check_memory(record, memory),
        check_stop(record, events),
        check_log(errors),
    ]


def stopped_listening(errors: Iterable[Mapping[str, Any]]) -> float:
    """The time at which the server stopped listening, in seconds since the epoch."""
    times = [line["time"] for line in errors if line["message"] == "Shutting down"]
    return datetime.fromisoformat(times[0]).timestamp() if times else math.inf


def check_answers(record: Record, events: Events, log: Sequence[tuple[str, Line]], stopped_listening: float) -> Check:
    """Every request has a whole answer, unless its client left or it arrived after the server stopped listening.

    A connection that the kernel has accepted, but the server not yet when it stops listening, is lost, and so is a
    request on an idle connection that is closed at that moment. Every request that reached the application must be
    answered, and so must every request before SIGTERM.
    """
    logged = {request_id for request_id, _ in log}
    missing = [sent for sent in record.sent if sent.status is None and not sent.left]
    too_late = [
        sent
        for sent in missing
        if sent.request_id not in logged
        and sent.began > events.terminated
        and sent.ended is not None
        and sent.ended >= stopped_listening
    ]
    wrong = [sent for sent in missing if sent not in too_late]
    waited = len(record.sent) - sum(sent.left for sent in record.sent)
    return Check(
        "every request is answered",
        not wrong,
        _first(wrong, lambda sent: sent.unanswered or "nothing came")
        or f"{waited - len(too_late)} of {waited}; the other {len(too_late)} arrived after it stopped listening",
    )


def check_form(record: Record) -> Check:
    """Only documented status codes, each error in the documented form, 429 with Retry-After."""
    wrong = [sent for sent in record.sent if sent.problem and sent.status != 200]
    errors = sum(sent.status not in (None, 200) for sent in record.sent)
    return Check(
        "statuses and errors are the documented ones",
        not wrong,
        _first(wrong, lambda sent: sent.problem) or f"{errors} errors, each in the documented form",
    )


def check_results(record: Record) -> Check:
    """Every result equals that of the quiet run, which must be complete."""
    quiet = record.of_phase("quiet")
    unanswered = [sent for sent in quiet if sent.status != 200]
    wrong = [sent for sent in record.sent if sent.problem and sent.status == 200]
    compared = sum(sent.status == 200 and sent.wanted is not None for sent in record.sent) - len(quiet)
    return Check(
        "results equal those of the quiet run",
        not wrong and not unanswered and compared > 0,
        _first(unanswered, lambda sent: f"quiet, {sent.status}")
        or _first(wrong, lambda sent: sent.problem)
        or f"{compared} results compared with {len(quiet)}",
    )


def check_once(record: Record, log: Sequence[tuple[str, Line]]) -> Check:
    """The server's log has every request once, with the status that the client saw."""
    times = Counter(request_id for request_id, _ in log)
    lines = dict(log)
    sent_ids = {sent.request_id for sent in record.sent}
    wrong = [f"{request_id} is logged {count} times" for request_id, count in times.items() if count > 1]
    wrong += [f"{request_id} is logged but was not sent" for request_id in times if request_id not in sent_ids]
    for sent in record.sent:
        if not sent.is_logged:
            continue
        line = lines.get(sent.request_id)
        if line is None:
            wrong.append(f"{sent.request_id} ({sent.kind}) is not in the log")
        elif not sent.left and (line.status, line.error_type) != (sent.status, sent.error_type):
            wrong.append(f"{sent.request_id} was answered {sent.status} {sent.error_type}, logged {line}")
    return Check(
        "every request is logged once",
        not wrong,
        _listed(wrong) or f"{len(log)} requests in the log, each once, as the client saw it",
    )


def check_overload(record: Record, events: Events) -> Check:
    """In each overload the server answered requests and refused others."""
    refused = [sum(sent.status == 429 for sent in record.of_phase(phase)) for phase in OVERLOADS]
    served = [sum(sent.status == 200 for sent in record.of_phase(phase)) for phase in OVERLOADS]
    offered = " and ".join(f"{rate:.1f}" for rate in events.offered)
    return Check(
        f"at {OVERLOAD:g} times the capacity, some are answered and some refused",
        min(refused) > 0 and min(served) > 0,
        f"capacity {events.capacity:.1f} requests/s, offered {offered}; answered 200: {served[0]} and {served[1]}, "
        f"429: {refused[0]} and {refused[1]}",
    )


def check_crash(record: Record, events: Events) -> Check:
    """Killing an engine fails only the requests in it; the service turns unready, then ready again."""
    failed = [sent for sent in record.sent if sent.error_type == "engine_failed"]
    others = [sent for sent in failed if sent.phase != "crash" or sent.path != CRASHED]
    unavailable = [sent for sent in record.sent if sent.error_type == "unavailable" and sent.phase != "stop"]
    restarts = {
        labels["model"]: int(value)
        for name, labels, value in _samples(events.metrics)
        if name == "nagayomi_engine_restarts_total"
    }
    wanted = {model: events.crashes * (model == events.crashed_model) for model in restarts}
    if events.not_ready is None or events.ready_again is None:
        return Check("a killed engine comes back", False, "the service did not turn unready and then ready again")
    away_s = events.ready_again - events.crashed
    passed = bool(failed) and not others and not unavailable and restarts == wanted
    return Check(
        "a killed engine comes back",
        passed,
        _first(others, lambda sent: "another engine failed")
        or _first(unavailable, lambda sent: "503 outside of the crash")
        or f"{events.crashed_model} was ready again after {away_s:.1f} s; {len(failed)} requests in it got 503; "
        f"restarts {restarts}",
    )


def check_metrics(record: Record, lines: Mapping[str, Line], metrics: str) -> Check:
    """The server's counters equal the counts of the client. For clients that left, the log gives the status."""
    wanted: Counter[tuple[str, ...]] = Counter()
    for sent in record.sent:
        if sent.phase == "stop" or sent.path in _ALSO_ASKED or (sent.left and sent.unanswered):
            continue
        endpoint = sent.path if sent.path in _TASKS else "other"
        status, error_type = sent.status, sent.error_type
        if sent.left and (line := lines.get(sent.request_id)) is not None:
            status, error_type = line.status, line.error_type
        wanted["requests", endpoint, str(status)] += 1
        if error_type:
            wanted["errors", endpoint, error_type] += 1
        if status == 200 and sent.wanted is not None:
            usage = record.references[sent.wanted.name]["usage"]
            wanted["tokens", sent.path[1:]] += usage["tokens"]
            wanted["windows", sent.path[1:]] += usage["windows"]
    counted: Counter[tuple[str, ...]] = Counter()
    left: list[str] = []
    for name, labels, value in _samples(metrics):
        if (named := _COUNTED.get(name)) is not None and labels.get("endpoint") not in _ALSO_ASKED:
            counted[named[0], *(labels[label] for label in named[1])] += int(value)
        elif name in _EMPTY and value:
            left.append(f"{name} is {value:g}, but no request is left")
    differing = [
        f"{' '.join(key)}: the client counts {wanted[key]}, the server {counted[key]}"
        for key in sorted(wanted.keys() | counted.keys())
        if wanted[key] != counted[key]
    ]
    by_error = Counter({key[2]: 0 for key in wanted if key[0] == "errors"})
    for key, count in wanted.items():
        if key[0] == "errors":
            by_error[key[2]] += count
    errors = ", ".join(f"{name} {count}" for name, count in sorted(by_error.items()))
    return Check(
        "metrics equal the client's counts",
        bool(metrics) and not differing and not left,
        _listed(differing + left)
        or f"{len(wanted)} counters of requests, errors, tokens and windows; of errors: {errors}",
    )


def check_memory(record: Record, memory: Memory) -> Check:
    """Resident memory stays flat after the warm-up."""
    growth = growths(record, memory)
    grown = {name: share for name, share in growth.items() if not share <= GROWTH}
    shown = ", ".join(f"{name} {share:+.1%}" for name, share in (grown or growth).items())
    return Check(f"resident memory grows by {GROWTH:.0%} at most", bool(growth) and not grown, shown)


def growths(record: Record, memory: Memory) -> dict[str, float]:
    """Growth by process: the median of the second calm phase over that of the first, minus one."""
    first, last = (medians(record, memory, phase) for phase in COMPARED)
    return {name: last.get(name, math.nan) / first[name] - 1 for name in first}


def medians(record: Record, memory: Memory, phase: str) -> dict[str, float]:
    """Resident bytes in a phase, by process."""
    begins = [begin for _, begin in record.phases] + [math.inf]
    index = next(index for index, (name, _) in enumerate(record.phases) if name == phase)
    inside = [begins[index] <= at < begins[index + 1] for at in memory.times]
    found = {
        name: [value for value, within in zip(values, inside, strict=True) if within and not math.isnan(value)]
        for name, values in sorted(memory.resident.items())
    }
    return {name: statistics.median(values) for name, values in found.items() if values}


def check_stop(record: Record, events: Events) -> Check:
    """SIGTERM under load ends the server in time, with the exit code of a terminated process."""
    if events.stopped is None or events.exit_code is None:
        return Check("SIGTERM ends the server in time", False, f"it was still running after {STOP_S:g} s")
    seconds = events.stopped - events.terminated
    statuses = Counter(str(sent.status) for sent in record.of_phase("stop") if sent.status is not None)
    return Check(
        "SIGTERM ends the server in time",
        events.exit_code == -signal.SIGTERM,
        f"exit code {events.exit_code} after {seconds:.1f} s of {STOP_S:g} s; answers of that phase: "
        + ", ".join(f"{status} {count}" for status, count in sorted(statuses.items())),
    )


def check_log(errors: Iterable[Mapping[str, Any]]) -> Check:
    """The log holds no unexpected line: exceptions only of batches in the killed engine."""
    unforeseen = [
        line["message"] for line in errors if line.get("level") == "ERROR" and not _FORESEEN.match(line["message"])
    ]
    return Check(
        "the log holds no unexpected line",
        not unforeseen,
        _listed(unforeseen) or "errors of the crash and the end only",
    )


def _samples(metrics: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _listed(words: Sequence[str]) -> str:
    more = f"; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "; ".join(words[:_SHOWN]) + more


def _first(wrong: Sequence[Sent], why: Callable[[Sent], str]) -> str:
    return _listed([f"{sent.request_id} ({sent.kind}, {sent.phase}): {why(sent)}" for sent in wrong])

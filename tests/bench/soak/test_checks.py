"""Each check of the soak passes on a run in which all is well, and fails on one thing that is not."""

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from bench.soak.checks import check_all
from bench.soak.connection import Answer
from bench.soak.phases import Events
from bench.soak.record import CIRCUMSTANCES, Record, Sent
from bench.soak.requests import Wanted
from bench.soak.server import Line, Memory

WANTED = Wanted("qa", "/qa", b"{}")
BODY: dict[str, Any] = {"score": 0.5, "usage": {"tokens": 10, "windows": 1}, "timings": {}}
STOP_S = 1000.0  # when the server stopped listening


def answer(sent: Sent, status: int, error_type: str = "", **changes: Any) -> None:
    fields: dict[str, Any] = BODY if status == 200 else {"error": "No.", "error_type": error_type}
    body = {**fields, **({} if status == 200 else {"request_id": sent.request_id}), **changes}
    headers = {"x-request-id": sent.request_id, "content-type": "application/json"}
    if status == 429:
        headers["retry-after"] = "3"
    sent.take(Answer(status, headers, json.dumps(body).encode()), {WANTED.name: BODY})


@dataclass
class Run:
    """All that the checks look at, of a run in which all is well."""

    record: Record = field(default_factory=Record)
    events: Events = field(default_factory=Events)
    lines: list[tuple[str, Line]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.record.references[WANTED.name] = BODY
        for phase, status, error_type in [
            ("quiet", 200, ""), ("overload 1", 200, ""), ("overload 1", 429, "overloaded"), ("calm 1", 200, ""),
            ("crash", 503, "engine_failed"), ("overload 2", 200, ""), ("overload 2", 429, "overloaded"),
            ("calm 2", 504, "deadline_exceeded"), ("calm 2", None, "client_gone"), ("stop", 503, "unavailable"),
        ]:  # fmt: skip
            if phase != self.record.phase:
                self.record.enter(phase)
                at = 10.0 * len(self.record.phases)
                self.record.phases[-1] = (phase, at)
                self.memory.add(at + 5, {"service": 100, "m": 50})
            sent = self.record.open("normal", "/qa", CIRCUMSTANCES | {200}, WANTED)
            sent.began = at
            if status is None:
                sent.left = True
            else:
                answer(sent, status, error_type)
            self.log(sent, status or 499, error_type)
        self.errors.append({"level": "INFO", "message": "Shutting down", "time": "1970-01-01T00:16:40+00:00"})
        self.events = Events(
            capacity=1.0, offered=[3.0, 3.0], crashed_model="m", crashes=1, crashed=40.0, not_ready=41.0,
            ready_again=42.0, terminated=90.0, stopped=95.0, exit_code=-signal.SIGTERM, metrics=METRICS,
        )  # fmt: skip

    def log(self, sent: Sent, status: int, error_type: str) -> None:
        self.lines.append((sent.request_id, Line(status, error_type)))

    def failed(self) -> dict[str, str]:
        checks = check_all(self.record, self.events, self.lines, self.errors, self.memory)
        return {check.name: check.reason for check in checks if not check.passed}


METRICS = """
nagayomi_requests_total{endpoint="/qa",key="",status="200"} 4.0
nagayomi_requests_total{endpoint="/qa",key="",status="429"} 2.0
nagayomi_requests_total{endpoint="/qa",key="",status="499"} 1.0
nagayomi_requests_total{endpoint="/qa",key="",status="503"} 1.0
nagayomi_requests_total{endpoint="/qa",key="",status="504"} 1.0
nagayomi_requests_total{endpoint="/readyz",key="",status="200"} 7.0
nagayomi_errors_total{endpoint="/qa",error_type="overloaded"} 2.0
nagayomi_errors_total{endpoint="/qa",error_type="client_gone"} 1.0
nagayomi_errors_total{endpoint="/qa",error_type="engine_failed"} 1.0
nagayomi_errors_total{endpoint="/qa",error_type="deadline_exceeded"} 1.0
nagayomi_tokens_total{task="qa"} 40.0
nagayomi_windows_total{task="qa"} 4.0
nagayomi_engine_restarts_total{model="m"} 1.0
nagayomi_in_flight 0.0
"""


def test_all_is_well() -> None:
    assert Run().failed() == {}


def send(run: Run, status: int | None, error_type: str = "", *, logged: bool = True, **changes: Any) -> Sent:
    """One more request of the last phase."""
    sent = run.record.open("normal", "/qa", CIRCUMSTANCES | {200}, WANTED)
    sent.began = 90.0
    if status is None:
        sent.unanswered, sent.ended = "no answer", 90.0
    else:
        answer(sent, status, error_type, **changes)
    if logged:
        run.log(sent, status or 499, error_type)
    return sent


def unanswered_late(run: Run, *, began: float, ended: float, logged: bool) -> None:
    sent = send(run, None, logged=logged)
    sent.began, sent.ended = began, ended


def grow(run: Run, name: str, share: float) -> None:
    index = [name for name, _ in run.record.phases].index("calm 2")
    run.memory.resident[name][index] *= 1 + share


def accept_all(run: Run, phase: str) -> None:
    """The requests that an overload should have refused, answered in another phase."""
    for sent in run.record.sent:
        if sent.phase == phase and sent.status == 429:
            sent.phase = "calm 2"


def change_metric(run: Run, line: str, value: str) -> None:
    assert line in run.events.metrics
    run.events = replace(run.events, metrics=run.events.metrics.replace(line, f"{line.rpartition(' ')[0]} {value}"))


CASES: dict[str, tuple[Callable[[Run], Any], str, str]] = {
    "silence": (lambda run: send(run, None), "every request is answered", "no answer"),
    "silence for one that came before it was told to stop": (
        lambda run: unanswered_late(run, began=89.0, ended=STOP_S + 1, logged=False), "every request is answered", "no",
    ),
    "silence while it still listened": (
        lambda run: unanswered_late(run, began=91.0, ended=STOP_S - 1, logged=False), "every request is answered", "no",
    ),
    "silence after the application had it": (
        lambda run: unanswered_late(run, began=91.0, ended=STOP_S + 1, logged=True), "every request is answered", "no",
    ),
    "an undocumented status": (
        lambda run: send(run, 500, "internal"), "statuses and errors are the documented ones", "500 is not documented",
    ),
    "a status of another fault": (
        lambda run: send(run, 422, "invalid_input"), "statuses and errors are the documented ones", "422 instead of",
    ),
    "an error with another field": (
        lambda run: send(run, 503, "unavailable", detail="x"), "statuses and errors are the documented ones", "fields",
    ),
    "a wrong result": (
        lambda run: send(run, 200, score=0.6), "results equal those of the quiet run", ".score is 0.6, not 0.5",
    ),
    "a request that is not logged": (
        lambda run: send(run, 200, logged=False), "every request is logged once", "is not in the log",
    ),
    "a request that is logged twice": (
        lambda run: run.lines.append(run.lines[0]), "every request is logged once", "logged 2 times",
    ),
    "another status in the log": (
        lambda run: run.log(send(run, 200, logged=False), 503, ""), "every request is logged once", "answered 200",
    ),
    "a crash without recovery": (
        lambda run: setattr(run.events, "ready_again", None), "a killed engine comes back", "did not turn unready",
    ),
    "a request that is not counted": (
        lambda run: change_metric(run, 'requests_total{endpoint="/qa",key="",status="200"} 4.0', "3.0"),
        "metrics equal the client's counts", "requests /qa 200: the client counts 4, the server 3",
    ),
    "an error that is counted twice": (
        lambda run: change_metric(run, 'error_type="client_gone"} 1.0', "2.0"),
        "metrics equal the client's counts", "errors /qa client_gone: the client counts 1, the server 2",
    ),
    "tokens that are not counted": (
        lambda run: change_metric(run, 'tokens_total{task="qa"} 40.0', "30.0"),
        "metrics equal the client's counts", "tokens qa: the client counts 40, the server 30",
    ),
    "a request that never ends": (
        lambda run: change_metric(run, "nagayomi_in_flight 0.0", "1.0"),
        "metrics equal the client's counts", "nagayomi_in_flight is 1, but no request is left",
    ),
    "an overload that refuses nobody": (
        lambda run: accept_all(run, "overload 2"),
        "at 3 times the capacity, some are answered and some refused", "429: 1 and 0",
    ),
    "memory of the service": (
        lambda run: grow(run, "service", 0.06), "resident memory grows by 5% at most", "service +6.0%",
    ),
    "memory of an engine": (lambda run: grow(run, "m", 0.06), "resident memory grows by 5% at most", "m +6.0%"),
    "another exit code": (
        lambda run: setattr(run.events, "exit_code", 1), "SIGTERM ends the server in time", "exit code 1",
    ),
    "no end": (lambda run: setattr(run.events, "exit_code", None), "SIGTERM ends the server in time", "still running"),
    "an exception": (
        lambda run: run.errors.append({"level": "ERROR", "message": "request x failed", "time": ""}),
        "the log holds no unexpected line", "request x failed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_thing_is_not(case: str) -> None:
    run = Run()
    break_it, check, words = CASES[case]
    break_it(run)
    failed = run.failed()
    assert list(failed) == [check]
    assert words in failed[check]


def test_a_client_that_comes_when_no_server_listens_is_not_missed() -> None:
    run = Run()
    unanswered_late(run, began=91.0, ended=STOP_S + 1, logged=False)
    assert run.failed() == {}


@pytest.mark.parametrize(("whole_s", "problem"), [(0.1, "408 though the body was sent within 0.10 s"), (60.0, "")])
def test_408_is_for_the_slow(whole_s: float, problem: str) -> None:
    sent = Sent("soak-1", "calm 1", "normal", "/qa", CIRCUMSTANCES, began=0.0, whole=whole_s)
    answer(sent, 408, "body_timeout")
    assert sent.problem == problem


def test_retry_after() -> None:
    sent = Sent("soak-1", "calm 1", "normal", "/qa", CIRCUMSTANCES)
    body = json.dumps({"error": "No.", "error_type": "overloaded", "request_id": "soak-1"}).encode()
    headers = {"x-request-id": "soak-1", "content-type": "application/json"}
    sent.take(Answer(429, headers, body), {})
    assert sent.problem == "429 with Retry-After ''"

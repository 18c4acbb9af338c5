"""The client's record of every request, which all checks of the soak compare with.

This module knows the documented form of errors, and does not know how a request was sent.
"""

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from bench.soak.connection import Answer
from bench.soak.requests import Wanted, difference
from bench.soak.server import BODY_TIMEOUT_S

# Every answer has one of these. docs/http.md names them; 405 is HTTP's own.
DOCUMENTED = frozenset({200, 401, 404, 405, 408, 413, 422, 429, 503, 504})
# A valid request may get these under load, in a crash or at the stop.
CIRCUMSTANCES = frozenset({429, 503, 504})

_CLOCKS_S = 0.1  # the server starts to time a body later than the client


@dataclass
class Sent:
    """One request. Times are seconds since the epoch, to be compared with those of the server's log."""

    request_id: str
    phase: str
    kind: str  # kind of client
    path: str
    allowed: frozenset[int]
    wanted: Wanted | None = None
    began: float = field(default_factory=time.time)
    whole: float | None = None  # when the last byte of the body was sent
    ended: float | None = None
    status: int | None = None
    error_type: str = ""
    left: bool = False  # the client did not wait for an answer
    unanswered: str = ""  # the reason when there is no whole answer
    problem: str = ""  # a fault in the answer

    @property
    def is_logged(self) -> bool:
        """Whether the server must have logged it: it was sent, and not to an endpoint that is never logged."""
        return self.kind not in ("readiness", "metrics") and not self.unanswered

    def take(self, answer: Answer, references: dict[str, Any]) -> None:
        """Record an answer and its fault, if any. Later results of a request must equal the first."""
        self.ended = time.time()
        self.status = answer.status
        if answer.status == 200:
            self._take_result(answer, references)
        elif self.kind != "readiness":  # /readyz may answer either
            self._take_error(answer)
        if answer.status not in DOCUMENTED:
            self.problem = f"status {answer.status} is not documented"
        elif answer.status == 408:  # correct exactly when the client was that slow
            took_s = (self.whole or self.ended) - self.began
            if took_s < BODY_TIMEOUT_S - _CLOCKS_S:
                self.problem = f"408 though the body was sent within {took_s:.2f} s"
        elif answer.status not in self.allowed:
            self.problem = f"status {answer.status} instead of {' or '.join(map(str, sorted(self.allowed)))}"
        elif answer.headers.get("x-request-id") != self.request_id:
            self.problem = f"X-Request-Id is {answer.headers.get('x-request-id')!r}, not {self.request_id!r}"

    def _take_result(self, answer: Answer, references: dict[str, Any]) -> None:
        if self.wanted is None:
            return
        try:
            body = json.loads(answer.body)
        except ValueError:
            self.problem = f"the answer is not JSON: {answer.body[:80]!r}"
            return
        self.problem = difference(references.setdefault(self.wanted.name, body), body)

    def _take_error(self, answer: Answer) -> None:
        try:
            body = json.loads(answer.body)
            self.error_type = body["error_type"]
        except (ValueError, TypeError, KeyError):
            self.problem = f"the error is not one: {answer.body[:80]!r}"
            return
        retry_after = answer.headers.get("retry-after", "")
        if set(body) != {"error", "error_type", "request_id"} or body["request_id"] != self.request_id:
            self.problem = f"the error has the fields {body}"
        elif not body["error"].endswith("."):
            self.problem = f"the error is no sentence: {body['error']!r}"
        elif answer.headers.get("content-type") != "application/json":
            self.problem = f"the error's content type is {answer.headers.get('content-type')}"
        elif answer.status == 429 and not (retry_after.isdigit() and int(retry_after) >= 1):
            self.problem = f"429 with Retry-After {retry_after!r}"


@dataclass
class Record:
    """Every request sent, the phases, and the answers of the quiet run."""

    phase: str = "start"
    phases: list[tuple[str, float]] = field(default_factory=list)  # with their beginnings
    sent: list[Sent] = field(default_factory=list)
    references: dict[str, Any] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)  # by status, for the progress line

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        self.phase = phase
        self.phases.append((phase, time.time()))

    def open(self, kind: str, path: str, allowed: frozenset[int], wanted: Wanted | None = None) -> Sent:
        """Record a request that is about to be sent."""
        sent = Sent(f"soak-{len(self.sent)}", self.phase, kind, path, allowed, wanted)
        self.sent.append(sent)
        return sent

    def of_phase(self, *phases: str) -> list[Sent]:
        """The requests of some phases."""
        return [sent for sent in self.sent if sent.phase in phases]

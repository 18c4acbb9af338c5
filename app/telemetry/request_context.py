"""The facts of the current HTTP request that logs, metrics and traces report, and the clock of its stages.

The gate (app/http/middleware.py) creates one `RequestContext` per request; each part of the service adds its facts;
when the request ends, the gate hands the context to the reporters. This module does not know HTTP servers, models or
reporting.
"""

import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, get_args

from app.schemas import Timings

Stage = Literal["tokenize", "queue", "infer", "decode"]
STAGES: tuple[Stage, ...] = get_args(Stage)


@dataclass(frozen=True)
class Read:
    """One text that was read for the request. An HTTP request reads none, one, or one per member of its batch."""

    task: str
    timings: Timings
    tokens: int
    windows: int
    ended_ns: int = field(default_factory=time.time_ns)  # since the epoch


@dataclass
class RequestContext:
    """One request, filled in as it proceeds. Holds no text and no token of a key."""

    request_id: str
    method: str
    trace_headers: Mapping[str, str] = field(default_factory=dict)  # traceparent and tracestate, as sent
    started_ns: int = field(default_factory=time.time_ns)  # since the epoch
    key: str = ""  # name of the API key; empty without a valid key
    error_type: str = ""
    reads: list[Read] = field(default_factory=list)
    # Known at the end:
    endpoint: str = "other"  # path of the route, never the path as sent
    status: int = 0
    seconds: float = 0.0


current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


class StageClock:
    """Adds up the time of one request by stage."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begun = self._last = clock()
        self.seconds: dict[Stage, float] = dict.fromkeys(STAGES, 0.0)

    def lap(self, stage: Stage) -> None:
        """Count the time since the last lap as `stage`."""
        now = self._clock()
        self.seconds[stage] += now - self._last
        self._last = now

    def ran(self, queue_s: float, infer_s: float) -> None:
        """Add the times in the batcher, which measured them."""
        self.seconds["queue"] += queue_s
        self.seconds["infer"] += infer_s
        self._last = self._clock()

    def timings(self) -> Timings:
        total = self._clock() - self._begun
        milliseconds = {f"{stage}_ms": round(seconds * 1000, 3) for stage, seconds in self.seconds.items()}
        return Timings(**milliseconds, total_ms=round(total * 1000, 3))

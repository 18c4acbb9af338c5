"""What is known of the HTTP request under way, for those it cannot be handed to: logs, metrics, traces.

The gate (app/transport.py) puts one `RequestContext` in place per request; each part notes what it learns; when the
request is over, the gate hands the whole to whoever reports. Knows nothing of HTTP servers, models or reporting.
"""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

from app.schemas import Timings


@dataclass(frozen=True)
class Read:
    """One text that was read for the request: an HTTP request makes none, one, or one per member of its batch."""

    task: str
    timings: Timings
    tokens: int
    windows: int
    ended_ns: int = field(default_factory=time.time_ns)  # since the epoch


@dataclass
class RequestContext:
    """One request, filled in on its way. Holds no text and no token of a key."""

    request_id: str
    method: str
    trace_headers: Mapping[str, str] = field(default_factory=dict)  # traceparent and tracestate, as sent
    started_ns: int = field(default_factory=time.time_ns)  # since the epoch
    key: str = ""  # name of the API key; empty where none was needed or none was right
    error_type: str = ""
    reads: list[Read] = field(default_factory=list)
    # Known when it is over:
    endpoint: str = "other"  # path of the route, never a path made up by the client
    status: int = 0
    seconds: float = 0.0


current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)

"""The format of the log: text for people or JSON for machines, and one line per request.

Lines name the route, never the path or the query as sent, so that the log holds nothing that a client put there. This
module knows uvicorn's loggers, because they write into the same streams, and does not know tasks.
"""

import logging
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter
from uvicorn.logging import DefaultFormatter

from app.settings import Settings
from app.telemetry.request_context import STAGES, RequestContext, current_request

# Monitors ask these every few seconds, so they are logged at level debug only.
_PROBED = frozenset({"/health", "/livez", "/metrics", "/readyz", "/v2/health/live", "/v2/health/ready"})

_access = logging.getLogger("nagayomi.access")


def log_config(settings: Settings) -> dict[str, Any]:
    """The configuration for logging.config.dictConfig. Requests go to standard output, all else to standard error."""
    level = settings.log_level.upper()
    # Of the libraries, only what goes wrong: what else they say may hold parts of requests.
    level_of_others = max(level, "WARNING", key=logging.getLevelNamesMapping().__getitem__)
    formatters: dict[str, dict[str, Any]] = {
        "text": {"()": TextFormatter, "fmt": "%(asctime)s %(levelprefix)s %(message)s"},
        "json": {
            "()": JsonFormatter,
            "fmt": "{levelname}{name}{message}",
            "style": "{",
            "rename_fields": {"levelname": "level", "name": "logger", "exc_info": "exception"},
            "timestamp": "time",
            "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # uvicorn's message once more, for terminals
        },
    }
    handler = {"class": "logging.StreamHandler", "formatter": settings.log_format, "filters": ["context"]}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"context": {"()": WithContext}},
        "formatters": formatters,
        "handlers": {
            "errors": {**handler, "stream": "ext://sys.stderr"},
            "access": {**handler, "stream": "ext://sys.stdout"},
        },
        "root": {"handlers": ["errors"], "level": level_of_others},
        "loggers": {
            "nagayomi": {"handlers": ["errors"], "level": level, "propagate": False},
            _access.name: {"handlers": ["access"], "level": level, "propagate": False},
            "uvicorn": {"handlers": ["errors"], "level": level, "propagate": False},
            # The gate writes a line per request with more facts than uvicorn's.
            "uvicorn.access": {"handlers": [], "propagate": False},
        },
    }


class WithContext(logging.Filter):
    """Adds the request id and the name of the key to every log line of a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if (context := current_request.get()) is not None:
            record.request_id = context.request_id
            if context.key:
                record.key = context.key
        return True


class TextFormatter(DefaultFormatter):
    """uvicorn's lines, with the request id at the end if there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        request_id = getattr(record, "request_id", None)
        text = super().formatMessage(record)
        return f"{text} [{request_id}]" if request_id else text


def log_request(context: RequestContext) -> None:
    """One line for a finished request."""
    level = logging.DEBUG if context.endpoint in _PROBED else logging.INFO
    fields: dict[str, Any] = {
        "method": context.method,
        "endpoint": context.endpoint,
        "status": context.status,
        "ms": round(context.seconds * 1000, 1),
    }
    words = [f"{context.method} {context.endpoint} {context.status}", f"{fields['ms']} ms"]
    if context.reads:
        fields["tokens"] = sum(read.tokens for read in context.reads)
        for stage in STAGES:
            fields[f"{stage}_ms"] = round(sum(getattr(read.timings, f"{stage}_ms") for read in context.reads), 1)
        words.append(f"{fields['tokens']} tokens")
    if context.error_type:
        fields["error_type"] = context.error_type
        words.append(context.error_type)
    if context.key:
        words.append(f"key {context.key}")
    _access.log(level, ", ".join(words), extra=fields)


def log_job(job_id: str, owner: str, state: str, error_type: str, tokens: int | None, seconds: float) -> None:
    """One line for a job that is over. The request that started it has a line of its own, with 202."""
    fields: dict[str, Any] = {"job": job_id, "state": state, "ms": round(seconds * 1000, 1)}
    words = [f"job {job_id} {state}", f"{fields['ms']} ms"]
    if tokens is not None:
        fields["tokens"] = tokens
        words.append(f"{tokens} tokens")
    if error_type:
        fields["error_type"] = error_type
        words.append(error_type)
    if owner:
        fields["key"] = owner
        words.append(f"key {owner}")
    _access.info(", ".join(words), extra=fields)

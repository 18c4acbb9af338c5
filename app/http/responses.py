"""Responses that every endpoint shares: errors in the service's one format, and the headers with stage times.

This module does not know the requests.
"""

import json
from collections.abc import Mapping

from starlette.responses import Response

from app.errors import NagayomiError
from app.schemas import Timings, Usage
from app.telemetry.request_context import current_request

# The client has gone, so this status appears only in the metrics; nginx uses the same number.
CLIENT_GONE = 499


def error_response(
    request_id: str,
    status: int,
    error_type: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    counted_as: str | None = None,
) -> Response:
    """An error in the service's one format. Its type is noted in the request's context, for the metrics.

    Args:
        counted_as: the type for the metrics, where `error_type` is one of a foreign format.
    """
    if (context := current_request.get()) is not None:
        context.error_type = counted_as or error_type
    # JSON with ASCII escapes: a message may quote a name from the request that UTF-8 cannot hold.
    body = json.dumps({"error": message, "error_type": error_type, "request_id": request_id})
    return Response(body, status, headers=headers, media_type="application/json")


def answer_error(request_id: str, error: NagayomiError) -> Response:
    """An exception of errors.py as an answer."""
    return error_response(request_id, error.status, error.error_type, str(error), error.headers)


def stage_headers(usage: Usage, timings: Timings) -> dict[str, str]:
    """Tokens and milliseconds of an answer, in headers with the names of Text Embeddings Inference."""
    return {
        "x-compute-tokens": str(usage.tokens),
        "x-total-time": f"{timings.total_ms:.1f}",
        "x-tokenization-time": f"{timings.tokenize_ms:.1f}",
        "x-queue-time": f"{timings.queue_ms:.1f}",
        "x-inference-time": f"{timings.infer_ms:.1f}",
    }

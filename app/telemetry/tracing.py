"""OpenTelemetry traces: one span per request, with a child for each stage.

Traces are off, and this module does not import OpenTelemetry, unless its OTEL_* variables name an exporter; they need
the extra `otel`. Spans are made when a request ends, from times that are measured anyway, so that requests are not
slowed down. Spans hold no text, no address of a client and no path as sent.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from app import __version__
from app.errors import Unavailable
from app.telemetry.request_context import STAGES, Read, RequestContext

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_SWITCHES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def traces_wanted(environment: Mapping[str, str]) -> bool:
    """Whether the standard variables turn traces on."""
    disabled = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return (
        not disabled and environment.get("OTEL_TRACES_EXPORTER", "") != "none" and any(map(environment.get, _SWITCHES))
    )


def traces_from_environment() -> "Traces | None":
    """Traces as the OTEL_* variables of this process configure them; None when they are off.

    Endpoint, headers, sampler, resource and service name are read by the SDK itself.

    Raises:
        Unavailable: a package is missing, or the exporter or the protocol is not supported.
    """
    if not traces_wanted(os.environ):
        return None
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "http/protobuf")
    if (exporter, protocol) != ("otlp", "http/protobuf"):
        raise Unavailable(
            f"Traces are asked for with the exporter {exporter} and the protocol {protocol}; only otlp and "
            "http/protobuf are supported. Set OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_PROTOCOL to them, or "
            "OTEL_SDK_DISABLED=true."
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise Unavailable(
            f"OTEL_* variables ask for traces, which need the package {error.name}: install the extra `otel`, or set "
            "OTEL_SDK_DISABLED=true."
        ) from error
    ours = Resource.create({"service.name": "nagayomi", "service.version": __version__})
    provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Traces(provider)


class Traces:
    """Turns finished requests into spans."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("nagayomi", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def report(self, context: RequestContext) -> None:
        """One span for the request, a child of the caller's span if `traceparent` names one."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        attributes: dict[str, str | int] = {
            "http.request.method": context.method,
            "http.route": context.endpoint,
            "http.response.status_code": context.status,
            "nagayomi.request_id": context.request_id,
        }
        if context.key:
            attributes["nagayomi.key"] = context.key
        if context.error_type:
            attributes["error.type"] = context.error_type
        span = self._tracer.start_span(
            f"{context.method} {context.endpoint}",
            context=self._propagator.extract(context.trace_headers),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=context.started_ns,
        )
        if context.status >= 500:
            span.set_status(StatusCode.ERROR)
        for read in context.reads:
            for stage, start, end in _stages(read):
                child = self._tracer.start_span(
                    stage,
                    context=set_span_in_context(span),
                    attributes={"nagayomi.task": read.task, "nagayomi.tokens": read.tokens},
                    start_time=start,
                )
                child.end(end)
        span.end(context.started_ns + round(context.seconds * 1e9))

    def close(self) -> None:
        """Send the remaining spans. May wait for the collector, but never raises because of it."""
        self._provider.shutdown()


def _stages(read: Read) -> list[tuple[str, int, int]]:
    """(stage, start, end) in nanoseconds since the epoch, consecutive, up to the end of the read."""
    spans: list[tuple[str, int, int]] = []
    end = read.ended_ns
    for stage in reversed(STAGES):
        start = end - round(getattr(read.timings, f"{stage}_ms") * 1e6)
        spans.append((stage, start, end))
        end = start
    return spans[::-1]

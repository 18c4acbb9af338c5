"""Traces: off unless asked for, spans that say where the time went, and a collector that really gets them."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.errors import Unavailable
from app.main import create_app
from app.schemas import Timings
from app.settings import Settings
from app.telemetry.request_context import Read, RequestContext
from app.telemetry.tracing import Traces, traces_from_environment, traces_wanted
from tests.app.asgi import running

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SDK_DISABLED", "TRACES_EXPORTER", "EXPORTER_OTLP_ENDPOINT", "EXPORTER_OTLP_PROTOCOL"):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_the_standard_variables_decide(environment: dict[str, str], wanted: bool) -> None:
    assert traces_wanted(environment) == wanted


def test_nothing_of_it_is_imported_unless_wanted() -> None:
    """Less the bare API, which newer versions of FastAPI import themselves."""
    code = (
        "import sys; from app.main import create_app; from app.settings import Settings; create_app(Settings());"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_settings_that_are_not_supported_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(Unavailable, match="the exporter otlp and the protocol grpc; only otlp and http/protobuf"):
        traces_from_environment()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(Unavailable, match="install the extra `otel`, or set OTEL_SDK_DISABLED=true"):
        traces_from_environment()


def report(context: RequestContext) -> list[ReadableSpan]:
    """The spans of one request."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traces = Traces(provider)
    traces.report(context)
    traces.close()
    return list(exporter.get_finished_spans())


def test_a_request_is_a_span_with_a_child_for_each_stage() -> None:
    timings = Timings(tokenize_ms=1, queue_ms=2, infer_ms=3, decode_ms=4, total_ms=10)
    context = RequestContext("id-1", "POST", {"traceparent": PARENT}, started_ns=0, key="web")
    context.reads.append(Read("qa", timings, tokens=30, windows=1, ended_ns=11_000_000))
    context.endpoint, context.status, context.seconds = "/qa", 200, 0.012
    *stages, request = report(context)
    assert request.name == "POST /qa"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST", "http.route": "/qa", "http.response.status_code": 200,
        "nagayomi.request_id": "id-1", "nagayomi.key": "web",
    }  # fmt: skip
    assert request.parent is not None
    assert request.context is not None
    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == tuple(PARENT.split("-")[1:3])
    assert (request.start_time, request.end_time, request.status.is_ok) == (0, 12_000_000, True)
    assert [(stage.name, stage.start_time, stage.end_time) for stage in stages] == [
        ("tokenize", 1_000_000, 2_000_000),
        ("queue", 2_000_000, 4_000_000),
        ("infer", 4_000_000, 7_000_000),
        ("decode", 7_000_000, 11_000_000),
    ]
    for stage in stages:
        assert stage.parent is not None
        assert stage.parent.span_id == request.context.span_id
        assert dict(stage.attributes or {}) == {"nagayomi.task": "qa", "nagayomi.tokens": 30}


def test_a_failed_request_is_an_error() -> None:
    context = RequestContext("id-1", "POST", {"traceparent": "nonsense"}, started_ns=0, error_type="engine_failed")
    context.status = 503
    (span,) = report(context)
    assert (span.name, span.parent, span.status.is_ok) == ("POST other", None, False)
    assert (span.attributes or {})["error.type"] == "engine_failed"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An address that takes traces, and the traces it got."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()
        thread.join()


async def test_the_collector_gets_what_was_served(
    handmade_models: Path, collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, got = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("NO_PROXY", "*")
    async with running(create_app(Settings(model_store=handmade_models, intra_op_threads=1))) as client:
        await client.post("/classify", json={"text": "上"}, headers={"traceparent": PARENT})
    spans, resource = {}, {}
    for data in got:
        for resource_spans in ExportTraceServiceRequest.FromString(data).resource_spans:
            resource = {item.key: item.value.string_value for item in resource_spans.resource.attributes}
            for scope in resource_spans.scope_spans:
                spans.update({span.name: span for span in scope.spans})
    assert {"POST /classify", "tokenize", "queue", "infer", "decode", "GET /readyz"} == set(spans)
    assert spans["infer"].trace_id.hex() == PARENT.split("-")[1], "one trace, begun by the caller"
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("nagayomi", "test")

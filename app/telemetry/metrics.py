"""The metrics for Prometheus.

Every application has its own registry, so two in one process (tests, workers) never share or collide. Each metric is
counted in one place: requests when they end, reads when a text was answered, batches when they ran. Gauges (queues,
limits, readiness) are read at scrape time. This module does not know HTTP or keys.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from app import __version__
from app.engine.batcher import BatchReport
from app.packing import Document
from app.schemas import Timings
from app.telemetry.engines import EngineProcesses
from app.telemetry.request_context import STAGES, Read, RequestContext, current_request

# Requests may take ten minutes and jobs an hour.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


class KeyUse(Protocol):
    """The current use of one key's limits."""

    name: str
    requests: int
    tokens: int


class Telemetry:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.engines = EngineProcesses()
        self.registry.register(self.engines)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.requests = counter(
            "nagayomi_requests",
            "Finished requests, by endpoint, name of the key (empty without one) and status code.",
            ["endpoint", "key", "status"],
        )
        self.errors = counter(
            "nagayomi_errors",
            "Requests that were refused, cancelled (client_gone), expired (deadline_exceeded) or failed, by endpoint "
            "and error type.",
            ["endpoint", "error_type"],
        )
        self.request_seconds = histogram(
            "nagayomi_request_seconds",
            "Time of requests from the first byte to the end of the answer, by endpoint.",
            ["endpoint"],
            buckets=_SECONDS,
        )
        self.stages = histogram(
            "nagayomi_stage_seconds",
            "Time of answered requests, by stage.",
            ["task", "stage"],
            buckets=_SECONDS,
        )
        self.windows = counter("nagayomi_windows", "Windows of answered requests.", ["task"])
        self.tokens = counter(
            "nagayomi_tokens",
            "Tokens of answered requests, over all windows.",
            ["task"],
        )
        self.batches = counter("nagayomi_batches", "Batches run, by model and outcome.", ["model", "outcome"])
        self.batch_tokens = histogram(
            "nagayomi_batch_tokens",
            "Tokens of a batch, in whole blocks.",
            ["model"],
            buckets=_TOKENS,
        )
        self.batch_documents = histogram(
            "nagayomi_batch_documents",
            "Windows in a batch.",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self.batch_seconds = histogram(
            "nagayomi_batch_seconds",
            "Time of a batch in the engine.",
            ["model"],
            buckets=_SECONDS,
        )
        self.padding_tokens = counter(
            "nagayomi_padding_tokens",
            "Tokens computed only to fill a document's last block.",
            ["model"],
        )
        self.queue_tokens = gauge("nagayomi_queue_tokens", "Tokens waiting for a model.", ["model"])
        self.waiting_characters = gauge("nagayomi_waiting_characters", "Characters of texts that wait to be tokenized.")
        self.waiting_files = gauge("nagayomi_waiting_files", "Files that wait to be read.")
        self.in_flight = gauge("nagayomi_in_flight", "Requests in progress, from tokenizing to decoding.")
        self.engine_restarts = counter(
            "nagayomi_engine_restarts", "Engines started again after they died, by model.", ["model"]
        )
        self.queue_requests = gauge(
            "nagayomi_queue_requests", "Requests with windows that wait for a model.", ["model"]
        )
        self.key_requests = gauge("nagayomi_key_requests", "Requests of a key that are being answered.", ["key"])
        self.key_tokens = gauge("nagayomi_key_tokens", "Waiting and running tokens of a key.", ["key"])
        self.jobs = gauge("nagayomi_jobs", "Running jobs, and finished jobs that are kept, by state.", ["state"])
        self.jobs_finished = counter(
            "nagayomi_jobs_finished",
            "Jobs that are over, by state and error type (empty unless they failed).",
            ["state", "error_type"],
        )
        self.models = gauge("nagayomi_models", "Models in the store, by state.", ["state"])
        self.model_load_seconds = gauge(
            "nagayomi_model_load_seconds",
            "Time to check, load and warm a model.",
            ["model"],
        )
        self.ready = gauge("nagayomi_ready", "1 when requests can be answered, else 0.")
        build = gauge("nagayomi_build", "Always 1; the label gives the version.", ["version"])
        build.labels(__version__).set(1)

    def batch(self, model: str, documents: Sequence[Document], report: BatchReport) -> None:
        """Count one batch."""
        self.batches.labels(model, "failed" if report.failed else "ok").inc()
        self.batch_tokens.labels(model).observe(report.tokens)
        self.batch_documents.labels(model).observe(len(documents))
        self.batch_seconds.labels(model).observe(report.seconds)
        self.padding_tokens.labels(model).inc(report.tokens - sum(len(document.input_ids) for document in documents))

    def request(self, task: str, timings: Timings, tokens: int, windows: int) -> None:
        """Add one read text to the current request, which counts it at its end; without a request, count it now."""
        read = Read(task, timings, tokens, windows)
        if (context := current_request.get()) is not None:
            context.reads.append(read)
        else:
            self._count(read)

    def _count(self, read: Read) -> None:
        for stage in STAGES:
            self.stages.labels(read.task, stage).observe(getattr(read.timings, f"{stage}_ms") / 1000)
        self.tokens.labels(read.task).inc(read.tokens)
        self.windows.labels(read.task).inc(read.windows)

    def over(self, context: RequestContext) -> None:
        """Count one finished HTTP request, and the texts read for it."""
        for read in context.reads:
            self._count(read)
        self.requests.labels(context.endpoint, context.key, str(context.status)).inc()
        self.request_seconds.labels(context.endpoint).observe(context.seconds)
        if context.error_type:
            self.errors.labels(context.endpoint, context.error_type).inc()

    def watch(self, holders: Iterable[KeyUse]) -> None:
        """Show the current use of each key's limits."""
        for holder in holders:
            self.key_requests.labels(holder.name).set_function(partial(getattr, holder, "requests"))
            self.key_tokens.labels(holder.name).set_function(partial(getattr, holder, "tokens"))

    def exposition(self) -> bytes:
        """All metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

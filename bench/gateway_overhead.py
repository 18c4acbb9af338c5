"""What the gateway costs: the service over HTTP against a bare ONNX Runtime session, on the same packed batches.

    python -m bench.gateway_overhead [--model-store model_store] [--model NAME] [--rounds 9]

Saturation: a client process keeps many documents of mixed lengths in flight; then the same batches that the service
built run, packed beforehand, on a bare session with the same options. Low load: one short document over HTTP, then its
batch on the bare session, in turns. So other work of the machine slows both alike. The client runs on the same machine,
and its time counts against the gateway.

The last line is JSON:

    ratio                       tokens/s of the gateway at saturation / of the bare session, median of the rounds
    ratios                      of every round
    gateway_tokens_per_s, bare_tokens_per_s     medians; tokens in whole blocks
    batches, batch_fill         batches of all rounds, and the mean share of max_batch_tokens in them
    overhead_p50_ms             latency of the client at low load, minus the time of the bare session on the same
                                batch right after: median of a round, median of the rounds
    overheads_ms                of every round
    latency_p50_ms, bare_p50_ms     of all rounds
    python                      its version and build: a Python built without profile-guided optimisation is slower
                                in everything outside the session
"""

import argparse
import asyncio
import json
import random
import socket
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httptools
import uvicorn
from tqdm import tqdm

from app.engine.batcher import BatchReport
from app.main import create_app
from app.manifest import Manifest
from app.packing import Document, PackedBatch
from app.serve import local_url
from app.service import Service
from app.settings import Settings
from app.streams import run_module
from app.telemetry.metrics import Telemetry
from app.worker.session import Session
from bench.workload import QUESTION, SAMPLE

CHARACTERS = (100, 6000)  # of a document at saturation
SHORT = 100  # characters of the document at low load


class Recorder(Telemetry):
    """Counts the metrics, and also keeps the documents of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[list[Document]] = []

    def batch(self, model: str, documents: Sequence[Document], report: BatchReport) -> None:
        super().batch(model, documents, report)
        self.recorded.append(list(documents))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway_overhead",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--model", help="default: the first model by name that answers questions")
    parser.add_argument("--threads", type=int, default=0, help="of the engine; default: one per physical core")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=64, help="in every round at saturation")
    parser.add_argument("--concurrency", type=int, default=16, help="requests in flight at saturation")
    parser.add_argument("--short", type=int, default=40, help="requests in every round at low load")
    parser.add_argument("--client", metavar="URL", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.client:
        connections: list[Connection] = []
        for line in sys.stdin:
            print(json.dumps(send(args.client, connections, **json.loads(line))), flush=True)
        return 0
    loop_factory = uvicorn.Config(measure).get_loop_factory()  # the loop that serves, for `nagayomi serve` as well
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        print(json.dumps(runner.run(measure(args))))
    return 0


# --- the client, a separate process -----------------------------------------------------------------------------------


def texts(requests: int, seed: int) -> list[str]:
    """Documents of mixed lengths; with seed -1, all short and the same."""
    text = SAMPLE.read_text(encoding="utf-8")
    if seed < 0:
        return [text[:SHORT]] * requests
    rng = random.Random(seed)
    text *= 1 + 2 * CHARACTERS[1] // len(text)
    starts = [rng.randrange(CHARACTERS[1]) for _ in range(requests)]
    return [text[start : start + rng.randint(*CHARACTERS)] for start in starts]


def send(url: str, connections: list["Connection"], requests: int, concurrency: int, seed: int) -> dict[str, Any]:
    """Send documents, keeping this many in flight; returns each latency and the total time, in seconds.

    Opens missing connections and keeps them open.
    """
    waiting = [
        json.dumps({"question": QUESTION, "context": text}, ensure_ascii=False).encode()
        for text in texts(requests, seed)
    ]
    connections += [Connection(url) for _ in range(concurrency - len(connections))]

    def work(connection: Connection) -> list[float]:
        latencies: list[float] = []
        while True:
            try:
                body = waiting.pop()
            except IndexError:
                return latencies
            begun = time.perf_counter()
            status, answer = connection.post("/qa", body)
            latencies.append(time.perf_counter() - begun)
            if status != 200:
                raise SystemExit(answer.decode())

    begun = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as pool:
        latencies = list(chain.from_iterable(pool.map(work, connections[:concurrency])))
    return {"latencies": latencies, "seconds": time.perf_counter() - begun}


class Connection:
    """Posts JSON over one kept connection with as little Python as possible: its time counts against the gateway."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._socket = socket.create_connection((address.hostname, address.port), timeout=600)
        self._head = f"Host: {address.netloc}\r\nContent-Type: application/json\r\nContent-Length: "
        self._parts: list[bytes] = []
        self._complete = False

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._parts, self._complete = [], False
        parser = httptools.HttpResponseParser(self)
        self._socket.sendall(f"POST {path} HTTP/1.1\r\n{self._head}{len(body)}\r\n\r\n".encode() + body)
        while not self._complete:
            if not (data := self._socket.recv(2**16)):
                raise SystemExit("the service has hung up")
            parser.feed_data(data)
        return parser.get_status_code(), b"".join(self._parts)

    def on_body(self, part: bytes) -> None:
        """For httptools."""
        self._parts.append(part)

    def on_message_complete(self) -> None:
        """For httptools."""
        self._complete = True


# --- the gateway and the bare session --------------------------------------------------------------------------------


async def measure(args: argparse.Namespace) -> dict[str, Any]:
    name = args.model or first_qa_model(args.model_store)
    settings = Settings(
        host="127.0.0.1", port=0, model_store=args.model_store, models=(name,), intra_op_threads=args.threads,
        request_timeout_s=600, log_level="error",
    )  # fmt: skip
    application = create_app(settings)
    service: Service = application.state.service
    recorder = service.telemetry = Recorder()
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=0,
        log_level="error",
        ws="none",
        proxy_headers=False,
        timeout_keep_alive=600,  # the client keeps its connections while the bare session runs
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    try:
        while service.state == "loading":
            await asyncio.sleep(0.05)
        if service.state != "ready":
            raise SystemExit(service.why_not_ready())
        url = local_url("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])
        directory = args.model_store / name
        session = await asyncio.to_thread(Session, directory, Manifest.read(directory), settings)
        return await _measure(args, url, recorder, session, settings.max_batch_tokens)
    finally:
        server.should_exit = True
        await serving


def first_qa_model(store: Path) -> str:
    for file in sorted(store.glob("*/manifest.json")):
        if (manifest := Manifest.read(file.parent)).task == "qa":
            return manifest.name
    raise SystemExit(f"{store} holds no model that answers questions.")


async def _measure(
    args: argparse.Namespace, url: str, recorder: Recorder, session: Session, max_batch_tokens: int
) -> dict[str, Any]:
    gateway: list[float] = []
    bare: list[float] = []
    fills: list[float] = []
    latencies: list[float] = []
    short: list[float] = []
    overheads_ms: list[float] = []
    async with Client(url) as client:
        await client.send(4, 4, seed=0)  # untimed
        for number in tqdm(range(args.rounds), desc="saturation", file=sys.stderr):
            recorder.recorded.clear()
            sent = await client.send(args.requests, args.concurrency, seed=number)
            batches = [session.pack(documents) for documents in recorder.recorded]
            tokens = sum(batch.padded_tokens for batch in batches)
            gateway.append(tokens / sent["seconds"])
            bare.append(tokens / sum(await asyncio.to_thread(run_bare, session, batches)))
            fills += [batch.padded_tokens / max_batch_tokens for batch in batches]
        for _ in tqdm(range(args.rounds), desc="low load", file=sys.stderr):
            differences = []
            for _ in range(args.short):
                recorder.recorded.clear()
                (of_client,) = (await client.send(1, 1, seed=-1))["latencies"]
                batches = [session.pack(documents) for documents in recorder.recorded]
                (of_session,) = await asyncio.to_thread(run_bare, session, batches)
                differences.append(of_client - of_session)
                latencies.append(of_client)
                short.append(of_session)
            overheads_ms.append(1000 * statistics.median(differences))
    ratios = [one / other for one, other in zip(gateway, bare, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "gateway_tokens_per_s": round(statistics.median(gateway)),
        "bare_tokens_per_s": round(statistics.median(bare)),
        "batches": len(fills),
        "batch_fill": round(statistics.mean(fills), 3),
        "overhead_p50_ms": round(statistics.median(overheads_ms), 2),
        "overheads_ms": [round(overhead, 2) for overhead in overheads_ms],
        "latency_p50_ms": round(1000 * statistics.median(latencies), 2),
        "bare_p50_ms": round(1000 * statistics.median(short), 2),
        "python": sys.version,
    }


class Client:
    """`send` in a separate process."""

    def __init__(self, url: str) -> None:
        self._command = (sys.executable, "-m", "bench.gateway_overhead", "--client", url)
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**20
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def send(self, requests: int, concurrency: int, seed: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"requests": requests, "concurrency": concurrency, "seed": seed}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        if not (line := await self._process.stdout.readline()):
            raise SystemExit("the client has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


def run_bare(session: Session, batches: Sequence[PackedBatch]) -> list[float]:
    """Seconds of each batch on the session alone."""
    seconds = []
    for batch in batches:
        inputs = {name: batch.inputs[name] for name in session.inputs}
        begun = time.perf_counter()
        session.graph.run(session.outputs, inputs)
        seconds.append(time.perf_counter() - begun)
    return seconds


if __name__ == "__main__":
    run_module(main)

"""The server of the soak: `nagayomi serve` in a separate process, its engines, its memory and its log.

Linux only: engines are found among the processes. This module does not know requests.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil

ROOT = Path(__file__).parents[2]
START_S = 120.0
POLL_S = 0.05
SAMPLE_S = 0.25

MAX_BODY_BYTES = 2_000_000
BODY_TIMEOUT_S = 3.0
# Smaller than the defaults, so that the load reaches each limit within seconds.
SETTINGS = {
    "max-body-bytes": MAX_BODY_BYTES,
    "body-timeout-s": BODY_TIMEOUT_S,
    "max-queue-tokens": 32_768,
    "max-request-tokens": 32_768,
    "max-waiting-characters": 150_000,
    "drain-timeout-s": 20,
}
# The drain, then two seconds for the last answers, and work that cannot be interrupted.
STOP_S = float(SETTINGS["drain-timeout-s"]) + 15

_SERVICE = "service"  # the name of the gateway among the processes


@dataclass(frozen=True)
class Line:
    """A log line about one finished request."""

    status: int
    error_type: str


@dataclass
class Memory:
    """Resident bytes over time by process: the service, and every engine under the name of its model."""

    times: list[float] = field(default_factory=list)
    resident: dict[str, list[float]] = field(default_factory=dict)  # NaN where there was no such process

    def add(self, at: float, resident: dict[str, int]) -> None:
        for name in resident.keys() - self.resident.keys():
            self.resident[name] = [float("nan")] * len(self.times)
        self.times.append(at)
        for name, values in self.resident.items():
            values.append(float(resident.get(name, float("nan"))))


class Server:
    """One server. Leaving the `with` block kills its processes.

    Args:
        store: model store.
        directory: folder for its logs.
        arguments: for `nagayomi serve`, in addition to those of the soak.
    """

    def __init__(self, store: Path, directory: Path, arguments: tuple[str, ...] = ()) -> None:
        self.access_log, self.error_log = directory / "access.jsonl", directory / "errors.jsonl"
        settings = [part for name, value in SETTINGS.items() for part in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--model-store", str(store.resolve())]
        self.command = [*command, "--log-format", "json", *settings, *arguments]
        self.url = ""
        self.memory = Memory()

    def __enter__(self) -> Self:
        with self.access_log.open("wb") as out, self.error_log.open("wb") as errors:
            self._process = subprocess.Popen(self.command, cwd=ROOT, stdout=out, stderr=errors)
        self._service = psutil.Process(self._process.pid)
        self._names: dict[int, str] = {}
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    async def ready(self) -> None:
        """Wait until the server logs its address.

        Raises:
            SystemExit: the server did not become ready; shows its log.
        """
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._process.poll() is None:
            for line in self.errors():
                if match := re.fullmatch(r"ready at (http://\S+)", line["message"]):
                    self.url = match[1]
                    return
            await asyncio.sleep(POLL_S)
        raise SystemExit(f"The server did not become ready:\n{self.error_log.read_text(encoding='utf-8')}")

    def engines(self) -> dict[str, psutil.Process]:
        """The running engines, by the name of their model."""
        found: dict[str, psutil.Process] = {}
        for child in self._service.children():
            try:
                if child.pid not in self._names:
                    command = child.cmdline()
                    self._names[child.pid] = command[command.index("--model") + 1]
            except (psutil.NoSuchProcess, ValueError):  # ended, or not an engine yet
                continue
            found[self._names[child.pid]] = child
        return found

    async def watch_memory(self) -> None:
        """Sample the resident memory of all processes until cancelled or the server has ended."""
        while self._process.poll() is None:
            resident = {}
            for name, process in (*self.engines().items(), (_SERVICE, self._service)):
                try:
                    resident[name] = process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.memory.add(time.time(), resident)
            await asyncio.sleep(SAMPLE_S)

    def terminate(self) -> None:
        """SIGTERM."""
        os.kill(self._process.pid, signal.SIGTERM)

    async def ended(self) -> int | None:
        """Its exit code, or None when it has not ended in `STOP_S`."""
        try:
            return await asyncio.to_thread(self._process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            return None

    def lines(self) -> list[tuple[str, Line]]:
        """The log lines of finished requests so far, with their ids, in the order in which they ended."""
        return [
            (
                record["request_id"],
                Line(record["status"], record.get("error_type", "")),
            )
            for record in _records(self.access_log)
        ]

    def errors(self) -> list[dict[str, Any]]:
        """All other log lines so far."""
        return list(_records(self.error_log))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    *lines, _unfinished = file.read_bytes().split(b"\n")
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:  # not a record, for example a traceback of the interpreter: keep the line as the message
            yield {"message": line.decode("utf-8", "replace"), "level": "ERROR", "time": ""}

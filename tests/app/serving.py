"""Starts the real server for tests."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(store: Path, *arguments: str, most_s: float = 60) -> Iterator["subprocess.Popen[str]"]:
    """A `nagayomi serve` of its own on a free port, killed at the end or after `most_s` seconds."""
    command = [sys.executable, "-m", "app.cli", "serve", "--port", "0", "--model-store", str(store), *arguments]
    # A proxy in the environment must not be asked for a local address.
    environment = {**os.environ, "http_proxy": "http://127.0.0.1:9", "NAGAYOMI_INTRA_OP_THREADS": "1"}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment,
        # Where the tests run in the background, SIGINT is ignored, and a child would inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    killer = threading.Timer(most_s, process.kill)
    killer.start()
    try:
        yield process
    finally:
        killer.cancel()
        process.kill()
        process.communicate()


def read_until(stream: Iterator[str], end: str) -> str:
    """The output of a process up to and including the line that holds `end`, or all of it."""
    lines = []
    for line in stream:
        lines.append(line)
        if end in line:
            break
    return "".join(lines)

"""The real server as a process of its own, on a free port, with tiny models and one broken directory next to them."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
START_S = 180  # the shipped models take a minute on a core that others use


@dataclass(frozen=True)
class Server:
    """The address of the server, and its output."""

    url: str
    log: Path

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)


@pytest.fixture(scope="session")
def server(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all end-to-end tests. In the end it must stop at a SIGTERM, without a trace in its log."""
    directory = tmp_path_factory.mktemp("server")
    store = Path(shutil.copytree(tiny_store, directory / "store"))
    (store / "half-exported").mkdir()
    log = directory / "log.txt"
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "error",
        "NAGAYOMI_MODEL_STORE": str(store),
        "NAGAYOMI_INTRA_OP_THREADS": "2",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", "0"],
            cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield Server(wait_for_url(process, log), log)
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        finally:
            process.kill()
            process.wait()
    assert process.returncode in (0, 143, -signal.SIGTERM)
    written = log.read_text(encoding="utf-8")
    assert "Traceback" not in written, written


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


def wait_for_url(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        if match := re.search(r"ready at (http://\S+)", log.read_text(encoding="utf-8")):
            return match.group(1)
        time.sleep(0.05)
    pytest.fail(f"The server did not start:\n{log.read_text(encoding='utf-8')}")

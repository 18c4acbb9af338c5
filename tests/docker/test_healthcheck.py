"""The images' health check against servers that are ready, are not, say nonsense, and are not there."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.docker.compose_files import ROOT

READY = b'{"status": "ready", "models": ["a", "b"], "broken": [], "reason": null}'
LOADING = b'{"status": "loading", "models": [], "broken": [], "reason": "The models are being loaded."}'


@contextmanager
def answering(status: int, body: bytes) -> Iterator[int]:
    """A server that answers every GET alike; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def check(port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, ROOT / "docker/healthcheck.py"],
        env={**os.environ, "NAGAYOMI_PORT": str(port), "http_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, READY, (0, "ready: a, b\n")),
        (503, LOADING, (1, "loading: The models are being loaded.\n")),
        (200, b"<html>", (1, "/readyz cannot be asked: Expecting value: line 1 column 1 (char 0)\n")),
    ],
)
def test_what_the_server_says(status: int, body: bytes, expected: tuple[int, str]) -> None:
    with answering(status, body) as port:
        assert check(port) == expected


def test_no_server_answers() -> None:
    with answering(200, READY) as port:
        pass
    code, said = check(port)
    assert code == 1
    assert said.endswith("Connection refused\n")

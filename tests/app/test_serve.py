"""`nagayomi serve` as a process of its own: what it prints, that what it prints works, and how it ends."""

import json
import re
import shlex
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from app.serve import greeting, local_url
from tests.app.serving import read_until, serving


def test_the_printed_request_can_be_pasted(handmade_models: Path) -> None:
    with serving(handmade_models) as process:
        assert process.stdout is not None
        screen = read_until(process.stdout, "Ctrl-C")
        assert "hand-qa (qa)" in screen
        match = re.search(r"^  curl (?:.*\\\n)*.*", screen, re.MULTILINE)
        assert match is not None
        curl, silent, url, header, content_type, data, body = shlex.split(match.group().replace("\\\n", " "))
        assert (curl, silent, header, data) == ("curl", "-s", "-H", "-d")
        name, _, value = content_type.partition(": ")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, body.encode(), {name: value}), timeout=10) as response:
            assert json.load(response)["model"] == "hand-qa"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        assert process.returncode == 130
        assert "POST /qa" in out
        assert "/readyz" not in out
        assert "Traceback" not in err


def test_a_store_that_cannot_be_served_is_explained(tmp_path: Path) -> None:
    with serving(tmp_path / "nowhere") as process:
        assert process.stderr is not None
        assert "is not a directory" in read_until(process.stderr, "No model could be loaded")


def test_a_port_in_use_is_exit_code_1_at_once(handmade_models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(handmade_models, "--port", str(port)) as process:
            _, err = process.communicate()
            assert process.returncode == 1
            assert err == (
                f"nagayomi: 127.0.0.1, port {port}, cannot be listened on: Address already in use. "
                "--host and --port choose another address.\n"
            )


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080"),
        ("example.jp", "http://example.jp:8080"),
    ],
)
def test_local_url(host: str, url: str) -> None:
    assert local_url(host, 8080) == url


@pytest.mark.parametrize("task", ["qa", "summarize", "classify"])
def test_the_example_fits_the_models(task: str) -> None:
    assert f"/{task} " in greeting("http://127.0.0.1:8080", {"models": [{"name": "only", "task": task}]})

"""`nagayomi serve` as a process of its own: its greeting, the request in it, and its end."""

import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import uvicorn

from app.http.auth import new_key
from app.serve import _Server, greeting, local_url, serve
from app.service import Service
from app.settings import Settings
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


@contextmanager
def one_request_held(models: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str, int, Future[int]]]:
    """A server, its address, its engine held where it is, and the status that the request in it will get."""
    with serving(models, "--models", "hand-classify", *arguments) as process, ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None
        match = re.search(r"ready at (\S+)", read_until(process.stdout, "ready at"))
        assert match is not None
        (engine,) = psutil.Process(process.pid).children()
        engine.suspend()
        held = pool.submit(post, match[1])
        with httpx.Client(trust_env=False) as client:
            while "nagayomi_in_flight 1.0" not in client.get(f"{match[1]}/metrics").text:
                time.sleep(0.01)
        yield process, match[1], engine.pid, held


def post(url: str) -> int:
    return httpx.post(f"{url}/classify", json={"text": "上"}, timeout=30, trust_env=False).status_code


def ready(url: str) -> dict[str, Any]:
    response = httpx.get(f"{url}/readyz", trust_env=False)
    body: dict[str, Any] = response.json()
    return {"code": response.status_code, "status": body["status"]}


def test_told_to_stop_it_answers_the_requests_it_has(handmade_models: Path) -> None:
    with one_request_held(handmade_models) as (process, url, engine, held):
        process.send_signal(signal.SIGTERM)
        wait_until_draining(url)
        assert ready(url) == {"code": 503, "status": "draining"}
        assert post(url) == 503
        assert not held.done()
        os.kill(engine, signal.SIGCONT)
        assert held.result() == 200
        assert process.wait() == -signal.SIGTERM
        assert not psutil.pid_exists(engine)


def test_connections_are_kept_longer_than_clients_and_proxies_keep_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    configs: list[uvicorn.Config] = []

    class Server:
        failure = None

        def __init__(self, config: uvicorn.Config, *_: object) -> None:
            configs.append(config)

        def run(self, sockets: list[socket.socket]) -> None:
            sockets[0].close()

    monkeypatch.setattr("app.serve.log_config", lambda _: None)
    monkeypatch.setattr("app.serve._Server", Server)
    assert serve(Settings(port=0, model_store=tmp_path)) == 0
    assert [config.timeout_keep_alive > 600 for config in configs] == [True]


async def test_it_greets_though_the_machine_was_too_busy_to_answer_in_time(tmp_path: Path) -> None:
    service = Service(Settings(model_store=tmp_path))
    greeted: list[str] = []
    server = _Server(uvicorn.Config("none", log_config=None), "http://x", service, lambda: greeted.append("hello"))
    answers: list[Any] = [TimeoutError(), urllib.error.URLError("refused"), io.BytesIO(b'{"status": "ready"}')]

    def open_url(url: str, timeout: float) -> io.BytesIO:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, io.BytesIO)
        return answer

    server._opener.open = open_url  # type: ignore[assignment,method-assign]
    await server._announce()
    assert (greeted, answers) == (["hello"], [])


def test_headers_that_do_not_end_are_not_waited_for(handmade_models: Path) -> None:
    with serving(handmade_models, "--models", "hand-classify", "--body-timeout-s", "0.2") as process:
        assert process.stdout is not None
        match = re.search(r"ready at http://([\d.]+):(\d+)", read_until(process.stdout, "ready at"))
        assert match is not None
        with socket.create_connection((match[1], int(match[2]))) as connection:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Slow")
            assert connection.recv(4096) == b""


def test_told_to_stop_it_does_not_wait_for_ever(handmade_models: Path) -> None:
    with one_request_held(handmade_models, "--drain-timeout-s", "0.2") as (process, _, engine, held):
        process.send_signal(signal.SIGTERM)
        assert held.result() == 503
        assert process.wait() == -signal.SIGTERM
        assert not psutil.pid_exists(engine)


@contextmanager
def one_body_awaited(
    models: Path, length: int, *arguments: str
) -> Iterator[tuple["subprocess.Popen[str]", str, socket.socket]]:
    """A server, its address, and a connection to it over which a body of `length` bytes is to come."""
    with serving(models, "--models", "hand-classify", *arguments) as process:
        assert process.stdout is not None
        match = re.search(r"ready at (http://([\d.]+):(\d+))", read_until(process.stdout, "ready at"))
        assert match is not None
        with socket.create_connection((match[2], int(match[3]))) as connection:
            head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            yield process, match[1], connection


def wait_until_draining(url: str) -> None:
    """Return when the server has seen its signal."""
    while ready(url)["code"] == 200:
        time.sleep(0.01)


def test_told_to_stop_it_answers_a_request_that_is_arriving(handmade_models: Path) -> None:
    body = '{"text": "上", "top_k": 1}'.encode()
    with one_body_awaited(handmade_models, len(body)) as (process, url, connection):
        connection.sendall(body[:5])
        process.send_signal(signal.SIGTERM)
        wait_until_draining(url)
        assert post(url) == 503
        connection.sendall(body[5:])
        head, _, answer = b"".join(iter(lambda: connection.recv(4096), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert [label["label"] for label in json.loads(answer)["labels"]] == ["up"]
        assert process.wait() == -signal.SIGTERM


def test_told_to_stop_it_tells_a_client_that_is_still_sending(handmade_models: Path) -> None:
    with one_body_awaited(handmade_models, 100, "--drain-timeout-s", "0.2") as (process, _, connection):
        with connection:
            process.send_signal(signal.SIGTERM)
            head, _, body = b"".join(iter(lambda: connection.recv(4096), b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        answer = json.loads(body)
        assert (answer["error"], answer["error_type"]) == ("The service is shutting down.", "unavailable")
        assert process.wait() == -signal.SIGTERM
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_told_to_stop_twice_it_stops_at_once(handmade_models: Path) -> None:
    with one_request_held(handmade_models) as (process, url, engine, held):
        process.send_signal(signal.SIGTERM)
        wait_until_draining(url)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
        assert isinstance(held.exception(), httpx.RemoteProtocolError)
        os.kill(engine, signal.SIGCONT)  # it can see now that nobody is there, and ends
        psutil.wait_procs([psutil.Process(engine)] if psutil.pid_exists(engine) else [], timeout=10)
        assert not psutil.pid_exists(engine)


def test_a_killed_service_leaves_no_engine(handmade_models: Path) -> None:
    with one_request_held(handmade_models) as (process, _, engine, held):
        process.kill()
        process.wait()
        assert held.exception() is not None
        os.kill(engine, signal.SIGCONT)
        psutil.wait_procs([psutil.Process(engine)] if psutil.pid_exists(engine) else [], timeout=10)
        assert not psutil.pid_exists(engine)


def test_a_service_without_any_model_ends_and_says_why(tmp_path: Path) -> None:
    with serving(tmp_path / "nowhere") as process:
        out, err = process.communicate()
        assert process.returncode == 1
        assert err.splitlines()[-1] == (
            f"nagayomi: No model could be loaded. {tmp_path / 'nowhere'}: The path is not a directory; --model-store "
            "(NAGAYOMI_MODEL_STORE) names the folder of the models."
        )
        assert "ready" not in out
        assert "Traceback" not in err


def test_a_variable_that_is_no_setting_is_named_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of the keys' file misspelt, the service runs without keys."""
    monkeypatch.setenv("NAGAYOMI_API_KEY_FILE", "keys.txt")
    with serving(tmp_path / "nowhere") as process:
        _, err = process.communicate()
        assert "no settings and have no effect: NAGAYOMI_API_KEY_FILE (NAGAYOMI_API_KEYS_FILE is one)." in err


def test_a_provider_that_leaves_nodes_to_the_cpu_ends_the_service(handmade_models: Path) -> None:
    """Found out only when a graph is loaded, behind a service that listens already: it ends, with the reason."""
    program = """
import sys
from app import store
from app.cli import main
from app.errors import ProviderUnavailable

async def start(self):
    raise ProviderUnavailable("The provider 'cuda' does not run every node.")

store.Engine.start = start
sys.exit(main(sys.argv[1:]))
"""
    arguments = ["serve", "--port", "0", "--model-store", str(handmade_models)]
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=200)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "nagayomi: The provider 'cuda' does not run every node."
    assert "ready" not in result.stdout


def test_a_port_in_use_is_exit_code_1_at_once(handmade_models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serving(handmade_models, "--port", str(port)) as process:
            _, err = process.communicate()
            assert process.returncode == 1
            assert err == (
                f"nagayomi: The service cannot listen on 127.0.0.1, port {port}: Address already in use. "
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
    assert f"/{task} " in greeting("http://127.0.0.1:8080", {"only": task}, needs_key=False)


def test_models_that_no_endpoint_uses_are_greeted_too() -> None:
    screen = greeting("http://127.0.0.1:8080", {"reranker": "rerank"}, needs_key=False)
    assert "Models: reranker (rerank)\n" in screen
    assert "No endpoint uses these models; nagayomi rerank and nagayomi evidence do." in screen


def test_the_printed_request_says_where_a_key_goes() -> None:
    screen = greeting("http://127.0.0.1:8080", {"a": "qa", "b": "classify"}, needs_key=True)
    assert "Models: a (qa), b (classify)\n" in screen
    assert "-H 'Content-Type: application/json' -H 'Authorization: Bearer YOUR_KEY' \\\n" in screen


def test_a_public_address_without_keys_is_exit_code_2(handmade_models: Path) -> None:
    with serving(handmade_models, "--host", "0.0.0.0") as process:
        _, err = process.communicate()
        assert process.returncode == 2
        assert err.startswith("nagayomi: Other machines can reach 0.0.0.0, and no key is required.")


def test_json_logs_are_json_and_nothing_else(handmade_models: Path, tmp_path: Path) -> None:
    """With a keys file, on a public address. Who sends a large body without a key sees why it is not taken."""
    token, entry = new_key("web")
    (tmp_path / "keys.txt").write_text(entry, encoding="utf-8")
    arguments = ("--host", "0.0.0.0", "--api-keys-file", str(tmp_path / "keys.txt"), "--log-format", "json")
    with serving(handmade_models, *arguments) as process:
        assert process.stderr is not None
        started = read_until(process.stderr, "ready at ")
        match = re.search(r"ready at (http://127\.0\.0\.1:\d+)", started)
        assert match is not None
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        asked = urllib.request.Request(match.group(1) + "/info")
        asked.add_header("X-API-Key", token)
        with opener.open(asked, timeout=10) as response:
            request_id = response.headers["X-Request-Id"]
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(urllib.request.Request(match.group(1) + "/qa", bytes(5_000_000)), timeout=30)
        with refused.value as response:
            assert (response.status, json.load(response)["error_type"]) == (401, "unauthorized")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    records = [json.loads(line) for line in (started + err).splitlines()]
    assert {"level", "logger", "message", "time"} <= set.intersection(*map(set, records))
    record, second = [json.loads(line) for line in out.splitlines()]
    assert (second["status"], second["error_type"]) == (401, "unauthorized")
    assert (record["endpoint"], record["status"], record["key"]) == ("/info", 200, "web")
    assert record["request_id"] == request_id

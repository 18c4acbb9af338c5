"""The cpu image, built and run for real through compose.yaml: `make docker-test`.

    make docker-test DOCKER_BUILD_ARGS=--network=host

In order: build, files that Compose accepts, three endpoints, hardening, SIGTERM under load; then once more with keys.
"""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.compose_files import BASE_USER, COMPOSE_FILES, ROOT
from tests.docker.containers import IMAGE, Project, docker, image_bytes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

BASE, CPU, KEYS = COMPOSE_FILES
FILES = (BASE, CPU)
TEXT = (ROOT / "app/static/samples/history.txt").read_text(encoding="utf-8")
REQUESTS: dict[str, dict[str, Any]] = {
    "/qa": {"question": "工事の責任者に選ばれたのは誰ですか", "context": TEXT},
    "/summarize": {"text": TEXT, "max_sentences": 2},
    "/classify": {"text": TEXT, "top_k": 1},
}
# Sends a signal to every engine of the container; prints how many there are.
SIGNAL_ENGINES = """
import os, pathlib, signal, sys
engines = [int(file.parent.name) for file in pathlib.Path("/proc").glob("[0-9]*/cmdline")
           if b"app.worker" in file.read_bytes().split(b"\\0")]
for engine in engines:
    os.kill(engine, signal.Signals[sys.argv[1]])
print(len(engines))
"""
TRY_TO_WRITE = """
import pathlib, sys
for directory in sys.argv[1:]:
    try:
        (pathlib.Path(directory) / "written").write_text("x")
        print("written")
    except OSError as error:
        print(error.strerror)
"""


@pytest.fixture(scope="module", autouse=True)
def image() -> str:
    """The image, built from this checkout."""
    arguments = shlex.split(os.environ.get("DOCKER_BUILD_ARGS", ""))
    docker("build", *arguments, "-f", "docker/Dockerfile", "--target", "cpu", "-t", IMAGE, ".")
    return IMAGE


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """Started as a user would, without keys; it is gone afterwards."""
    started = Project("nagayomi-test", FILES)
    try:
        started.up()
        yield started
    finally:
        started.down()


def ask_everything(client: httpx.Client, headers: dict[str, str] | None = None) -> dict[str, int]:
    return {path: client.post(path, json=body, headers=headers).status_code for path, body in REQUESTS.items()}


def test_the_image_by_itself_runs_as_the_user_of_the_compose_file_and_drains_when_stopped(image: str) -> None:
    config = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))
    assert config["User"] == BASE_USER
    assert (config["StopSignal"], config["Entrypoint"]) == ("SIGTERM", ["nagayomi"])
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "/opt/nagayomi/healthcheck.py"]


def test_the_size_is_known(image: str, capfd: pytest.CaptureFixture[str]) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0 AND CC-BY-SA-4.0"
    with capfd.disabled():
        print("\n" + json.dumps({"image": image, **image_bytes(image)}))


@pytest.mark.parametrize(
    "files", [COMPOSE_FILES[:1], COMPOSE_FILES[:2], (COMPOSE_FILES[0], COMPOSE_FILES[2]), COMPOSE_FILES]
)
def test_compose_accepts_the_files(files: tuple[str, ...]) -> None:
    config = Project("nagayomi-config", files, {"COMPOSE_PROFILES": "monitoring"}).compose("config", "--format", "json")
    services = json.loads(config)["services"]
    assert set(services) == {"gateway", "prometheus", "grafana"}
    devices = services["gateway"]["deploy"]["resources"].get("reservations")
    assert (devices is None) == (CPU in files)
    assert len(services["gateway"]["ports"]) == 1


def test_the_endpoints_answer(project: Project) -> None:
    with project.client() as client:
        assert ask_everything(client) == dict.fromkeys(REQUESTS, 200)
        answer = client.post("/qa", json=REQUESTS["/qa"]).json()["results"][0]["answers"][0]
        assert TEXT[answer["start"] : answer["end"]] == answer["text"]


def test_the_service_can_do_nothing_it_need_not(project: Project) -> None:
    status = dict(
        line.split(":\t", 1) for line in project.python("print(open('/proc/1/status').read())").splitlines() if line
    )
    assert set(status["Uid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    directories = ["/", "/opt/nagayomi", "/models", "/etc", "/tmp", "/var/cache/nagayomi"]
    assert project.python(TRY_TO_WRITE, *directories).splitlines() == ["Read-only file system"] * 4 + ["written"] * 2


def test_the_log_has_no_complaint(project: Project) -> None:
    """ONNX Runtime's telemetry is among those who would complain of the read-only root."""
    log = project.compose("logs", "--no-log-prefix", "gateway")
    assert "Traceback" not in log
    assert "WARNING" not in log
    assert "elemetry" not in log


def test_told_to_stop_under_load_it_loses_nothing(project: Project) -> None:
    """Engines are held while requests pile up and the container is told to stop; every one of them gets its answer."""
    pile = [*REQUESTS.items()] * 8

    def send(client: httpx.Client, path: str, body: dict[str, Any]) -> int:
        return client.post(path, json=body).status_code

    with project.client() as client, ThreadPoolExecutor(len(pile) + 1) as pool:
        assert project.python(SIGNAL_ENGINES, "SIGSTOP").strip() == "3"
        answers = [pool.submit(send, client, path, body) for path, body in pile]
        while f"nagayomi_in_flight {len(pile)}.0" not in client.get("/metrics").text:
            time.sleep(0.05)
        stopped = pool.submit(project.compose, "stop", "gateway")
        while (health := client.get("/readyz")).status_code == 200:
            time.sleep(0.05)
        assert health.json()["status"] == "draining"
        assert send(client, *pile[0]) == 503
        project.python(SIGNAL_ENGINES, "SIGCONT")
        assert [answer.result() for answer in answers] == [200] * len(pile)
        stopped.result()
    assert project.inspect()["State"]["ExitCode"] in (0, 143)


def test_with_keys_only_clients_with_a_key_get_in(tmp_path: Path) -> None:
    environment = {"SECRETS": str(tmp_path / "secrets")}
    made = subprocess.run(
        ["docker/keys.sh", "alice"],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    keys = {
        "alice": made.stderr.strip().rpartition(" ")[2],
        "prometheus": (tmp_path / "secrets/prometheus-key").read_text(encoding="utf-8"),
    }
    project = Project("nagayomi-test-keys", (*FILES, KEYS), environment)
    try:
        project.up()
        with project.client() as client:
            assert ask_everything(client) == dict.fromkeys(REQUESTS, 401)
            assert client.get("/metrics").status_code == 401
            for key in keys.values():
                headers = {"Authorization": f"Bearer {key}"}
                assert ask_everything(client, headers) == dict.fromkeys(REQUESTS, 200)
                assert client.get("/metrics", headers=headers).status_code == 200
    finally:
        project.down()

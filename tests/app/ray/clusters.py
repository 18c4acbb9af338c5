"""A Ray cluster of two nodes on this machine, and the service on it, seen from outside: HTTP and processes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

ROOT = Path(__file__).parents[3]
WAIT_S = 600.0  # for whatever has to happen at all, on a machine that is busy with something else too
# Ray gives a node 30 s to start and has no setting for it; a machine that is busy with something else may need longer.
# To try again is to wait.
START_ATTEMPTS = 4

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),  # of every process of the cluster, so that it runs this very program
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_enable_worker_prestart": "0",  # a busy machine has enough to do with those that are wanted
    "RAY_worker_niceness": "0",  # else replicas get the time that nobody else on this machine wants
    "NAGAYOMI_INTRA_OP_THREADS": "1",
}


@dataclass(frozen=True)
class TwoNodes:
    """A head node that stays, and a second node that may be killed."""

    cluster: Any
    address: str
    worker: Any

    def kill_worker_node(self) -> None:
        """All of its processes at once, as when a machine loses its power."""
        raylet = psutil.Process(self.worker.all_processes["raylet"][0].process.pid)
        for process in [raylet, *raylet.children(recursive=True)]:
            _signal(process, signal.SIGKILL)
        self.cluster.remove_node(self.worker, allow_graceful=False)

    def replicas(self, on_worker: bool | None = None) -> list[psutil.Process]:
        """The processes of the deployment `Gateway`, on both nodes or on one."""
        return self.processes(":Gateway", on_worker)

    def processes(self, name: str, on_worker: bool | None = None) -> list[psutil.Process]:
        """The actors with this in their name, on both nodes or on one."""
        worker_raylet = self.worker.all_processes.get("raylet", [None])[0]
        found = []
        for process in psutil.Process().children(recursive=True):
            try:
                if not process.name().startswith("ray::") or name not in " ".join(process.cmdline()):
                    continue
                is_there = worker_raylet is not None and process.ppid() == worker_raylet.process.pid
            except psutil.NoSuchProcess:
                continue
            if on_worker is None or is_there == on_worker:
                found.append(process)
        return found


@contextmanager
def two_nodes(cpus: int) -> Iterator[TwoNodes]:
    """Two nodes with so many CPUs each, on any machine."""
    # A folder of its own, also for Ray's note of the cluster that runs on this machine: a cluster of someone else's is
    # not forgotten, and one of ours that was killed is not looked for. Short, because there are sockets in it.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as directory:
        environment = {**ENVIRONMENT, "RAY_TMPDIR": directory}
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        cluster, worker = _start(cpus)
        try:
            yield TwoNodes(cluster, cluster.address, worker)
        finally:
            cluster.shutdown()
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _start(cpus: int) -> tuple[Any, Any]:
    """The cluster and its second node.

    Raises:
        Exception: Ray's own; not even the last attempt was in time.
    """
    from ray.cluster_utils import Cluster

    resources: Any = {"object_store_memory": 100 * 2**20, "num_cpus": cpus}
    for attempt in range(1, START_ATTEMPTS + 1):
        cluster = Cluster()
        try:
            cluster.add_node(**resources, include_dashboard=False)
            return cluster, cluster.add_node(**resources)
        except Exception:  # a bare one for the head node, TimeoutError for the other
            cluster.shutdown()
            if attempt == START_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class Served:
    """A service on the cluster, and its output."""

    url: str
    log: Path

    def has_answered(self, replica: psutil.Process) -> bool:
        """Whether Ray Serve's log has a request that this replica answered."""
        lines = self.log.read_text("utf-8", errors="replace").splitlines()
        return any(f":Gateway pid={replica.pid})" in line and "CALL answer OK" in line for line in lines)


@contextmanager
def served(nodes: TwoNodes, directory: Path, config: dict[str, Any]) -> Iterator[Served]:
    """`serve run` with a configuration in the form of docker/serve.yaml, once it is ready."""
    url = f"http://127.0.0.1:{config['http_options']['port']}"
    log = directory / "serve.log"
    process = serve_run(nodes, directory / "serve.yaml", config, log)
    try:
        wait_for(lambda: process.poll() is not None or _is_ready(url), "readiness")
        assert process.poll() is None, log.read_text("utf-8")
        yield Served(url, log)
    finally:
        process.send_signal(signal.SIGINT)  # as Ctrl-C: takes the service off the cluster
        process.wait(120)


def serve_run(nodes: TwoNodes, file: Path, config: dict[str, Any], log: Path) -> "subprocess.Popen[bytes]":
    """`serve run`; where the cluster has a service already, that is updated."""
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "ray.serve.scripts", "run", str(file), "--address", nodes.address]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
            # Where the tests run in the background, SIGINT is ignored, and a child would inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=10, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def wait_for(condition: Callable[[], Any], what: str) -> float:
    """Seconds until it was true."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < WAIT_S, f"{what}: not within {WAIT_S:g} s"
        time.sleep(0.05)
    return time.monotonic() - begun


def engines(replica: psutil.Process) -> list[psutil.Process]:
    """The engine processes of one replica."""
    return [child for child in replica.children(recursive=True) if "app.worker" in child.cmdline()]


@contextmanager
def held(processes: list[psutil.Process]) -> Iterator[None]:
    """Inside, these processes stand still."""
    for process in processes:
        _signal(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            _signal(process, signal.SIGCONT)


def _signal(process: psutil.Process, what: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(what)

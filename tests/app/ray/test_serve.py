"""The service on a cluster of two nodes: what dies, and what changes its size, costs no request.

One of them runs in every `make test`; the slow ones, with several services more, in `make test-slow`.
"""

import itertools
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.app.ray.clusters import ROOT, Served, TwoNodes, engines, held, serve_run, served, two_nodes, wait_for

pytestmark = pytest.mark.timeout(1800)

TIMEOUT_MS = 300_000
LONG_S = 3.0


@pytest.fixture(scope="module")
def nodes() -> Iterator[TwoNodes]:
    with two_nodes(cpus=3) as cluster:
        yield cluster


def _config(store: Path, gateway: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """docker/serve.yaml, as far as one machine can be like a cluster."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "docker/serve.yaml").read_text(encoding="utf-8"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config["http_options"] = {"host": "127.0.0.1", "port": port}
    config["proxy_location"] = "HeadOnly"  # both nodes have the same address, and a port only once
    (application,) = config["applications"]
    application["args"] = {"model_store": str(store), "models": "hand-qa", **settings}
    (deployment,) = (one for one in application["deployments"] if one["name"] == "Gateway")
    deployment["ray_actor_options"] = {"num_cpus": 1}
    deployment["autoscaling_config"].update(gateway)
    return config


@dataclass
class Load:
    """Clients that ask one question after another, and their answers."""

    url: str
    seconds: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    open: dict[int, float] = field(default_factory=dict)  # when requests began that have no answer yet

    def ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=TIMEOUT_MS / 1000, trust_env=False) as client:
            while not self.stop.is_set():
                self.ask_once(client)

    def ask_once(self, client: httpx.Client) -> None:
        number = next(self.numbers)
        context = "前" * (number % 100) + f"《{number}》"
        headers = {"X-Timeout-Ms": str(TIMEOUT_MS)}
        self.open[number] = begun = time.monotonic()
        try:
            response = client.post("/qa", json={"question": "何?", "context": context}, headers=headers)
        except httpx.HTTPError as error:
            self.wrong.append(repr(error))
            return
        finally:
            del self.open[number]
        if response.status_code == 429:
            if int(response.headers["retry-after"]) < 1 or set(response.json()) != {
                "error",
                "error_type",
                "request_id",
            }:
                self.wrong.append(response.text)
            self.refused += 1
        elif response.status_code != 200 or response.json()["results"][0]["answers"][0]["text"] != f"《{number}》":
            self.wrong.append(response.text)
        else:
            self.seconds.append(time.monotonic() - begun)
            self.ended.append(time.monotonic())

    def wait_until_one_waits(self) -> None:
        """Until a request that began from now on has no answer for long: it hangs in what stands still."""
        now = time.monotonic()
        wait_for(
            lambda: any(begun > now and time.monotonic() - begun > LONG_S for begun in list(self.open.values())),
            "a request that hangs",
        )

    def wait_for_answers_after(self, moment: float) -> None:
        wait_for(lambda: sum(ended > moment for ended in list(self.ended)) >= 50, "answers after the kill")


@contextmanager
def under_load(url: str, clients: int) -> Iterator[Load]:
    load = Load(url)
    threads = [threading.Thread(target=load.ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def _answering(nodes: TwoNodes, service: Served) -> int:
    """Replicas that live and have answered."""
    return sum(service.has_answered(replica) for replica in nodes.replicas())


def _say(capsys: pytest.CaptureFixture[str], what: str, load: Load, killed: float, recovered: float) -> None:
    first = min(ended for ended in load.ended if ended > killed) - killed
    with capsys.disabled():
        print(
            f"\n{what} with 8 clients: first answer after {first:.2f} s, all replicas after {recovered:.1f} s more, "
            f"longest request {max(load.seconds):.1f} s, {len(load.ended)} answered, {len(load.wrong)} lost"
        )


@pytest.mark.slow
def test_replicas_follow_the_tokens_that_wait(
    nodes: TwoNodes, handmade_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scaling = {
        "min_replicas": 1, "max_replicas": 2, "metrics_interval_s": 0.5, "look_back_period_s": 2,
        "upscale_delay_s": 1, "downscale_delay_s": 2,
        "policy": {
            "policy_function": "app.ray.autoscaling:TokensPerReplica", "policy_kwargs": {"tokens_per_replica": 256},
        },
    }  # fmt: skip
    config = _config(handmade_models, scaling, max_request_tokens=1024, max_queue_tokens=1024)
    with served(nodes, tmp_path, config) as service:
        (first,) = nodes.replicas()
        with under_load(service.url, clients=1) as little:
            wait_for(lambda: len(little.ended) > 10, "answers")
            with under_load(service.url, clients=64) as much:
                with held(engines(first)):
                    # More than 1,024 tokens: some have to be refused, until there is a second replica.
                    wait_for(lambda: much.refused > 0, "429")
                    up_s = wait_for(lambda: len(nodes.replicas()) == 2, "a second replica")
                wait_for(lambda: _answering(nodes, service) == 2, "answers of both")
            down_s = wait_for(lambda: len(nodes.replicas()) == 1, "one replica again")
    with capsys.disabled():
        print(
            f"\n1 -> 2 replicas in {up_s:.1f} s, 2 -> 1 in {down_s:.1f} s; "
            f"{len(much.ended) + len(little.ended)} answered, {much.refused + little.refused} refused with 429"
        )
    assert [*little.wrong, *much.wrong] == []


@pytest.mark.slow
def test_new_models_take_over_without_a_gap(nodes: TwoNodes, handmade_store: Path, tmp_path: Path) -> None:
    before = Path(shutil.copytree(handmade_store, tmp_path / "before"))
    config = _config(before, {"min_replicas": 1, "max_replicas": 1})
    with served(nodes, tmp_path, config) as service, under_load(service.url, clients=4) as load:
        wait_for(lambda: _answering(nodes, service) == 1, "answers")
        old = nodes.replicas()
        config["applications"][0]["args"]["model_store"] = str(handmade_store)
        update = serve_run(nodes, tmp_path / "update.yaml", config, tmp_path / "update.log")
        try:
            wait_for(lambda: not any(replica.is_running() for replica in old), "the end of the old replica")
            load.wait_for_answers_after(time.monotonic())
        finally:
            update.kill()
            update.wait()
    assert load.wrong == []
    assert load.refused == 0


def test_no_request_is_lost_with_a_replica(
    nodes: TwoNodes, handmade_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _config(handmade_models, {"min_replicas": 2, "max_replicas": 2})
    with served(nodes, tmp_path, config) as service, under_load(service.url, clients=8) as load:
        wait_for(lambda: _answering(nodes, service) == 2, "answers of both replicas")
        victim = nodes.replicas()[0]
        with held(engines(victim)):
            load.wait_until_one_waits()
            killed = time.monotonic()
            victim.kill()
            load.wait_for_answers_after(killed)
        recovered = wait_for(lambda: _answering(nodes, service) == 2, "a replica in place of the one that was killed")
        _say(capsys, "replica killed", load, killed, recovered)
    assert load.wrong == []
    assert load.refused == 0


@pytest.mark.slow
def test_no_request_is_lost_with_a_node(
    nodes: TwoNodes, handmade_models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last one: afterwards there is but one node."""
    config = _config(handmade_models, {"min_replicas": 2, "max_replicas": 2})
    with served(nodes, tmp_path, config) as service, under_load(service.url, clients=8) as load:
        wait_for(lambda: _answering(nodes, service) == 2, "answers of both replicas")
        victims = nodes.replicas(on_worker=True)
        assert victims, "Ray Serve spreads replicas"
        with held([engine for victim in victims for engine in engines(victim)]):
            load.wait_until_one_waits()
            killed = time.monotonic()
            nodes.kill_worker_node()
            load.wait_for_answers_after(killed)
        recovered = wait_for(lambda: _answering(nodes, service) == 2, "two replicas on the node that is left")
        _say(capsys, "node killed", load, killed, recovered)
    assert load.wrong == []
    assert load.refused == 0

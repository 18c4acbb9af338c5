"""`nagayomi batch --ray`: the answers of a worker without a cluster; and of two nodes, one of which is killed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow
import pytest

from app.bulk.lines import LineAnswerer
from app.bulk.output import Paths
from app.bulk.ray_data import OnRay, Worker, Workers, _blocks, _reason
from app.cli import main
from app.errors import BrokenModel, Unavailable
from app.service import Service
from app.settings import Settings
from app.store import model_versions
from app.types import ServedTask
from tests.app.ray.clusters import WAIT_S, TwoNodes, two_nodes, wait_for


def _lines(count: int) -> Iterator[tuple[int, bytes | None]]:
    for number in range(1, count + 1):
        body = {"question": "何?", "context": "前" * (number * 37 % 400) + f"《{number}》"}
        yield number, None if number % 10 == 0 else json.dumps(body).encode()


def test_lines_are_laid_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.bulk.ray_data.BLOCK_BYTES", 10)
    lines: list[tuple[int, bytes | None]] = [(1, b"a"), (2, None), (3, b"c"), (4, b"d" * 10), (5, b"\xff")]
    blocks = [block.to_pydict() for block in _blocks(iter(lines), 2)]
    assert blocks == [
        {"number": [1, 2], "body": [b"a", None]},
        {"number": [3, 4], "body": [b"c", b"d" * 10]},
        {"number": [5], "body": [b"\xff"]},
    ]


def test_blocks_are_made_when_they_are_wanted() -> None:
    read: list[int] = []

    def lines() -> Iterator[tuple[int, bytes | None]]:
        for line in _lines(100):
            read.append(line[0])
            yield line

    next(_blocks(lines(), 10))
    assert read == list(range(1, 11))


async def test_a_worker_answers_as_the_service_here_does(handmade_models: Path) -> None:
    task: ServedTask = "qa"
    settings = Settings(model_store=handmade_models, intra_op_threads=1, text_threads=1)
    async with Service.open(settings, [task]) as service:
        here = [answer async for answer in LineAnswerer(service, task).answers(_lines(50))]
    worker = Worker(settings, task, None, model_versions(settings, task))
    (block,) = _blocks(_lines(50), 50)
    answered: pyarrow.Table = worker(block)
    assert answered.to_pydict() == {
        "text": [answer.text for answer in here],
        "failed": [answer.failed for answer in here],
    }
    assert sum(answer.failed for answer in here) == 5
    worker.close()


def test_a_worker_with_other_models_refuses_to_work(handmade_models: Path) -> None:
    settings = Settings(model_store=handmade_models)
    with pytest.raises(BrokenModel, match="not the same on all machines"):
        Worker(settings, "qa", None, {"hand-qa": "0" * 64})


def test_no_cluster_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def finds_none(**_: Any) -> None:
        raise ConnectionError("Could not find any.")

    monkeypatch.setattr("ray.init", finds_none)
    with pytest.raises(Unavailable) as raised, OnRay("auto", Workers(None, 0), Settings(), "qa", None):
        pass
    assert str(raised.value) == (
        "There is no Ray cluster at 'auto'. `ray start --head` starts one on this machine; `--ray local` needs none. "
        "Ray says: Could not find any."
    )


@pytest.mark.parametrize(
    ("resources", "workers"),
    [({"CPU": 1.8, "GPU": 1.0}, 0), ({"CPU": 9.0, "GPU": 1.0}, 2), ({"CPU": 5.0, "GPU": 4.0}, 2), ({"CPU": 8.0}, 0)],
)
def test_workers_that_fit(resources: dict[str, float], workers: int) -> None:
    backend = OnRay("auto", Workers(None, gpus=0.5), Settings(intra_op_threads=2), "qa", None)
    assert backend._room(resources) == workers


async def test_a_cluster_that_is_taken_is_waited_for_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = OnRay("auto", Workers(None, gpus=0), Settings(intra_op_threads=1), "qa", None)
    monkeypatch.setattr(backend, "versions", dict)
    monkeypatch.setattr("ray.cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr("ray.available_resources", lambda: {"CPU": 0.8})
    assert [answer async for answer in backend._answers([])] == []
    assert capsys.readouterr().err == ("nagayomi: waiting for room on the cluster: a worker takes 1 CPUs and 0 GPUs.\n")


def test_the_reason_is_our_own_sentence_where_there_is_one() -> None:
    trace = "Traceback\n  File …\napp.errors.BrokenModel: The models differ.\n\nThe above …\nray.x: Failed.\nAdvice."
    assert _reason(RuntimeError(trace)) == "The models differ."
    assert _reason(RuntimeError("Out of memory.\nWorker killed.")) == "Worker killed."


def test_ray_missing_names_the_extra(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("{}\n")
    command = ["batch", str(source), str(tmp_path / "out.jsonl"), "--task", "qa", "--ray", "auto"]
    code = f"import sys; sys.modules['ray'] = None; import app.cli; sys.exit(app.cli.main({command!r}))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (
        1,
        "nagayomi: this command needs the package ray; install the extra `ray`: "
        "pip install 'nagayomi[ray]', or pip install -e '.[ray]' in a clone.\n",
    )
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cluster_gives_the_same_bytes_though_a_node_and_the_command_are_killed(
    handmade_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")
    source, here, there = tmp_path / "in.jsonl", tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    source.write_bytes(b"".join((body or b"not JSON") + b"\n" for _, body in _lines(40_000)))
    assert main(["batch", str(source), str(here), "--task", "qa"]) == 1
    with two_nodes(cpus=2) as nodes:
        command = [sys.executable, "-m", "app.cli", "batch", str(source), str(there), "--task", "qa"]
        command += ["--ray", nodes.address, "--workers", "3"]
        first = subprocess.Popen(command)
        wait_for(lambda: _done(there, first) > 0, "answers")
        first.kill()
        first.wait()
        before = _done(there)
        second = subprocess.Popen(command)
        try:
            wait_for(lambda: _done(there, second) > before and _workers(nodes), "a worker on the second node")
            nodes.kill_worker_node()
            assert second.wait(WAIT_S) == 1, "some lines are not JSON"
        finally:
            second.kill()
            second.wait()
    assert before < 40_000
    assert there.read_bytes() == here.read_bytes()
    assert Paths.next_to(there).errors.read_bytes() == Paths.next_to(here).errors.read_bytes()


def _done(output: Path, process: "subprocess.Popen[bytes] | None" = None) -> int:
    assert process is None or process.poll() is None, "ended too early"
    progress = Paths.next_to(output).progress
    return json.loads(progress.read_text())["place"]["lines"] if progress.exists() else 0


def _workers(nodes: TwoNodes) -> list[psutil.Process]:
    """Those of the node that may be killed."""
    return nodes.processes("MapWorker", on_worker=True)

"""Limits of the system that a long run would reach, and the precision of a machine."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from training.runs import distributed
from training.runs.distributed import Processes, TooFewFiles, cpu_has_bf16, joined, raise_open_file_limit


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Stands in for the system's limit of open files: the last entry holds."""
    held = [(100, 1000)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: held[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limit: held.append(limit))
    return held


def test_the_open_file_limit_is_raised_to_what_the_run_needs(limits: list[tuple[int, int]]) -> None:
    raise_open_file_limit(2)
    assert limits == [(100, 1000), (288, 1000)]
    raise_open_file_limit(1)  # never lowered
    assert limits[-1] == (288, 1000)


def test_a_limit_that_cannot_be_raised_is_said_before_the_run(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(TooFewFiles, match=r"allows 1000 open files and a run of 64 processes needs 1280.*ulimit -Hn"):
        raise_open_file_limit(64)


def test_a_system_without_a_limit_has_enough(limits: list[tuple[int, int]]) -> None:
    limits.append((64, resource.RLIM_INFINITY))
    raise_open_file_limit(1000)
    assert limits[-1] == (16256, resource.RLIM_INFINITY)


def test_one_process_alone_needs_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert (processes.rank, processes.size, processes.is_first) == (0, 1, True)
        assert processes.sum_of(2.5) == 2.5
        assert processes.from_first("a") == "a"
        assert processes.agree_on("a")


LEAVES_A_GROUP = """
import os
from pathlib import Path
import torch
from training.runs.distributed import joined

with joined() as processes:
    weight = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.AdamW([weight])
    (weight * processes.sum_of(1.0)).sum().backward()
    optimiser.step()
print([task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm") if "gloo" in task.read_text()])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
def test_no_thread_of_the_group_outlives_it_and_can_abort_the_process_at_exit(tmp_path: Path) -> None:
    script = tmp_path / "leaves.py"
    script.write_text(LEAVES_A_GROUP, encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(launcher, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "") == "[][]"  # the two write into one pipe, line ends last


CPUINFO = "processor\t: {number}\nmodel name\t: CPU @ 2.00GHz\nflags\t\t: fpu sse2 {flag}\nbugs\t\t: amx_bf16_bug\n\n"


@pytest.mark.parametrize(
    ("flag", "has"),
    [
        ("avx512f avx512_bf16", True),
        ("amx_tile amx_bf16", True),
        ("avx512f avx512_vnni", False),
        ("xavx512_bf16", False),
    ],
)
def test_bf16_pays_where_the_cpu_has_instructions_for_it(flag: str, has: bool, tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("".join(CPUINFO.format(number=number, flag=flag) for number in range(2)), encoding="utf-8")
    assert cpu_has_bf16(file) is has


def test_a_system_that_tells_nothing_of_its_cpu_trains_in_fp32(tmp_path: Path) -> None:
    assert not cpu_has_bf16(tmp_path / "nowhere")
    arm = tmp_path / "cpuinfo"
    arm.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\n", encoding="utf-8")
    assert not cpu_has_bf16(arm)


def test_autocast_may_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for machine_has in (True, False):
        monkeypatch.setattr(distributed, "cpu_has_bf16", lambda has=machine_has: has)
        asked = {autocast: Processes().uses_bf16(autocast) for autocast in ("auto", "none", "bf16")}
        assert asked == {"auto": machine_has, "none": False, "bf16": True}

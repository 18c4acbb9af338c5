"""Limits of the system that a long run would run into."""

import resource

import pytest

from training.runs.distributed import TooFewFiles, joined, raise_open_file_limit


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

"""The files of a batch run, under a commit that another one meets."""

import os
import threading
from pathlib import Path

import pytest

from app.bulk.lines import AnsweredLine, Place
from app.bulk.output import Output, Paths


def test_a_commit_during_a_commit_writes_no_line_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at Ctrl-C, where the run commits while a thread still waits for the disk."""
    waits, has_disk = threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        waits.set()
        has_disk.wait()

    paths = Paths.next_to(tmp_path / "out.jsonl")
    with Output.open(paths, {"task": "qa"}) as output:
        output.add(AnsweredLine('{"id":1}', failed=False), Place(lines=1, bytes=9))
        monkeypatch.setattr(os, "fsync", fsync)
        commits = [threading.Thread(target=output.commit) for _ in range(2)]
        commits[0].start()
        waits.wait()
        commits[1].start()
        commits[1].join(timeout=0.1)
        has_disk.set()
        for commit in commits:
            commit.join()

        assert (output.place, output.pending) == (Place(lines=1, bytes=9), 0)
    assert paths.answers.read_text() == '{"id":1}\n'

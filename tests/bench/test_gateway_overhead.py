"""The whole comparison, small, on a tiny model; its figures mean nothing here, so only their sense is checked."""

import json
from pathlib import Path

import pytest

from bench.gateway_overhead import CHARACTERS, SHORT, first_qa_model, main, texts


def test_documents() -> None:
    lengths = [len(text) for text in texts(50, seed=0)]
    assert CHARACTERS[0] <= min(lengths) < max(lengths) <= CHARACTERS[1]
    assert texts(3, seed=0) == texts(3, seed=0) != texts(3, seed=1)
    assert {len(text) for text in texts(3, seed=-1)} == {SHORT}


def test_a_store_without_a_reader(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no model that answers questions"):
        first_qa_model(tmp_path)


def test_gateway_and_bare_session(tiny_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model-store", str(tiny_store), "--rounds=1", "--requests=4", "--concurrency=2", "--short=2"]
    assert main([*arguments, "--threads=1"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["ratio"] == report["ratios"][0] > 0
    assert 0 < report["batch_fill"] <= 1
    assert report["latency_p50_ms"] == pytest.approx(report["bare_p50_ms"] + report["overhead_p50_ms"], abs=0.05)

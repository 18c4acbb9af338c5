"""A summarizer's head that is fitted before the first step."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import reading_file
from training.config import read_config
from training.finetune.loop import Run

MARKED = ["task=summarize", "sets.0.data=marked", "sets.0.reader=reading-set"]
FITTED = [*MARKED, "head=fitted", "epochs=0"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Documents whose longest sentence is marked; every character stands in every place."""
    for n in range(12):
        rng = np.random.default_rng(n)
        lengths = rng.permutation([3, 4, 5, 12])
        sentences = ["".join(rng.choice(list("駅寺橋森城"), length)) + f"{n}。" for length in lengths]
        kept = sentences[int(lengths.argmax())]
        reading_file(tmp_path / "marked" / f"{n}.txt", "".join(sentences), ["Q: ないか", "A: -", f"S: {kept}"])
    return tmp_path


def test_a_summary_that_keeps_the_longest_sentence_is_found_by_length(
    config_file: Path, data: Path, tmp_path: Path
) -> None:
    """The encoder has random weights: only the length tells."""
    run = Run(read_config(config_file, FITTED), data, tmp_path / "run")
    run.train()
    assert run.losses == []
    weights = run.sentence_weights
    assert weights["log_characters_less_mean"] > 0.1
    assert weights["note"] == pytest.approx(0, abs=1e-3), "no sentence stands in a note"
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["nagayomi"]["sentence_weights"] == pytest.approx(weights)


def test_a_run_from_a_summarizer_goes_on_with_its_whole_head(config_file: Path, data: Path, tmp_path: Path) -> None:
    first = Run(read_config(config_file, FITTED), data, tmp_path / "first")
    first.train()
    goes_on = [*MARKED, f"checkpoint={tmp_path / 'first'}"]
    second = Run(read_config(config_file, goes_on), data, tmp_path / "second")

    heads = [run.model.state_dict() for run in (first, second)]
    assert torch.equal(heads[1]["classifier.weight"], heads[0]["classifier.weight"])
    assert second.sentence_weights == pytest.approx(first.sentence_weights)

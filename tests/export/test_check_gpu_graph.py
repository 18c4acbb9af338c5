import json
from pathlib import Path

import numpy as np
import pytest

from export.check_gpu_graph import main, probabilities

STORE = Path(__file__).parents[2] / "model_store"


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    context = (STORE.parent / "app" / "static" / "samples" / "history.txt").read_text(encoding="utf-8")
    paragraphs = [
        {"context": context, "qas": [{"question": "工事の責任者に選ばれたのは誰ですか"}]},
        {"context": context[:300], "qas": [{"question": "どこにありますか"}]},
    ]
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return tmp_path / "squad.json"


@pytest.mark.parametrize("task", ["qa", "classify", "summarize"])
def test_the_shipped_models_answer_the_same(task: str, questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", f"nagayomi-small-ja-{task}", "--model-store", str(STORE), "--data", str(questions)]
    assert main(arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["items"], figures["same_results"]) == (2, 2)
    for computation in ("gpu_graph", "rounding_everywhere"):
        assert 0 < figures[computation]["max_probability_diff"] <= figures["max_probability_diff"] <= 2e-2


def test_past_the_tolerance_it_ends_with_1(questions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", "nagayomi-small-ja-classify", "--model-store", str(STORE), "--data", str(questions)]
    assert main([*arguments, "--limit", "1", "--tolerance", "1e-9"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["items"] == 1


def test_probabilities_of_each_kind_of_output() -> None:
    np.testing.assert_allclose(probabilities(np.log(np.array([1, 3], dtype=np.float32))), [0.25, 0.75], rtol=1e-6)
    np.testing.assert_allclose(probabilities(np.zeros((2, 1), dtype=np.float32)), [[0.5], [0.5]])

import json

import numpy as np
import pytest

from export import check_parity
from export.check_parity import document, main
from export.encoder import TASKS


def test_both_patterns_stay_within_the_bounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command itself, on one head and a few lengths; the whole of it takes minutes."""
    monkeypatch.setattr(check_parity, "TASKS", ("token-classification",))
    monkeypatch.setattr(check_parity, "LENGTHS", (1, 64, 65, 705, 1024))
    monkeypatch.setattr(check_parity, "PACKED_TOGETHER", ((705, 1, 65), (1024, 64)))
    assert main(["--hidden", "64", "--layers", "1"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.keys() == {"max_abs_diff", "cases", "batch_invariance", "random_pattern_diff", "largest_weight"}
    assert figures["cases"] == 2 * (5 * 2 + 5 * 2)
    assert 0 < figures["max_abs_diff"] <= 1e-4
    assert 0 < figures["random_pattern_diff"] <= 1e-4
    assert figures["batch_invariance"] <= 1e-5
    assert figures["largest_weight"] > 5 / 1024  # the narrow model is not as sharp as the whole command's


def test_the_lengths_and_heads_of_the_whole_command() -> None:
    assert check_parity.LENGTHS == (1, 63, 64, 65, 704, 705, 768, 1024, 1500, 3072, 4095, 4096)
    assert set(np.concatenate(check_parity.PACKED_TOGETHER).tolist()) <= set(check_parity.LENGTHS)
    assert len(TASKS) == 5


def test_difference_is_the_largest() -> None:
    a, b = np.zeros((3, 2), dtype=np.float32), np.zeros((3, 2), dtype=np.float32)
    b[1, 1] = -0.5
    assert check_parity.difference([a, a], [a, b]) == 0.5


def test_masked_tokens_are_compared_as_masked() -> None:
    a, b = np.array([0.0, -1e6], dtype=np.float32), np.array([0.25, -1e6 - 3], dtype=np.float32)
    assert check_parity.difference([a], [b]) == 0.25
    with pytest.raises(RuntimeError, match="Another set of question tokens"):
        check_parity.difference([a], [b[::-1].copy()])
    with pytest.raises(RuntimeError, match="shapes"):
        check_parity.difference([a], [b[:1]])


def test_documents_are_the_same_every_time() -> None:
    one, other = document(100, "qa"), document(100, "qa")
    np.testing.assert_array_equal(one.input_ids, other.input_ids)
    assert one.question_length == 12
    assert document(12, "qa").question_length == document(100, "classify").question_length == 0

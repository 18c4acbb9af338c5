"""Labels of several windows, and the effect of the temperature."""

import numpy as np
import pytest

from app.tasks.classify import decode_labels


def test_labels_are_averaged_by_tokens() -> None:
    logits = [np.array([0, 100], dtype=np.float32), np.array([100, 0], dtype=np.float32)]
    assert decode_labels(logits, [30, 10], temperature=1.0, top_k=None) == [(1, 0.75), (0, 0.25)]
    assert decode_labels(logits, [30, 10], temperature=1.0, top_k=1) == [(1, 0.75)]
    assert decode_labels(logits, [1, 1], temperature=1.0, top_k=5) == [(0, 0.5), (1, 0.5)], "equals keep their order"
    (_, hot), (_, cold) = decode_labels([np.array([0, 1], dtype=np.float32)], [1], temperature=2.0, top_k=None)
    assert hot == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert hot + cold == pytest.approx(1)


def test_the_temperature_of_labels_acts_on_the_mean_over_windows() -> None:
    logits = [np.array([0, 100], dtype=np.float32), np.array([100, 0], dtype=np.float32)]
    (first, high), (_, low) = decode_labels(logits, [30, 10], temperature=2.0, top_k=None)
    assert first == 1
    assert [high, low] == pytest.approx([3**0.5 / (3**0.5 + 1), 1 / (3**0.5 + 1)])
    impossible = [np.array([0, -2000], dtype=np.float32)]
    assert decode_labels(impossible, [1], temperature=0.5, top_k=None) == [(0, 1.0), (1, 0.0)]

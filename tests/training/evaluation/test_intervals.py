"""Bootstrap intervals: over documents, the same at every run, and as wide as they should be."""

import math

import numpy as np
import pytest

from app.types import LongArray
from training.evaluation.intervals import bootstrap, measured


def test_figures_that_the_items_cannot_give_are_left_out() -> None:
    statistics = {"half": lambda places: len(places) / 4, "none": lambda places: math.nan}
    assert measured(["a", "b"], statistics) == {"half": 0.5}
    assert bootstrap(["a", "b"], {"none": lambda places: math.nan}) == {}


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(10, 2, 400)
    statistics = {"mean": lambda places: float(values[places].mean())}
    low, high = bootstrap([str(n) for n in range(400)], statistics)["mean"]
    error = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.25 * error)
    assert bootstrap([str(n) for n in range(400)], statistics)["mean"] == (low, high)


def test_documents_are_drawn_with_all_their_items() -> None:
    documents = ["甲", "乙", "甲", "丙", "甲", "乙"]
    drawn: list[list[int]] = []

    def looking(places: LongArray) -> float:
        drawn.append(sorted(places.tolist()))
        return 0.0

    bootstrap(documents, {"x": looking})
    groups = {"甲": [0, 2, 4], "乙": [1, 5], "丙": [3]}
    assert len(drawn) == 1000
    for places in drawn:
        times = [{places.count(index) for index in group} for group in groups.values()]
        assert all(len(counts) == 1 for counts in times), "an item never comes without the rest of its document"
        assert sum(counts.pop() for counts in times) == 3
    assert len({tuple(places) for places in drawn}) == 10  # ways to draw three of three, in any order


def test_items_of_one_document_make_the_interval_as_wide_as_there_are_documents() -> None:
    right = np.array([1.0] * 50 + [0.0] * 50)
    statistics = {"mean": lambda places: float(right[places].mean())}
    together = bootstrap(["a"] * 50 + ["b"] * 50, statistics)["mean"]
    apart = bootstrap([str(n) for n in range(100)], statistics)["mean"]
    assert together == (0.0, 1.0)
    assert 0.35 < apart[0] < 0.45 < 0.55 < apart[1] < 0.65


def test_draws_without_a_figure_do_not_count() -> None:
    statistics = {"x": lambda places: 1.0 if 0 in places else math.nan}
    assert bootstrap(["a", "b"], statistics) == {"x": (1.0, 1.0)}


def test_one_document_has_no_interval() -> None:
    assert bootstrap(["a", "a"], {"x": lambda places: 1.0}) == {}
    assert bootstrap([], {"x": lambda places: 1.0}) == {}

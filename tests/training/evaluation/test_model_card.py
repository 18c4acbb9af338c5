from pathlib import Path

import pytest

from app.manifest import Manifest, Metric, write
from training.evaluation.model_card import figure_table, record, record_temperature, record_threshold

CARD = "# Card\n\n<!-- metrics -->\n{}<!-- /metrics -->\n\n## Data\n"


@pytest.fixture
def directory(tiny_store: Path, tmp_path: Path) -> Path:
    """A directory with a manifest and a card, and nothing to serve."""
    write(tmp_path, Manifest.read(tiny_store / "tiny-qa"))
    (tmp_path / "README.md").write_text(CARD.format("old\n"), encoding="utf-8")
    return tmp_path


def test_a_table_has_a_line_for_each_measure_and_a_column_for_each_baseline() -> None:
    values = {"em": 0.5, "f1": 0.75, "ece": 0.0123, "overlap.f1": 0.25, "random.f1": 0.125, "majority.accuracy": 0.4}
    assert figure_table(values, {"f1": (0.7, 0.8012), "ece": (0, 0.1)}) == (
        "|  | model | overlap | random | majority |\n"
        "|---|---|---|---|---|\n"
        "| em | 0.500 |  |  |  |\n"
        "| f1 | 0.750 (0.700–0.801) | 0.250 | 0.125 |  |\n"
        "| ece | 0.012 (0.000–0.100) |  |  |  |\n"
        "| accuracy |  |  |  | 0.400 |\n"
    )


def test_a_metric_replaces_the_one_of_the_same_command(directory: Path) -> None:
    first = Metric(dataset="made", n=1000, values={"f1": 0.5}, command="nagayomi evaluate")
    other = Metric(dataset="other", n=2, values={"f1": 0.25}, command="nagayomi evaluate --limit 2")
    for metric in (first, other, first.model_copy(update={"values": {"f1": 0.75}})):
        record(directory, metric)
    assert [metric.values["f1"] for metric in Manifest.read(directory).metrics] == [0.25, 0.75]
    table = "|  | model |\n|---|---|\n| f1 | {} |\n"
    assert (directory / "README.md").read_text(encoding="utf-8") == CARD.format(
        f"**other** (2)\n\n{table.format('0.250')}\n`nagayomi evaluate --limit 2`\n\n"
        f"**made** (1,000)\n\n{table.format('0.750')}\n`nagayomi evaluate`\n"
    )


def test_a_new_temperature_takes_out_the_figures_of_the_old_one(directory: Path) -> None:
    values = {"f1": 0.5, "ece": 0.2, "null_score_auroc": 0.9, "score_diff_auroc": 0.9, "overlap.null_score_auroc": 0.8}
    intervals = {"f1": (0.4, 0.6), "ece": (0.1, 0.3)}
    record(directory, Metric(dataset="made", n=1, values=values, intervals=intervals, command="c"))
    record_temperature(directory, 1.0, "everyday/dev")
    assert Manifest.read(directory).metrics[0].values == values
    record_temperature(directory, 1.5, "everyday/dev")
    manifest = Manifest.read(directory)
    assert manifest.temperature == 1.5
    kept = {"f1": 0.5, "score_diff_auroc": 0.9, "overlap.null_score_auroc": 0.8}
    assert manifest.metrics[0].values == kept
    assert manifest.metrics[0].intervals == {"f1": (0.4, 0.6)}
    assert figure_table(kept, {"f1": (0.4, 0.6)}) in (directory / "README.md").read_text(encoding="utf-8")


def test_a_new_threshold_takes_out_the_figures_of_the_old_one(directory: Path) -> None:
    values = {"f1": 0.5, "answerability_auroc": 0.9, "answerability_accuracy": 0.8, "right_at_threshold": 0.7}
    record(directory, Metric(dataset="made", n=1, values=values, command="c"))
    record_threshold(directory, -1.5, "everyday/dev")
    manifest = Manifest.read(directory)
    assert manifest.null_score_diff_threshold == -1.5
    assert manifest.metrics[0].values == {"f1": 0.5, "answerability_auroc": 0.9}


def test_the_data_that_something_was_fitted_on_is_named_once(directory: Path) -> None:
    assert Manifest.read(directory).fitted_on == ()
    for data in ("everyday/dev", "jaquad/dev", "everyday/dev"):
        record_temperature(directory, 2.0, data)
        record_threshold(directory, -1.5, data)
    assert Manifest.read(directory).fitted_on == ("everyday/dev", "jaquad/dev")


def test_a_model_without_a_card_needs_none(directory: Path) -> None:
    (directory / "README.md").unlink()
    record_temperature(directory, 2.0, "everyday/dev")
    assert Manifest.read(directory).temperature == 2.0
    assert not (directory / "README.md").exists()

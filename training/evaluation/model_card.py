"""Writes measured figures into the model's manifest, and from there into the tables of its card.

No figure is typed by hand: the tables come from the manifest, the manifest from an evaluation. Measures nothing.
"""

import re
from collections.abc import Container, Mapping
from pathlib import Path

from app.manifest import Manifest, Metric, write

_TABLES = re.compile("(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)

# Figures that are no longer true with a new temperature or a new threshold.
_OF_THE_TEMPERATURE = ("ece", "null_score_auroc", "answerability_auroc")
_OF_THE_THRESHOLD = ("answerability_accuracy", "answerability_balanced_accuracy", "right_at_threshold")


def record(directory: Path, metric: Metric) -> None:
    """Add a metric to `directory/manifest.json`, replacing one of the same command, and rewrite the card's tables."""
    manifest = Manifest.read(directory)
    kept = [earlier for earlier in manifest.metrics if earlier.command != metric.command]
    _write(directory, manifest.model_copy(update={"metrics": (*kept, metric)}))


def record_temperature(directory: Path, temperature: float, data: str) -> None:
    """Set the temperature of the model, fitted on this data, and remove the figures measured at another one."""
    _change(directory, "temperature", temperature, data, _OF_THE_TEMPERATURE)


def record_threshold(directory: Path, threshold: float, data: str) -> None:
    """Set the threshold above which the model says "not stated", as `record_temperature` does."""
    _change(directory, "null_score_diff_threshold", threshold, data, _OF_THE_THRESHOLD)


def _change(directory: Path, name: str, value: float, data: str, outdated: Container[str]) -> None:
    manifest = Manifest.read(directory)
    metrics = manifest.metrics
    if value != getattr(manifest, name):
        metrics = tuple(
            metric.model_copy(
                update={
                    part: {figure: one for figure, one in getattr(metric, part).items() if figure not in outdated}
                    for part in ("values", "intervals")
                }
            )
            for metric in metrics
        )
    fitted_on = tuple(dict.fromkeys((*manifest.fitted_on, data)))
    _write(directory, manifest.model_copy(update={name: value, "fitted_on": fitted_on, "metrics": metrics}))


def _write(directory: Path, manifest: Manifest) -> None:
    write(directory, manifest)
    card = directory / "README.md"
    if card.exists():
        text = card.read_text(encoding="utf-8")
        card.write_text(_TABLES.sub(lambda match: match[1] + tables(manifest) + match[2], text), encoding="utf-8")


def tables(manifest: Manifest) -> str:
    """Every metric of a manifest: the data, the command, and its figures."""
    return "\n".join(
        f"**{metric.dataset}** ({metric.n:,})\n\n{figure_table(metric.values, metric.intervals)}\n`{metric.command}`\n"
        for metric in manifest.metrics
    )


def figure_table(values: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> str:
    """Figures as a Markdown table: a line for each measure, the model first, then a column for each baseline.

    A figure is followed by its 95 % bootstrap interval over documents, where it has one.
    """
    baselines = list(dict.fromkeys(name.partition(".")[0] for name in values if "." in name))
    measures = list(dict.fromkeys(name.rpartition(".")[2] for name in values))
    lines = [f"| {' | '.join(['', 'model', *baselines])} |", "|---" * (len(baselines) + 2) + "|"]
    for measure in measures:
        names = [measure, *(f"{baseline}.{measure}" for baseline in baselines)]
        cells = [figure_cell(name, values, intervals) for name in names]
        lines.append(f"| {' | '.join([measure.replace('_', ' '), *cells])} |")
    return "\n".join(lines) + "\n"


def figure_cell(name: str, values: Mapping[str, float], intervals: Mapping[str, tuple[float, float]]) -> str:
    """A figure for a cell of a table, with its interval where it has one; empty when there is no such figure."""
    if name not in values:
        return ""
    low, high = intervals.get(name, (None, None))
    return f"{values[name]:.3f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})")

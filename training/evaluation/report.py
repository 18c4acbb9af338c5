"""The report of one evaluation: figures and examples as Markdown and JSON, plots as PNG.

This module knows scored items and files, and measures nothing itself. README.md shows the plots, so the folder reads
well on its own.
"""

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix, roc_curve

from app.errors import InvalidInput
from training.evaluation.calibration import Bin, reliability
from training.evaluation.intervals import DRAWS
from training.evaluation.model_card import figure_cell, figure_table
from training.evaluation.predictions import Scored
from training.evaluation.scores import Part, Scores, by_length, by_position
from training.evaluation.style_scores import StyleScores

# Names of Scored.measure by the kind of items: a task, or summaries by marked sentences.
MEASURES = {"qa": "f1", "classify": "accuracy", "summarize": "bigram_f1", "marks": "marks_found"}
FAILURES_KEPT = 50
FAILURES_SHOWN = 10
ROC_POINTS = 200

Plot = tuple[str, str, Callable[[Axes], None]]  # file, caption, drawing


def write_report(
    folder: Path,
    kind: str,
    command: str,
    scores: Scores,
    items: Sequence[Scored],
    about_others: Sequence[Scored],
    styles: Sequence[StyleScores] = (),
) -> None:
    """Write README.md, figures.json and the plots that the data allows.

    Args:
        styles: figures of each style of document, where the data has styles.

    Raises:
        InvalidInput: the folder cannot be written.
    """
    measure = MEASURES[kind]
    plots, curves = _plots(measure, items, about_others)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, _, draw in plots:
            _save(folder / file, draw)
        content = {"command": command, "figures": scores.values, "intervals": scores.intervals, **curves}
        if styles:
            content["by_style"] = {one.style: one.as_json() for one in styles}
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / "figures.json").write_text(text + "\n", encoding="utf-8")
        (folder / "README.md").write_text(_markdown(kind, command, scores, items, plots, styles), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The report cannot be written: {error}") from error


def failures(kind: str, items: Sequence[Scored]) -> list[dict[str, Any]]:
    """The worst items as records, worst first; among equally wrong answers, the most confident first."""
    wrong = [item for item in items if item.measure < 1]
    wrong.sort(key=lambda item: (item.measure, -max(item.probabilities[:1], default=0)))
    records = []
    for item in wrong[:FAILURES_KEPT]:
        record: dict[str, Any] = {"question" if kind == "qa" else "text": item.asked}
        if item.passage:
            record["passage"] = item.passage
        record |= {"expected": list(item.wanted), "given": item.given}
        if item.probabilities:
            record["score"] = round(item.probabilities[0], 4)
        records.append(record | {MEASURES[kind]: round(item.measure, 4)})
    return records


def write_failures(file: Path, kind: str, items: Sequence[Scored]) -> None:
    """JSONL of `failures`.

    Raises:
        InvalidInput: the file cannot be written.
    """
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in failures(kind, items))
    try:
        file.write_text(lines, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The failures cannot be written: {error}") from error


def _plots(
    measure: str, items: Sequence[Scored], about_others: Sequence[Scored]
) -> tuple[list[Plot], dict[str, object]]:
    """The plots that these items allow, and the numbers in them."""
    answered = [item for item in items if item.wanted]
    lengths, positions = by_length(answered), by_position(answered)
    plots: list[Plot] = [
        ("by_length.png", f"{measure} by length of the document", lambda axes: _draw_parts(axes, lengths, measure))
    ]
    curves: dict[str, object] = {"by_length": [asdict(part) for part in lengths]}
    if positions:
        title = f"{measure} by place of the answer in the document"
        plots.append(("by_position.png", title, lambda axes: _draw_parts(axes, positions, measure)))
        curves["by_position"] = [asdict(part) for part in positions]
    bins = reliability([item for item in items if not item.is_fitted_on])
    if bins:
        title = "share of right answers by score, on documents that nothing was fitted on"
        plots.append(("reliability.png", title, lambda axes: _draw_reliability(axes, bins)))
        curves["reliability"] = [asdict(b) for b in bins]
    unanswered = [item for item in items if not item.wanted]
    for name, title, other in (
        ("answerability_roc", "ROC of the null score, unanswerable questions against the others", unanswered),
        ("null_roc", "ROC of the null score, other documents against the right ones", about_others),
    ):
        if other and answered:
            rates = _null_roc(answered, other)
            plots.append((f"{name}.png", title, functools.partial(_draw_roc, false=rates[0], true=rates[1])))
            curves[name] = dict(zip(("false_positive_rate", "true_positive_rate"), rates, strict=True))
    if measure == MEASURES["classify"]:
        labels = sorted({item.wanted[0] for item in items} | {item.given for item in items})
        counts = confusion_matrix([item.wanted[0] for item in items], [item.given for item in items], labels=labels)
        plots.append(
            ("confusion.png", "given label by right label", lambda axes: _draw_confusion(axes, labels, counts))
        )
        curves["confusion"] = {"labels": labels, "wanted_by_given": counts.tolist()}
    return plots, curves


def _null_roc(items: Sequence[Scored], about_others: Sequence[Scored]) -> tuple[list[float], list[float]]:
    """(false, true) positive rates of "no answer here" over all thresholds of the null score, thinned out."""
    own, other = ([item.null_score for item in half] for half in (items, about_others))
    false, true, _ = roc_curve([0] * len(own) + [1] * len(other), [*own, *other])
    kept = np.unique(np.linspace(0, len(false) - 1, min(ROC_POINTS, len(false))).round().astype(int))
    return false[kept].round(4).tolist(), true[kept].round(4).tolist()


def _save(file: Path, draw: Callable[[Axes], None]) -> None:
    # Not pyplot: it needs a display, and keeps state after the call.
    figure = Figure(figsize=(5, 4), layout="constrained")
    draw(figure.subplots())
    figure.savefig(file, format="png", dpi=90)


def _draw_parts(axes: Axes, parts: Sequence[Part], measure: str) -> None:
    names = [part.name.replace("_", " ") for part in parts]
    bars = axes.bar(names, [part.measure for part in parts], color="grey")
    axes.bar_label(bars, [f"{part.measure:.2f}\nn {part.n}" for part in parts], fontsize=8)
    axes.set_ylim(0, 1.15)
    axes.set_ylabel(measure)
    axes.tick_params(axis="x", rotation=30, labelsize=8)


def _draw_reliability(axes: Axes, bins: Sequence[Bin]) -> None:
    axes.plot([0, 1], [0, 1], color="lightgrey", linestyle="--", label="perfect calibration")
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o-", color="black", label="answers")
    for b in bins:
        axes.annotate(str(b.n), (b.confidence, b.accuracy), fontsize=7, textcoords="offset points", xytext=(3, -9))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean score", ylabel="share of right answers")
    axes.legend()


def _draw_roc(axes: Axes, false: Sequence[float], true: Sequence[float]) -> None:
    axes.plot([0, 1], [0, 1], color="lightgrey", linestyle="--")
    axes.plot(false, true, color="black")
    axes.set(xlabel="answerable questions refused", ylabel="unanswerable questions refused")


def _draw_confusion(axes: Axes, labels: Sequence[str], counts: Any) -> None:
    # The font has no Japanese, so labels are numbered; figures.json lists them in this order.
    shown = [label if label.isascii() else str(index) for index, label in enumerate(labels)]
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Greys", vmin=0, vmax=1)
    places = range(len(labels))
    axes.set_xticks(places, shown, rotation=90, fontsize=7)
    axes.set_yticks(places, shown, fontsize=7)
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = counts[row, column] > counts[row].sum() / 2
        colour = "white" if dark else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6, color=colour)
    axes.set(xlabel="given", ylabel="wanted")


def _markdown(
    kind: str,
    command: str,
    scores: Scores,
    items: Sequence[Scored],
    plots: Sequence[Plot],
    styles: Sequence[StyleScores],
) -> str:
    shown = {name: value for name, value in scores.values.items() if name != "n"}
    parts = [f"# {len(items):,} items\n\n```sh\n{command}\n```\n", figure_table(shown, scores.intervals)]
    if scores.intervals:
        parts.append(f"In brackets: 95 % bootstrap intervals, {DRAWS:,} draws of documents.\n")
    if styles:
        parts.append(f"## By style\n\n{_style_table(kind, styles)}")
    parts += [f"![{caption}]({file})\n\n{caption[0].upper()}{caption[1:]}.\n" for file, caption, _ in plots]
    worst = failures(kind, items)[:FAILURES_SHOWN]
    if worst:
        names = [name for name in worst[0] if name != "passage"]
        parts.append("## Where it fails\n")
        lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
        lines += [f"| {' | '.join(_cell(record[name]) for name in names)} |" for record in worst]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _style_table(kind: str, styles: Sequence[StyleScores]) -> str:
    """A line for each style; a document of several styles counts for each."""
    measures = list(styles[0].values)
    counted = "questions" if kind == "qa" else "marks"
    lines = [f"| {' | '.join(['style', 'documents', counted, *(name.replace('_', ' ') for name in measures)])} |"]
    lines.append("|---" * (len(measures) + 3) + "|")
    for one in styles:
        cells = [figure_cell(name, one.values, one.intervals) for name in measures]
        lines.append(f"| {' | '.join([one.style, str(one.documents), str(one.n), *cells])} |")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """A value for a cell of a Markdown table: one line, without characters that end the cell or begin markup."""
    text = " / ".join(value) if isinstance(value, list) else str(value)
    text = " ".join(text.split())
    for character in "\\`*_[]<>|":
        text = text.replace(character, "\\" + character)
    return text if len(text) <= 120 else text[:119] + "…"

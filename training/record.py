"""Writes a measured figure where it belongs: into the model's manifest, and from there into the table of its card.

Figures are never typed in: the card's table is made from the manifest, the manifest from an evaluation.
"""

import re
from pathlib import Path

from app.manifest import Manifest, Metric, write

_TABLE = re.compile("(<!-- metrics -->\n).*?(<!-- /metrics -->)", re.DOTALL)


def record(directory: Path, metric: Metric) -> None:
    """Add a metric to `directory/manifest.json`, in place of one of the same command, and renew the card's table."""
    manifest = Manifest.read(directory)
    kept = [earlier for earlier in manifest.metrics if earlier.command != metric.command]
    manifest = manifest.model_copy(update={"metrics": (*kept, metric)})
    write(directory, manifest)
    card = directory / "README.md"
    if card.exists():
        text = card.read_text(encoding="utf-8")
        card.write_text(_TABLE.sub(lambda match: match[1] + table(manifest) + match[2], text), encoding="utf-8")


def table(manifest: Manifest) -> str:
    """The metrics of a manifest as a Markdown table."""
    lines = ["| data | n | result | command |", "|---|---|---|---|"]
    for metric in manifest.metrics:
        values = ", ".join(f"{name} {value:.3f}" for name, value in metric.values.items())
        lines.append(f"| {metric.dataset} | {metric.n:,} | {values} | `{metric.command}` |")
    return "\n".join(lines) + "\n"

"""The picture of a run's losses. Knows numbers and a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw_losses(losses: Sequence[float], file: Path) -> None:
    """Write a PNG with the loss of every step and its running mean."""
    # A figure of its own, not pyplot: no display, and no state that outlives the call.
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, color="lightgrey", linewidth=0.8, label="loss of a step")
    width = max(1, len(losses) // 50)
    means = np.convolve(losses, np.full(width, 1 / width), mode="valid")
    axes.plot(steps[width - 1 :], means, color="black", linewidth=1.5, label=f"mean of {width}")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.legend()
    figure.savefig(file, format="png", dpi=120)

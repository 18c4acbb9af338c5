"""The base class of training runs: optimiser, learning rate, progress, and resuming after a kill.

A run that was killed at any moment resumes from its last whole checkpoint with the same batches and the same dropout,
and so with the same losses. transformers' Trainer offers neither this nor sums weighted by tokens (decision 0012). This
module does not know tasks, data or command lines.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from app.errors import NagayomiError
from training.config import TrainingConfig
from training.runs.distributed import Processes
from training.runs.folder import last_checkpoint, write_checkpoint, write_losses


class Diverged(NagayomiError):
    """The loss is not finite; the last checkpoint was written before that."""


def learning_rate(step: int, total: int, config: TrainingConfig) -> float:
    """Linear warm-up, then linear decay to zero."""
    warmup = max(1, int(total * config.warmup_share))
    return config.learning_rate * min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))


def build_optimiser(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW over all that is trained; biases and LayerNorm weights do not decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.dim() > 1]
    rest = [p for p in trained if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)


def flush_denormals() -> None:
    """Moments of rarely used rows decay into denormal numbers, which CPUs add a hundred times slower.

    Call it before the first operation: the threads of the pool inherit it.
    """
    torch.set_flush_denormal(True)


class Trainer(ABC):
    """One training run in a folder: model, optimiser, and the losses so far."""

    config: TrainingConfig
    model: nn.Module
    optimiser: torch.optim.Optimizer
    total: int  # steps
    description: str
    unit: str = "step"  # unit of the progress bar, and units of one step
    units_of_step: int = 1

    def __init__(self, config: TrainingConfig, out: Path, processes: Processes) -> None:
        self.config, self.out, self.processes = config, out, processes
        self.step = 0
        self.losses: list[float] = []

    def begin_step(self, step: int) -> None:
        """Clear the gradients, and seed dropout: the step determines it, so a checkpoint needs no generator state."""
        seed = np.random.SeedSequence([self.config.seed, step, self.processes.rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))
        self.optimiser.zero_grad(set_to_none=True)

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write weights and config.json."""

    @abstractmethod
    def steps(self) -> Iterator[float]:
        """Take the steps from `self.step` on; yields the loss of each."""

    def state(self) -> dict[str, Any]:
        """The state of a checkpoint other than the weights."""
        return {"optimiser": self.optimiser.state_dict(), "step": self.step, "losses": self.losses}

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        self.model.load_state_dict(weights)
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.losses = state["step"], state["losses"]

    def resume(self) -> None:
        """Resume from the last whole checkpoint, if there is one. The first process reads it for all."""
        found = self.processes.from_first(last_checkpoint(self.out) if self.processes.is_first else None)
        if found is not None:
            self.restore(*found)

    def checkpoint(self) -> None:
        if self.processes.is_first:
            write_checkpoint(self.out, self.save, self.state())

    def descend(self, loss: float) -> None:
        """Take one step along the current gradients, which belong to this loss.

        Raises:
            Diverged: the loss is not finite.
        """
        if not math.isfinite(loss):
            raise Diverged(f"The loss of step {self.step + 1} is {loss}; try a lower learning_rate or clip_norm.")
        # Parameters without a gradient, such as a pooler that the task does not use, keep their values.
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.total, self.config)
        self.optimiser.step()

    def train(self) -> None:
        """Take the remaining steps, then write the checkpoint, the losses and their curve into the folder."""
        self.model.train()
        # Closed after an error too, so that the error has a line of its own.
        with tqdm(
            total=self.total * self.units_of_step,
            initial=self.step * self.units_of_step,
            desc=self.description,
            unit=self.unit,
            unit_scale=self.units_of_step > 1,
            disable=not self.processes.is_first,
        ) as progress:
            for loss in self.steps():
                self.losses.append(loss)
                self.step += 1
                progress.update(self.units_of_step)
                progress.set_postfix(loss=f"{np.mean(self.losses[-50:]):.3f}")
                if self.step % self.config.checkpoint_every == 0 and self.step < self.total:
                    self.checkpoint()
        self.checkpoint()
        if self.processes.is_first:
            self.save(self.out)
            if self.losses:
                write_losses(self.out, self.losses)

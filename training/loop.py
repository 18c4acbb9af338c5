"""The training loop: draw sequences, pack them, loss, step; and a checkpoint every so often.

A run that was killed at any moment goes on from its last whole checkpoint with the same batches and the same dropout,
and so with the same losses. Knows nothing of command lines.
"""

import dataclasses
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor
from tqdm import tqdm

from app.errors import NagayomiError
from app.packing import AttentionLayout, PackedBatch, pack, packed_length
from app.tokenizer import Tokenizer
from export.model import PackedModel, load_weights, packed_inputs
from training.checkpoint import new_model, save_checkpoint
from training.config import ConfigError, FinetuneConfig, TrainingTask
from training.curve import draw_losses
from training.data import DataError
from training.examples import ExampleSource, Target, TrainingSequence, build_source

POOL_BATCHES = 16  # sequences of so many batches are sorted by length before packing, so that block tables are narrow


class Diverged(NagayomiError):
    """The loss is no number any more; the last checkpoint is from before."""


def batches(
    source: ExampleSource, config: FinetuneConfig, epoch: int, block_size: int
) -> Iterator[list[TrainingSequence]]:
    """The batches of one epoch: the same for the same seed and epoch, whenever they are asked for."""
    rng = np.random.default_rng([config.seed, epoch])
    order = rng.permutation(source.size)
    at = 0
    while at < len(order):
        pool: list[TrainingSequence] = []
        tokens = 0
        while at < len(order) and tokens < POOL_BATCHES * config.batch_tokens:
            sequence = source.draw(int(order[at]), rng)
            pool.append(sequence)
            tokens += packed_length(len(sequence.document.input_ids), block_size)
            at += 1
        pool.sort(key=lambda sequence: len(sequence.document.input_ids))
        groups: list[list[TrainingSequence]] = [[]]
        filled = 0
        for sequence in pool:
            cost = packed_length(len(sequence.document.input_ids), block_size)
            if groups[-1] and filled + cost > config.batch_tokens:
                groups.append([])
                filled = 0
            groups[-1].append(sequence)
            filled += cost
        for index in rng.permutation(len(groups)):
            yield groups[index]


def loss_of(outputs: tuple[Tensor, ...], batch: PackedBatch, targets: list[Target], task: TrainingTask) -> Tensor:
    """Mean loss of a packed batch: cross-entropy over each document's own tokens (qa) or classes, or over markers."""
    if task == "classify":
        return F.cross_entropy(outputs[0].float(), torch.tensor([target.label for target in targets]))
    if task == "summarize":
        logits = outputs[0][0, :, 0].float()
        places = np.concatenate([t.markers + d.start for t, d in zip(targets, batch.documents, strict=True)])
        wanted_scores = torch.from_numpy(np.concatenate([target.salience for target in targets]))
        return F.binary_cross_entropy_with_logits(logits[torch.from_numpy(places).long()], wanted_scores)
    longest = max(d.stop - d.start for d in batch.documents)
    starts = torch.tensor([d.start for d in batch.documents]).unsqueeze(1)
    lengths = torch.tensor([d.stop - d.start for d in batch.documents]).unsqueeze(1)
    place = torch.arange(longest).unsqueeze(0)  # (1, longest)
    index = torch.minimum(starts + place, starts + lengths - 1)  # (D, longest)
    outside = place >= lengths
    losses = []
    for logits, wanted in zip(outputs, ([t.start for t in targets], [t.end for t in targets]), strict=True):
        own = logits[0].float()[index].masked_fill(outside, -1e6)
        losses.append(F.cross_entropy(own, torch.tensor(wanted)))
    return torch.stack(losses).mean()


def learning_rate(step: int, total: int, config: FinetuneConfig) -> float:
    """Linear warm-up, then linear decay to zero."""
    warmup = max(1, int(total * config.warmup_share))
    return config.learning_rate * min((step + 1) / warmup, max(0.0, (total - step) / max(1, total - warmup)))


class Run:
    """One training run in a folder: model, optimiser, place in the data, and the losses so far."""

    def __init__(self, config: FinetuneConfig, data: Path, out: Path) -> None:
        """Read the data and make the model.

        Raises:
            ConfigError: the configuration does not fit the checkpoint, the reader, or what is in the folder already.
            DataError: the data cannot be read, or there is nothing in it to learn from.
        """
        self.config, self.out = config, out
        _check_same_config(config, out)
        tokenizer = _adopt_tokenizer(config, out)
        self.source = build_source(config, data, tokenizer)
        if self.source.size == 0:
            raise DataError(
                f"{data / config.data} holds nothing that a model could learn from with max_tokens = "
                f"{config.max_tokens}."
            )
        torch.manual_seed(config.seed)
        self.model = new_model(config, tokenizer, self.source.labels)
        self.packed = PackedModel(self.model)
        self.layout = AttentionLayout(self.model.config.block_size, self.model.config.num_random_blocks)
        decayed = [p for p in self.model.parameters() if p.dim() > 1]
        rest = [p for p in self.model.parameters() if p.dim() <= 1]
        groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
        self.step = 0
        self.losses: list[float] = []
        # Random crops change the number of batches a little from epoch to epoch: the first one's is the measure.
        per_epoch = sum(1 for _ in batches(self.source, config, 0, self.layout.block_size))
        self.total = max(1, round(per_epoch * config.epochs))

    def resume(self) -> None:
        """Go on from the last whole checkpoint, if there is one."""
        directory = _whole_checkpoint(self.out)
        if directory is None:
            return
        last = self.out / "last"
        if directory != last:
            # It was killed between two renames. Finish them: the next checkpoint begins by removing `new`.
            shutil.rmtree(last, ignore_errors=True)
            os.replace(directory, last)
        state: dict[str, Any] = torch.load(last / "state.pt", weights_only=True)
        load_weights(self.model, load_file(last / "model.safetensors"))
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        self.step, self.losses = state["step"], state["losses"]

    def checkpoint(self) -> None:
        """Write beside, then rename: a kill at any moment leaves a whole checkpoint.

        A folder is whole when it holds state.pt, which is written last and appears at once.
        """
        new, last, old = self.out / "new", self.out / "last", self.out / "old"
        shutil.rmtree(new, ignore_errors=True)
        save_checkpoint(new, self.model, self.config, self.source.labels)
        state = {
            "optimiser": self.optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
            "losses": self.losses,
        }
        torch.save(state, new / "state.partial")
        os.replace(new / "state.partial", new / "state.pt")
        shutil.rmtree(old, ignore_errors=True)
        if last.exists():
            os.replace(last, old)
        os.replace(new, last)
        shutil.rmtree(old, ignore_errors=True)

    def train_step(self, sequences: list[TrainingSequence], rng: np.random.Generator) -> float:
        batch = pack([sequence.document for sequence in sequences], self.layout)
        inputs = {
            name: torch.from_numpy(batch.inputs[name]) for name in packed_inputs(self.config.task, self.layout.pattern)
        }
        if self.config.shifted_share:
            self._shift_positions(inputs["position_ids"], batch, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.autocast == "bf16"):
            outputs = self.packed(**inputs)
        loss = loss_of(outputs, batch, [sequence.target for sequence in sequences], self.config.task)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise Diverged(f"The loss of step {self.step + 1} is {value}; try a lower learning_rate or clip_norm.")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.total, self.config)
        self.optimiser.step()
        return value

    def _shift_positions(self, position_ids: Tensor, batch: PackedBatch, rng: np.random.Generator) -> None:
        """Move a share of the sequences to a random place on the position axis; a question stays where it is."""
        for document in batch.documents:
            length = document.stop - document.start
            if rng.random() < self.config.shifted_share:
                question = int(batch.inputs["question_mask"][0, document].sum())
                shift = int(rng.integers(0, self.model.config.max_position_embeddings - length + 1))
                position_ids[0, document.start + question + 1 : document.stop] += shift

    def _batches(self) -> Iterator[list[TrainingSequence]]:
        """The batches of all epochs on end. Where a run stands in them is a count of steps and nothing else."""
        for epoch in itertools.count():
            yield from batches(self.source, self.config, epoch, self.layout.block_size)

    def train(self) -> None:
        """Take the steps that are left, then leave the checkpoint, the losses and their curve in the folder."""
        self.model.train()
        progress = tqdm(total=self.total, initial=self.step, desc=f"training {self.config.task}", unit="step")
        for sequences in itertools.islice(self._batches(), self.step, self.total):
            self.losses.append(self.train_step(sequences, np.random.default_rng([self.config.seed, self.step])))
            self.step += 1
            progress.update()
            progress.set_postfix(loss=f"{np.mean(self.losses[-50:]):.3f}")
            if self.step % self.config.checkpoint_every == 0 and self.step < self.total:
                self.checkpoint()
        progress.close()
        self.checkpoint()
        save_checkpoint(self.out, self.model, self.config, self.source.labels)
        (self.out / "losses.json").write_text(json.dumps(self.losses) + "\n", encoding="utf-8")
        draw_losses(self.losses, self.out / "losses.png")


def _whole_checkpoint(out: Path) -> Path | None:
    """The newest folder that is surely whole. `last` is missing only where a run was killed between two renames."""
    return next((out / name for name in ("last", "new", "old") if (out / name / "state.pt").exists()), None)


def _check_same_config(config: FinetuneConfig, out: Path) -> None:
    """Refuse to go on with, or to write over, a run of another configuration.

    Raises:
        ConfigError: names the keys that differ.
    """
    file = (_whole_checkpoint(out) or out) / "config.json"
    if not file.exists():
        return
    saved = json.loads(file.read_text(encoding="utf-8")).get("nagayomi", {}).get("training")
    if saved is None:
        return
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    # Keys that an older version did not have count as their defaults; how often to save changes no result.
    changes = [
        f"{key} was {before!r} and is {now!r}"
        for key, now in dataclasses.asdict(config).items()
        if key != "checkpoint_every" and (before := saved.get(key, defaults[key])) != now
    ]
    if changes:
        raise ConfigError(
            f"{out} holds a run with another configuration: {'; '.join(changes)}. "
            "Name another folder, or remove this one."
        )


def _adopt_tokenizer(config: FinetuneConfig, out: Path) -> Tokenizer:
    """Load the tokenizer and put a copy into the run's folder, which is then complete for the exporter.

    Raises:
        ConfigError: it cannot be read, or is not the one that the run began with.
    """
    file = Path(config.tokenizer or Path(config.checkpoint) / "tokenizer.json")
    try:
        content = file.read_bytes()
        tokenizer = Tokenizer.load(file, normaliser=config.normaliser, segmenter=config.segmenter)
    except NagayomiError:
        raise
    except Exception as error:  # the Rust tokeniser raises bare Exception for a file it cannot read
        raise ConfigError(f"The tokenizer {file} cannot be loaded: {error}") from error
    copy = out / "tokenizer.json"
    if _whole_checkpoint(out) and copy.exists() and copy.read_bytes() != content:
        raise ConfigError(f"{file} is not the tokenizer that the run in {out} began with. Name another folder.")
    out.mkdir(parents=True, exist_ok=True)
    if not copy.exists() or copy.read_bytes() != content:
        copy.write_bytes(content)
    return tokenizer

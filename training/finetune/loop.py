"""The fine-tuning loop: draw sequences, pack them, loss of the task, step. This module does not know command lines."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from app.block_tables import AttentionLayout
from app.packing import PackedBatch, pack, packed_length
from app.tasks.sentence_features import weights_of_features
from app.types import SentenceFeature
from export.encoder import PackedModel
from export.model import BigBird, packed_inputs
from training.config import ConfigError, FinetuneConfig, TrainingTask
from training.finetune.checkpoint import new_model, noted_sentence_weights, save_checkpoint
from training.finetune.examples import Mixture, Target, TrainingSequence, build_mixture
from training.finetune.fitted_head import fit_head
from training.runs.distributed import Processes
from training.runs.folder import adopt_tokenizer, check_same_config, load_tokenizer, whole_checkpoint, with_words
from training.runs.trainer import Trainer, build_optimiser

POOL_BATCHES = 16  # sequences of this many batches are sorted by length before packing, so that block tables are narrow


def batches(mixture: Mixture, config: FinetuneConfig, epoch: int, block_size: int) -> Iterator[list[TrainingSequence]]:
    """The batches of one epoch. They depend only on the seed and the epoch."""
    rng = np.random.default_rng([config.seed, epoch])
    sequences = mixture.epoch(np.random.default_rng([config.seed, epoch, 1]))
    while pool := _up_to(sequences, POOL_BATCHES * config.batch_tokens, block_size):
        groups = grouped(sorted(pool, key=_length), config.batch_tokens, block_size)
        for index in rng.permutation(len(groups)):
            yield groups[index]


def _length(sequence: TrainingSequence) -> int:
    return len(sequence.document.input_ids)


def _up_to(sequences: Iterator[TrainingSequence], tokens: int, block_size: int) -> list[TrainingSequence]:
    """The next sequences, with at least this many tokens in total; fewer at the end."""
    pool: list[TrainingSequence] = []
    while tokens > 0 and (sequence := next(sequences, None)) is not None:
        pool.append(sequence)
        tokens -= packed_length(_length(sequence), block_size)
    return pool


def grouped(sequences: Iterable[TrainingSequence], tokens: int, block_size: int) -> list[list[TrainingSequence]]:
    """The sequences in order, in groups of at most this many tokens, or of one longer sequence."""
    groups: list[list[TrainingSequence]] = []
    room = 0
    for sequence in sequences:
        cost = packed_length(_length(sequence), block_size)
        if not groups or cost > room:
            groups.append([])
            room = tokens
        groups[-1].append(sequence)
        room -= cost
    return groups


def loss_weight(targets: Sequence[Target], task: TrainingTask) -> float:
    """The weight of these targets in the loss of a step: their documents, or the sentences that a summary may keep."""
    if task == "summarize":
        return float(sum(target.weights.sum() for target in targets))
    return float(len(targets))


def loss_sum(
    outputs: tuple[Tensor, ...],
    batch: PackedBatch,
    targets: Sequence[Target],
    task: TrainingTask,
    label_weights: Tensor | None = None,
    sentence_weights: Mapping[SentenceFeature, float] | None = None,
) -> Tensor:
    """Loss of a packed batch, summed over the documents or sentences that `loss_weight` counts.

    Cross-entropy over each document's own tokens (qa, the mean of start and end) or over classes; binary cross-entropy
    of the logit of each sentence (summarize), the mean of its tokens' logits and what its length and place add.
    """
    device = outputs[0].device
    if task == "classify":
        wanted_labels = torch.tensor([target.label for target in targets], device=device)
        return F.cross_entropy(outputs[0].float(), wanted_labels, weight=label_weights, reduction="none").sum()
    if task == "summarize":
        logits = outputs[0][0, :, 0].float()
        means = [
            part.mean()
            for target, document in zip(targets, batch.documents, strict=True)
            for part in logits[document].split(np.diff(target.starts, append=document.stop - document.start).tolist())
        ]
        added = np.concatenate([target.features for target in targets]) @ weights_of_features(sentence_weights or {})
        kept, weights = (
            torch.from_numpy(np.concatenate(parts)).to(device)
            for parts in ([target.kept for target in targets], [target.weights for target in targets])
        )
        sentences = torch.stack(means) + torch.from_numpy(added).to(device, torch.float32)
        return F.binary_cross_entropy_with_logits(sentences, kept, weights, reduction="sum")
    longest = max(d.stop - d.start for d in batch.documents)
    starts = torch.tensor([d.start for d in batch.documents], device=device).unsqueeze(1)
    lengths = torch.tensor([d.stop - d.start for d in batch.documents], device=device).unsqueeze(1)
    place = torch.arange(longest, device=device).unsqueeze(0)  # (1, longest)
    index = torch.minimum(starts + place, starts + lengths - 1)  # (D, longest)
    outside = place >= lengths
    losses = []
    for logits, wanted in zip(outputs, ([t.start for t in targets], [t.end for t in targets]), strict=True):
        own = logits[0].float()[index].masked_fill(outside, -1e6)
        losses.append(F.cross_entropy(own, torch.tensor(wanted, device=device), reduction="sum"))
    return torch.stack(losses).mean()


class Run(Trainer):
    """One fine-tuning run in a folder."""

    config: FinetuneConfig
    model: BigBird

    def __init__(self, config: FinetuneConfig, data: Path, out: Path, processes: Processes | None = None) -> None:
        """Read the data and make the model.

        Raises:
            ConfigError: the configuration does not fit the checkpoint, the reader, or the content of the folder.
            DataError: the data cannot be read, or there is nothing in it to learn from.
        """
        config = with_words(config)
        super().__init__(config, out, processes or Processes())
        check_same_config(config, out)
        tokenizer = load_tokenizer(config)
        if self.processes.is_first:
            adopt_tokenizer(config, out)
        self.mixture = build_mixture(config, data, tokenizer)
        weights = self.mixture.label_weights
        self.label_weights = None if weights is None else torch.from_numpy(weights).to(self.processes.device)
        torch.manual_seed(config.seed)
        self.model = new_model(config, tokenizer, self.mixture.labels)
        self._freeze()
        self.model.to(self.processes.device)
        self.sentence_weights = noted_sentence_weights(config)
        self.bf16 = self.processes.uses_bf16(config.autocast)
        self.layout = AttentionLayout(self.model.config.block_size, self.model.config.num_random_blocks)
        if config.head == "fitted":
            self._fit_head()
        self.packed = PackedModel(self.model)
        self.optimiser = build_optimiser(self.model, config)
        self.description = (
            f"training {config.task} on {self.processes.device.type} in {'bf16' if self.bf16 else 'fp32'}"
        )
        # Random crops change the number of batches a little from epoch to epoch, so the first epoch decides.
        per_epoch = sum(1 for _ in batches(self.mixture, config, 0, self.layout.block_size))
        self.total = max(1, round(per_epoch * config.epochs)) if config.epochs else 0

    def _freeze(self) -> None:
        """Take what the configuration keeps as it is out of training.

        Raises:
            ConfigError: there are fewer layers, or nothing to keep because the run starts from random weights.
        """
        frozen, layers = self.config.frozen_layers, self.model.bert.encoder.layer
        if not frozen:
            return
        if not self.config.checkpoint:
            raise ConfigError("frozen_layers keeps layers of a checkpoint; this run has no checkpoint.")
        if frozen > len(layers):
            raise ConfigError(f"frozen_layers is {frozen}; the model has {len(layers)} layers.")
        for part in (self.model.bert.embeddings, *layers[:frozen]):
            part.requires_grad_(False)

    def _fit_head(self) -> None:
        if self.config.task != "summarize":
            raise ConfigError('head = "fitted" is for the task summarize.')
        if whole_checkpoint(self.out) is None:  # a resumed run has its head in the checkpoint
            sequences = self.mixture.epoch(np.random.default_rng([self.config.seed, 0, 1]))
            self.sentence_weights = fit_head(self.model, sequences, self.layout, bf16=self.bf16)

    def save(self, directory: Path) -> None:
        save_checkpoint(directory, self.model, self.config, self.mixture.labels, self.sentence_weights)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "sentence_weights": self.sentence_weights, "examples": self.mixture.digest}

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        if state.get("examples", self.mixture.digest) != self.mixture.digest:  # older versions did not store it
            raise ConfigError(
                f"The examples differ from those with which the run in {self.out} began. Use another folder."
            )
        super().restore(weights, state)
        self.sentence_weights = state["sentence_weights"]

    def train_step(self, sequences: list[TrainingSequence], rng: np.random.Generator) -> float:
        """One step over all processes: each takes its share of the sequences, in passes of `micro_batch_tokens`."""
        config, device = self.config, self.processes.device
        weight = loss_weight([sequence.target for sequence in sequences], config.task)
        self.begin_step(self.step)
        loss = 0.0
        # Drawn for the whole step, so that the number of processes changes nothing.
        shifts = [self._shift(sequence, rng) for sequence in sequences]
        moved = [replace(sequence, shift=shift) for sequence, shift in zip(sequences, shifts, strict=True)]
        own = moved[self.processes.rank :: self.processes.size]
        # A process without a sequence of a short step reads one with weight 0, because all processes need gradients.
        share = 1 / max(1.0, weight) if own else 0.0
        for group in grouped(own or moved[:1], config.micro_batch_tokens, self.layout.block_size):
            batch = pack([sequence.document for sequence in group], self.layout)
            inputs = {
                name: torch.from_numpy(batch.inputs[name]) for name in packed_inputs(config.task, self.layout.pattern)
            }
            for sequence, place in zip(group, batch.documents, strict=True):
                # [CLS] and a question keep their positions.
                first = place.start + max(1, sequence.document.question_length)
                inputs["position_ids"][0, first : place.stop] += sequence.shift
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
                outputs = self.packed(**{name: tensor.to(device) for name, tensor in inputs.items()})
            targets = [sequence.target for sequence in group]
            part = loss_sum(outputs, batch, targets, config.task, self.label_weights, self.sentence_weights) * share
            part.backward()
            loss += float(part.detach())
        self.processes.sum_gradients(self.model.parameters())
        loss = self.processes.sum_of(loss)
        self.descend(loss)
        return loss

    def _shift(self, sequence: TrainingSequence, rng: np.random.Generator) -> int:
        """The number of positions by which to move a sequence: random for a share of them, 0 for the others."""
        if rng.random() >= self.config.shifted_share:
            return 0
        return int(rng.integers(0, self.model.config.max_position_embeddings - _length(sequence) + 1))

    def steps(self) -> Iterator[float]:
        """Take the remaining steps. The count of steps alone tells which batch comes next."""
        every = (
            batch
            for epoch in itertools.count()
            for batch in batches(self.mixture, self.config, epoch, self.layout.block_size)
        )
        for sequences in itertools.islice(every, self.step, self.total):
            yield self.train_step(sequences, np.random.default_rng([self.config.seed, self.step]))

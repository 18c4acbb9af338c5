"""The fine-tuning loop: draw sequences, pack them, loss of the task, step. Knows nothing of command lines."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from app.packing import AttentionLayout, PackedBatch, pack, packed_length
from export.model import BigBird, PackedModel, packed_inputs
from training.config import FinetuneConfig, TrainingTask
from training.data import DataError
from training.finetune.examples import ExampleSource, Target, TrainingSequence, build_source
from training.runs.distributed import Processes
from training.runs.folder import adopt_tokenizer, check_same_config, load_tokenizer
from training.runs.initial_model import new_model, save_checkpoint
from training.runs.trainer import Trainer, build_optimiser

POOL_BATCHES = 16  # sequences of so many batches are sorted by length before packing, so that block tables are narrow


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


def loss_of(
    outputs: tuple[Tensor, ...],
    batch: PackedBatch,
    targets: list[Target],
    task: TrainingTask,
    label_weights: Tensor | None = None,
) -> Tensor:
    """Mean loss of a packed batch: cross-entropy over each document's own tokens (qa) or classes, or characters."""
    if task == "classify":
        wanted_labels = torch.tensor([target.label for target in targets])
        losses_of_texts = F.cross_entropy(outputs[0].float(), wanted_labels, weight=label_weights, reduction="none")
        return losses_of_texts.mean()
    if task == "summarize":
        logits = outputs[0][0, :, 0].float()
        places = np.concatenate([t.positions + d.start for t, d in zip(targets, batch.documents, strict=True)])
        kept, weights = (
            torch.from_numpy(np.concatenate(parts))
            for parts in ([target.kept for target in targets], [target.weights for target in targets])
        )
        own = logits[torch.from_numpy(places).long()]
        return F.binary_cross_entropy_with_logits(own, kept, weights, reduction="sum") / weights.sum()
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


class Run(Trainer):
    """One fine-tuning run in a folder."""

    config: FinetuneConfig
    model: BigBird

    def __init__(self, config: FinetuneConfig, data: Path, out: Path) -> None:
        """Read the data and make the model.

        Raises:
            ConfigError: the configuration does not fit the checkpoint, the reader, or what is in the folder already.
            DataError: the data cannot be read, or there is nothing in it to learn from.
        """
        super().__init__(config, out, Processes())
        check_same_config(config, out)
        tokenizer = load_tokenizer(config)
        adopt_tokenizer(config, out)
        self.source = build_source(config, data, tokenizer)
        if self.source.size == 0:
            raise DataError(
                f"{data / config.data} holds nothing that a model could learn from with max_tokens = "
                f"{config.max_tokens}."
            )
        weights = self.source.label_weights
        self.label_weights = None if weights is None else torch.from_numpy(weights)
        torch.manual_seed(config.seed)
        self.model = new_model(config, tokenizer, self.source.labels)
        self.packed = PackedModel(self.model)
        self.layout = AttentionLayout(self.model.config.block_size, self.model.config.num_random_blocks)
        self.optimiser = build_optimiser(self.model, config)
        self.description = f"training {config.task}"
        # Random crops change the number of batches a little from epoch to epoch: the first one's is the measure.
        per_epoch = sum(1 for _ in batches(self.source, config, 0, self.layout.block_size))
        self.total = max(1, round(per_epoch * config.epochs))

    def save(self, directory: Path) -> None:
        save_checkpoint(directory, self.model, self.config, self.source.labels)

    def state(self) -> dict[str, Any]:
        return super().state() | {"rng": torch.get_rng_state()}  # of dropout

    def restore(self, weights: dict[str, Tensor], state: dict[str, Any]) -> None:
        super().restore(weights, state)
        torch.set_rng_state(state["rng"])

    def train_step(self, sequences: list[TrainingSequence], rng: np.random.Generator) -> float:
        batch = pack([sequence.document for sequence in sequences], self.layout)
        inputs = {
            name: torch.from_numpy(batch.inputs[name]) for name in packed_inputs(self.config.task, self.layout.pattern)
        }
        if self.config.shifted_share:
            self._shift_positions(inputs["position_ids"], batch, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.autocast == "bf16"):
            outputs = self.packed(**inputs)
        targets = [sequence.target for sequence in sequences]
        loss = loss_of(outputs, batch, targets, self.config.task, self.label_weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        value = float(loss.detach())
        self.descend(value)
        return value

    def _shift_positions(self, position_ids: Tensor, batch: PackedBatch, rng: np.random.Generator) -> None:
        """Move a share of the sequences to a random place on the position axis; a question stays where it is."""
        for document in batch.documents:
            length = document.stop - document.start
            if rng.random() < self.config.shifted_share:
                question = int(batch.inputs["question_mask"][0, document].sum())
                shift = int(rng.integers(0, self.model.config.max_position_embeddings - length + 1))
                position_ids[0, document.start + question + 1 : document.stop] += shift

    def steps(self) -> Iterator[float]:
        """Where a run stands in its batches is a count of steps and nothing else."""
        every = (
            batch
            for epoch in itertools.count()
            for batch in batches(self.source, self.config, epoch, self.layout.block_size)
        )
        for sequences in itertools.islice(every, self.step, self.total):
            yield self.train_step(sequences, np.random.default_rng([self.config.seed, self.step]))

"""Fine-tuning: from a configuration file to a checkpoint that transformers and `nagayomi export` can load.

The loop is one page: draw sequences, pack them, loss, step; a checkpoint every so often, from which a killed run goes on
with the same batches. Knows nothing of serving.
"""

import argparse
import json
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm
from transformers import BigBirdConfig

from app.packing import AttentionLayout, PackedBatch, pack, packed_length
from app.tokenizer import Tokenizer
from export.checkpoint import read_checkpoint
from export.model import BigBird, PackedModel, Task, config_dict, initialise, load_weights, packed_inputs
from training.config import FinetuneConfig, read_config
from training.examples import ExampleSource, Target, TrainingSequence, build_source

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


def loss_of(outputs: tuple[Tensor, ...], batch: PackedBatch, targets: list[Target], task: str) -> Tensor:
    """Mean loss of a packed batch: cross-entropy over each document's own tokens (qa), over classes, or over markers."""
    if task == "classify":
        return F.cross_entropy(outputs[0].float(), torch.tensor([target.label for target in targets]))
    if task == "summarize":
        logits = outputs[0][0, :, 0].float()
        places = np.concatenate([t.markers + d.start for t, d in zip(targets, batch.documents, strict=True)])
        picked = torch.from_numpy(np.concatenate([target.picked for target in targets]))
        return F.binary_cross_entropy_with_logits(logits[torch.from_numpy(places).long()], picked)
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


def new_model(config: FinetuneConfig, tokenizer: Tokenizer, labels: tuple[str, ...]) -> BigBird:
    """A BigBird of the configured shape with random weights, or the encoder of the configured checkpoint."""
    task: Task = config.task
    if config.checkpoint:
        shape, weights = read_checkpoint(Path(config.checkpoint))
        shape.num_labels = len(labels) if labels else 1
        model = BigBird(shape, task)
        initialise(model, config.seed)
        own = model.state_dict()
        model.load_state_dict({name: weights[name].float() if name in weights and weights[name].shape == own[name].shape else own[name] for name in own})
        return model
    shape = BigBirdConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.intermediate,
        max_position_embeddings=config.max_positions,
        type_vocab_size=3 if config.task == "qa" and config.question_overlap else 2,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        num_labels=len(labels) if labels else (2 if config.task == "qa" else 1),
        pad_token_id=0,
        cls_token_id=tokenizer.cls_id,
        bos_token_id=tokenizer.cls_id,
        eos_token_id=tokenizer.sep_id,
        sep_token_id=tokenizer.sep_id,
    )
    model = BigBird(shape, task)
    initialise(model, config.seed)
    # Sinusoids (Vaswani et al. 2017) as the start of the learned positions: neighbours begin alike, so that places rarely
    # seen in training behave like their neighbours.
    positions = torch.arange(config.max_positions).unsqueeze(1)
    rates = torch.exp(torch.arange(0, config.hidden, 2) * (-math.log(10_000.0) / config.hidden))
    weight = model.bert.embeddings.position_embeddings.weight.data
    weight[:, 0::2] = torch.sin(positions * rates) * shape.initializer_range * 2**0.5
    weight[:, 1::2] = torch.cos(positions * rates) * shape.initializer_range * 2**0.5
    return model


def save_checkpoint(directory: Path, model: BigBird, config: FinetuneConfig, labels: tuple[str, ...]) -> None:
    """Write a transformers checkpoint with what the exporter needs to know beside it, under "nagayomi" in config.json."""
    directory.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / "model.safetensors")
    shape = model.config
    if labels:
        shape.id2label = dict(enumerate(labels))
        shape.label2id = {label: index for index, label in enumerate(labels)}
    document = config_dict(shape, config.task)
    document["nagayomi"] = {
        "task": config.task,
        "segmenter": config.segmenter,
        "normaliser": config.normaliser,
        "overlap_token_type": 2 if config.task == "qa" and config.question_overlap else None,
        "training": asdict(config),
    }
    (directory / "config.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


class Run:
    """One training run in a folder: model, optimiser, place in the data, and the losses so far."""

    def __init__(self, config: FinetuneConfig, data: Path, out: Path) -> None:
        self.config, self.out = config, out
        tokenizer_file = Path(config.tokenizer or Path(config.checkpoint) / "tokenizer.json")
        tokenizer = Tokenizer.load(tokenizer_file, normaliser=config.normaliser, segmenter=config.segmenter)  # type: ignore[arg-type]
        out.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tokenizer_file, out / "tokenizer.json")
        self.source = build_source(config, data, tokenizer)
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
        self.per_epoch = sum(1 for _ in batches(self.source, config, 0, self.layout.block_size))
        self.total = max(1, round(self.per_epoch * config.epochs))

    def resume(self) -> None:
        """Go on from the last whole checkpoint, if there is one."""
        state_file = self.out / "last" / "state.pt"
        if not state_file.exists():
            return
        state: dict[str, Any] = torch.load(state_file, weights_only=True)
        load_weights(self.model, load_file(self.out / "last" / "model.safetensors"))
        self.optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        self.step, self.losses = state["step"], state["losses"]

    def checkpoint(self) -> None:
        """Write beside, then rename: a kill at any moment leaves a whole checkpoint."""
        new, last, old = self.out / "new", self.out / "last", self.out / "old"
        shutil.rmtree(new, ignore_errors=True)
        save_checkpoint(new, self.model, self.config, self.source.labels)
        state = {
            "optimiser": self.optimiser.state_dict(),
            "rng": torch.get_rng_state(),
            "step": self.step,
            "losses": self.losses,
        }
        torch.save(state, new / "state.pt")
        shutil.rmtree(old, ignore_errors=True)
        if last.exists():
            os.replace(last, old)
        os.replace(new, last)
        shutil.rmtree(old, ignore_errors=True)

    def train_step(self, sequences: list[TrainingSequence], rng: np.random.Generator) -> float:
        batch = pack([sequence.document for sequence in sequences], self.layout)
        inputs = {
            name: torch.from_numpy(batch.inputs[name])
            for name in packed_inputs(self.config.task, self.layout.pattern)
        }
        if self.config.shifted_share:
            self._shift_positions(inputs["position_ids"], batch, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.config.autocast == "bf16"):
            outputs = self.packed(**inputs)
        loss = loss_of(outputs, batch, [sequence.target for sequence in sequences], self.config.task)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.total, self.config)
        self.optimiser.step()
        return float(loss.detach())

    def _shift_positions(self, position_ids: Tensor, batch: PackedBatch, rng: np.random.Generator) -> None:
        """Move a share of the sequences to a random place on the position axis; a question stays where it is."""
        for document in batch.documents:
            length = document.stop - document.start
            if rng.random() < self.config.shifted_share:
                question = int(batch.inputs["question_mask"][0, document].sum())
                shift = int(rng.integers(0, self.config.max_positions - length + 1))
                position_ids[0, document.start + question + 1 : document.stop] += shift

    def train(self) -> None:
        self.model.train()
        progress = tqdm(total=self.total, initial=self.step, desc=f"training {self.config.task}", unit="step")
        while self.step < self.total:
            epoch, done = divmod(self.step, self.per_epoch)
            for index, sequences in enumerate(batches(self.source, self.config, epoch, self.layout.block_size)):
                if index < done:
                    continue
                if self.step >= self.total:
                    break
                self.losses.append(self.train_step(sequences, np.random.default_rng([self.config.seed, self.step])))
                self.step += 1
                progress.update()
                progress.set_postfix(loss=f"{np.mean(self.losses[-50:]):.3f}")
                if self.step % self.config.checkpoint_every == 0:
                    self.checkpoint()
            done_in_epoch = self.step - epoch * self.per_epoch
            if self.step < self.total and done_in_epoch < self.per_epoch:
                # Random crops changed the number of batches a little: the epoch's data is used up, start the next.
                self.per_epoch = done_in_epoch
                self.total = min(self.total, max(self.step + 1, round(self.per_epoch * self.config.epochs)))
        progress.close()
        self.checkpoint()
        save_checkpoint(self.out, self.model, self.config, self.source.labels)
        (self.out / "losses.json").write_text(json.dumps(self.losses) + "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="TOML file, see training/configs/")
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; run again to resume")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")


def run(args: argparse.Namespace) -> int:
    # Moments of rows that are rarely seen decay into denormal numbers, which CPUs add a hundred times slower. Set before the
    # first operation: the threads of the pool inherit it.
    torch.set_flush_denormal(True)
    training = Run(read_config(args.config, args.set), args.data, args.out)
    training.resume()
    training.train()
    tail = training.losses[-50:]
    print(json.dumps({"task": training.config.task, "steps": training.step, "loss": round(sum(tail) / len(tail), 4)}))
    return 0

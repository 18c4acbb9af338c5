"""`nagayomi pretrain`: trains a masked language model over whole words, the start of fine-tuning.

Run again with the same folder, it resumes a killed run. Under torchrun the processes share every step:

    torchrun --nproc-per-node 2 -m app.cli pretrain --config … --data … --out …

This module does not know tasks.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from app.block_tables import AttentionLayout
from app.packing import pack, packed_length
from export.model import TABLE_INPUTS, tables_from
from training.config import ConfigError, PretrainConfig, read_pretrain_config
from training.pretrain.masked_lm import MaskedLanguageModel, new_masked_lm, save_masked_lm
from training.pretrain.masking import MaskedSequence, Schedule, Vocabulary, draw_sequence
from training.pretrain.token_stream import open_stream
from training.runs.distributed import Processes, joined
from training.runs.folder import (
    adopt_tokenizer,
    check_same_config,
    load_tokenizer,
    tokenizer_file,
    with_words,
    write_losses,
)
from training.runs.trainer import Trainer, build_optimiser, flush_denormals


class Pretraining(Trainer):
    """One pre-training run in a folder, or one process of it."""

    config: PretrainConfig
    model: MaskedLanguageModel

    def __init__(self, config: PretrainConfig, data: Path, out: Path, cache: Path, processes: Processes) -> None:
        """Tokenize the texts, or find them in the cache, and make the model.

        Raises:
            ConfigError: the configuration does not fit the checkpoint, the number of processes, or the content of
                the folder; or the processes have different configurations or texts.
            DataError: the texts cannot be read, or are too few.
        """
        config = with_words(config)
        super().__init__(config, out, processes)
        _check_processes(config, processes)
        check_same_config(config, out)
        tokenizer = load_tokenizer(config)
        self.vocabulary = Vocabulary.read(tokenizer_file(config), tokenizer.cls_id, tokenizer.sep_id)
        self.stream = open_stream(config, data, cache, tokenizer)
        if not processes.agree_on(json.dumps([config.model_dump(mode="json"), self.stream.digest])):
            raise ConfigError("The processes have different configurations or texts.")
        if processes.is_first:
            adopt_tokenizer(config, out)
        self.schedule = Schedule(len(self.stream), config)
        torch.manual_seed(config.seed)
        self.model = new_masked_lm(config, tokenizer)
        self.model.load_state_dict(processes.from_first(self.model.state_dict()))
        self.model.to(processes.device)
        self.layout = AttentionLayout(self.model.config.block_size, self.model.config.num_random_blocks)
        self.optimiser = build_optimiser(self.model, config)
        self.total, self.description = config.steps, "pre-training"
        self.unit, self.units_of_step = "tokens", config.batch_tokens

    def save(self, directory: Path) -> None:
        save_masked_lm(directory, self.model, self.config)

    def state(self) -> dict[str, Any]:
        return super().state() | {"texts": self.stream.digest}

    def restore(self, weights: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
        if state["texts"] != self.stream.digest:
            raise ConfigError(
                f"The texts differ from those with which the run in {self.out} began. Use another folder."
            )
        super().restore(weights, state)

    def checkpoint(self) -> None:
        super().checkpoint()
        if self.processes.is_first:  # a run takes days, and users want to see the curve before its end
            write_losses(self.out, self.losses)

    def steps(self) -> Iterator[float]:
        for step in range(self.step, self.total):
            yield self.train_step(step)

    def train_step(self, step: int) -> float:
        """One step over all processes; the mean loss of a token to guess."""
        sequences = self.sequences(step)
        masked = self.processes.sum_of(sum(len(sequence.targets) for sequence in sequences))
        self.begin_step(step)
        loss = 0.0
        for micro_batch in self.micro_batches(sequences):
            part = self.loss_sum(micro_batch) / max(1.0, masked)
            part.backward()
            loss += float(part.detach())
        self.processes.sum_gradients(self.model.parameters())
        loss = self.processes.sum_of(loss)
        self.descend(loss)
        return loss

    def sequences(self, step: int) -> list[MaskedSequence]:
        """This process's share of a step. Each sequence has its own generator, so any process may draw it."""
        length, starts = self.schedule.step(step)
        positions = self.model.config.max_position_embeddings
        return [
            draw_sequence(
                self.stream,
                starts[index],
                length,
                self.config,
                self.vocabulary,
                positions,
                np.random.default_rng([self.config.seed, step, index]),
            )
            for index in range(self.processes.rank, len(starts), self.processes.size)
        ]

    def micro_batches(self, sequences: list[MaskedSequence]) -> Iterator[list[MaskedSequence]]:
        """All sequences of a step have one length."""
        cost = packed_length(len(sequences[0].document.input_ids), self.layout.block_size)
        size = max(1, self.config.micro_batch_tokens // cost)
        for first in range(0, len(sequences), size):
            yield sequences[first : first + size]

    def loss_sum(self, sequences: list[MaskedSequence]) -> torch.Tensor:
        """Cross-entropy summed over the tokens to guess."""
        batch = pack([sequence.document for sequence in sequences], self.layout)
        device = self.processes.device
        for sequence, document in zip(sequences, batch.documents, strict=True):
            batch.inputs["position_ids"][0, document.start + 1 : document.stop] += sequence.shift
        names = ("input_ids", "token_type_ids", "position_ids", "key_bias", *TABLE_INPUTS)
        inputs = {name: torch.from_numpy(batch.inputs[name]).to(device) for name in names}
        places = [sequence.masked + place.start for sequence, place in zip(sequences, batch.documents, strict=True)]
        masked = torch.from_numpy(np.concatenate(places)).to(device)
        targets = torch.from_numpy(np.concatenate([sequence.targets for sequence in sequences])).long().to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.processes.uses_bf16(self.config.autocast)):
            logits = self.model(
                inputs["input_ids"], inputs["token_type_ids"], inputs["position_ids"], tables_from(inputs), masked
            )
        return F.cross_entropy(logits.float(), targets, reduction="sum")


def _check_processes(config: PretrainConfig, processes: Processes) -> None:
    longest = max(map(int, config.lengths))
    if config.batch_tokens < processes.size * longest:
        raise ConfigError(
            f"batch_tokens is {config.batch_tokens}; {processes.size} processes with a sequence of {longest} tokens "
            f"each need at least {processes.size * longest}."
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="TOML file; see training/configs/pretrain.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder of texts")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run; run again to resume")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    parser.add_argument(
        "--cache",
        type=Path,
        help="folder of tokenized texts, shared by runs (default: tokens, next to the run's folder)",
    )


def run(args: argparse.Namespace) -> int:
    """Train, and print the steps, tokens and the mean loss of the last steps as one JSON object.

    Raises:
        NagayomiError: the configuration, the texts or the folder is wrong, or training diverged.
    """
    config = read_pretrain_config(args.config, args.set)
    flush_denormals()
    with joined() as processes:
        training = Pretraining(config, args.data, args.out, args.cache or args.out.parent / "tokens", processes)
        training.resume()
        training.train()
    tail = training.losses[-50:]
    if processes.is_first:
        tokens = training.step * config.batch_tokens
        print(json.dumps({"steps": training.step, "tokens": tokens, "loss": round(sum(tail) / len(tail), 4)}))
    return 0

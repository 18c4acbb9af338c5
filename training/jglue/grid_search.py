"""Fine-tunes a hub encoder on one task by grid search, and keeps the model that is best on the validation set.

Each learning rate and number of epochs of the configuration is one run of transformers' Trainer. Run again with the
same folder, it resumes a killed search. Under torchrun every process runs this. This module does not know tables or
command lines.
"""

import itertools
import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Never

import torch
from accelerate import PartialState
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from app.atomic_write import write_then_rename
from training.config import ConfigError
from training.data import DataError
from training.jglue.config import EncoderConfig
from training.jglue.encoder import Encoder, Features, load_encoder
from training.jglue.features import score, training_features
from training.jglue.tasks import TASKS, Example, check_apart, read_examples
from training.runs.folder import draw_losses, refuse_changes
from training.runs.trainer import Diverged

Scores = dict[str, float]


def tune(config: EncoderConfig, data: Path, out: Path) -> dict[str, Any]:
    """Write the best model into `out`; return the content of scores.json: its recipe, its scores, and all trials.

    Raises:
        ConfigError: the configuration does not fit the checkpoint, the devices, or the content of the folder.
        DataError: the data cannot be read, or training and validation data overlap.
        Diverged: a loss is not finite.
    """
    _claim(config, out)
    summary_file, trials = out / "scores.json", out / "trials"
    if not (out / "config.json").exists():
        train, valid = read_task_data(config, data)
        features: list[Features] = []
        results = []
        for rate, epochs in itertools.product(config.learning_rates, config.epochs):
            folder = trials / f"lr-{rate:g}-epochs-{epochs}"
            if not (folder / "trial.json").exists():
                set_seed(config.seed)  # before the weights of a new head are drawn
                encoder = open_encoder(config, config.checkpoint)
                features = features or training_features(encoder, train, config.doc_stride)
                if not features:
                    raise DataError(f"{data / config.train} gives no training example.")
                _trial(config, encoder, features, valid, rate, epochs, folder)
            results.append(json.loads((folder / "trial.json").read_text(encoding="utf-8")) | {"folder": folder.name})
        if is_first_process():
            best = max(results, key=lambda result: result["scores"][TASKS[config.task].chosen_by])
            summary = {"task": config.task, **best, "trials": results}
            _write_json(summary_file, summary)
            _publish(trials / best["folder"], out)
        _processes().wait_for_everyone()
    if is_first_process():
        shutil.rmtree(trials, ignore_errors=True)
    found: dict[str, Any] = json.loads(summary_file.read_text(encoding="utf-8"))
    return found


def read_task_data(config: EncoderConfig, data: Path) -> tuple[list[Example], dict[str, list[Example]]]:
    """Training examples, and the sets to score by the prefix of their measures.

    Raises:
        DataError: a file cannot be read, or training data of another set overlaps with the validation data.
    """
    train = read_examples(config.task, data / config.train, config.train_reader)
    valid = read_valid(config, data)
    if config.train_reader is not None:  # the official splits may overlap
        for examples in valid.values():
            check_apart(train, examples, str(data / config.train))
    return train, valid


def read_valid(config: EncoderConfig, data: Path) -> dict[str, list[Example]]:
    """The sets to score by the prefix of their measures; the prefix of the validation set is empty."""
    files = {"": config.valid} | ({"out_of_domain_": config.out_of_domain} if config.out_of_domain else {})
    return {prefix: read_examples(config.task, data / file) for prefix, file in files.items()}


def open_encoder(config: EncoderConfig, checkpoint: str) -> Encoder:
    """The encoder of a configuration or of its fine-tuned checkpoint, on the GPU if there is one."""
    encoder = load_encoder(checkpoint, config.task, config.normaliser, config.segmenter, config.max_tokens)
    encoder.model.to("cuda" if torch.cuda.is_available() else "cpu")
    return encoder


def score_sets(encoder: Encoder, sets: dict[str, list[Example]], doc_stride: int) -> Scores:
    return {
        f"{prefix}{name}": value
        for prefix, examples in sets.items()
        for name, value in score(encoder, examples, doc_stride).items()
    }


def _trial(
    config: EncoderConfig,
    encoder: Encoder,
    features: Sequence[Features],
    valid: dict[str, list[Example]],
    rate: float,
    epochs: int,
    folder: Path,
) -> None:
    """Train, then write the model, the losses and their curve, and last trial.json into the folder."""
    steps = math.ceil(len(features) / config.batch_size) * epochs
    cuda = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=_batch_of_a_device(config.batch_size),
        learning_rate=rate,
        num_train_epochs=epochs,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(steps * config.warmup_share),
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip_norm,
        seed=config.seed,
        use_cpu=not cuda,  # without it, each process on a CPU would train on all data
        bf16=config.precision == "bf16" or (config.precision == "auto" and cuda and torch.cuda.is_bf16_supported()),
        save_strategy="steps",
        save_steps=config.checkpoint_every,
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        ddp_find_unused_parameters=True,  # BigBird has a pooler that its own heads do not read
    )
    trainer = Trainer(
        model=encoder.model,
        args=arguments,
        train_dataset=list(features),
        data_collator=encoder.collate,
        callbacks=[_Watch(f"{config.task}, lr {rate:g}, {epochs} epochs")],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_whole_checkpoint(folder))
    if is_first_process():
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        notes = {"task": config.task, "normaliser": config.normaliser, "segmenter": config.segmenter}
        encoder.save(folder, notes | {"training": config.model_dump()})
        _write_json(folder / "losses.json", losses)
        draw_losses(losses, folder / "losses.png")
        scores = score_sets(encoder, valid, config.doc_stride)
        _write_json(folder / "trial.json", {"learning_rate": rate, "epochs": epochs, "scores": scores})
        for checkpoint in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*"):
            shutil.rmtree(checkpoint)
    _processes().wait_for_everyone()


class _Watch(TrainerCallback):
    """Shows the progress bar, and ends a run whose loss is not finite."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._progress: tqdm[Never] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._progress = tqdm(
            total=state.max_steps,
            initial=state.global_step,
            desc=self._what,
            unit="step",
            file=sys.stderr,
            disable=not state.is_world_process_zero,
        )

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs or self._progress is None:
            return
        if not math.isfinite(logs["loss"]):
            self._progress.close()  # the error has a line of its own
            raise Diverged(f"The loss of step {state.global_step} is {logs['loss']}; try lower learning_rates.")
        self._progress.update()
        self._progress.set_postfix(loss=f"{logs['loss']:.3f}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._progress is not None:
            self._progress.close()


def _batch_of_a_device(batch_size: int) -> int:
    """The share of a device: the whole batch has the size of the recipe with any number of devices."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    devices = processes if processes > 1 else max(1, torch.cuda.device_count())
    if batch_size % devices:
        raise ConfigError(f"batch_size is {batch_size}; it must be a multiple of {devices}, the number of devices.")
    return batch_size // devices


def _whole_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint of the Trainer, which writes the state last; a kill may leave a part."""
    checkpoints = folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*")
    for checkpoint in sorted(checkpoints, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        try:
            json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return str(checkpoint)
    return None


def _publish(trial: Path, out: Path) -> None:
    """Copy the model of a trial, config.json last: its presence means that the search is done."""
    for file in trial.iterdir():
        # A kill may have left checkpoints of the Trainer, which are folders.
        if file.is_file() and file.name not in ("trial.json", "training_args.bin", "config.json"):
            shutil.copyfile(file, out / file.name)
    write_then_rename(out / "config.json", (trial / "config.json").read_text(encoding="utf-8"))


def _claim(config: EncoderConfig, out: Path) -> None:
    """Write the configuration into the folder; refuse to resume a run of another one.

    Raises:
        ConfigError: names the keys that differ.
    """
    file = out / "run.json"
    now = config.model_dump()
    if file.exists():
        before = json.loads(file.read_text(encoding="utf-8"))
        changes = [
            f"{key} was {before.get(key)!r} and is {value!r}"
            for key, value in now.items()
            if key != "checkpoint_every" and before.get(key) != value
        ]
        refuse_changes(out, changes)
    elif is_first_process():
        out.mkdir(parents=True, exist_ok=True)
        _write_json(file, now)


def _write_json(file: Path, content: object) -> None:
    write_then_rename(file, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def _processes() -> PartialState:
    """The processes of this run: those of torchrun, or this one alone."""
    return PartialState(cpu=not torch.cuda.is_available())


def is_first_process() -> bool:
    return bool(_processes().is_main_process)

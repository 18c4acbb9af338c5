"""The folder of one training run: its configuration, its tokenizer, and checkpoints that a kill cannot break.

This module knows files, and does not know models or steps.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import torch
from matplotlib.figure import Figure
from pydantic import ValidationError
from safetensors.torch import load_file
from torch import Tensor

from app.errors import NagayomiError
from app.manifest import TOKENIZER_FILE
from app.text.tokenizer import Tokenizer
from app.types import NormaliserName, SegmenterName
from app.validation import explain
from export.checkpoint import CheckpointError, read_config, refuse_other_families
from export.weights_file import NotWritten
from training.config import ConfigError, TrainingConfig

Config = TypeVar("Config", bound=TrainingConfig)

# How text is prepared where neither the configuration nor the checkpoint says it.
NORMALISER: NormaliserName = "nfkc"
SEGMENTER: SegmenterName = "mecab-jumandic"


def whole_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint. `last` is missing only if a run was killed between two renames."""
    return next((out / name for name in ("last", "new", "old") if (out / name / "state.pt").exists()), None)


def write_checkpoint(out: Path, save: Callable[[Path], None], state: dict[str, Any]) -> None:
    """Write a new folder, then rename it: a kill at any moment leaves a whole checkpoint.

    A folder is whole when it holds state.pt, which is renamed into place last. `save` writes the other files; with the
    run's tokenizer, the folder can be exported while the run goes on.

    Raises:
        NotWritten: the disk is full; the checkpoint before is still there.
    """
    new, last, old = out / "new", out / "last", out / "old"
    shutil.rmtree(new, ignore_errors=True)
    save(new)
    if (out / TOKENIZER_FILE).exists():
        shutil.copyfile(out / TOKENIZER_FILE, new / TOKENIZER_FILE)
    _write_state(state, new / "state.partial")
    os.replace(new / "state.partial", new / "state.pt")
    shutil.rmtree(old, ignore_errors=True)
    if last.exists():
        os.replace(last, old)
    os.replace(new, last)
    shutil.rmtree(old, ignore_errors=True)


def _write_state(state: dict[str, Any], file: Path) -> None:
    try:
        torch.save(state, file)
    except (OSError, RuntimeError) as error:  # torch has no sentence for a full disk, only positions in its own file
        raise NotWritten(file) from error


def last_checkpoint(out: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Weights and state of the last whole checkpoint, if there is one."""
    directory = whole_checkpoint(out)
    if directory is None:
        return None
    last = out / "last"
    if directory != last:
        # A run was killed between two renames. Finish them now, because the next checkpoint removes `new` first.
        shutil.rmtree(last, ignore_errors=True)
        os.replace(directory, last)
    state: dict[str, Any] = torch.load(last / "state.pt", map_location="cpu", weights_only=True)
    return load_file(last / "model.safetensors"), state


def write_losses(out: Path, losses: Sequence[float]) -> None:
    """The loss of every step as losses.json, and their curve as losses.png."""
    (out / "losses.json").write_text(json.dumps(losses) + "\n", encoding="utf-8")
    draw_losses(losses, out / "losses.png")


def draw_losses(losses: Sequence[float], file: Path) -> None:
    """Write a PNG with the loss of every step and its running mean."""
    # Not pyplot: it needs a display, and keeps state after the call.
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


def check_same_config(config: TrainingConfig, out: Path) -> None:
    """Refuse to resume or overwrite a run of another configuration.

    Raises:
        ConfigError: names the keys that differ.
    """
    file = (whole_checkpoint(out) or out) / "config.json"
    if not file.exists():
        return
    saved = json.loads(file.read_text(encoding="utf-8")).get("nagayomi", {}).get("training")
    if saved is None:
        return
    try:
        # Keys that an older version did not have get their defaults, including keys of data sets.
        before = _flat(type(config).model_validate(saved, strict=False, extra="ignore").model_dump(mode="json"))
    except ValidationError as error:
        raise ConfigError(
            f"{out} holds a run of another version, which this one cannot resume: {explain(error)} "
            "Use another folder, or remove this one."
        ) from error
    # A run may resume with another value of these: the first changes no result, the second only what dropout drops.
    now = _flat(config.model_dump(mode="json"))
    changes = [
        f"{key} was {_shown(before, key)} and is {_shown(now, key)}"
        for key in dict.fromkeys([*now, *before])
        if key not in ("checkpoint_every", "micro_batch_tokens") and before.get(key) != now.get(key)
    ]
    refuse_changes(out, changes)


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """The values inside tables and lists, by the names that --set gives them: sets.0.data."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inside:
        return {name: value}
    parts = (_flat(part, f"{name}.{key}" if name else str(key)) for key, part in inside)
    return {key: part for flat in parts for key, part in flat.items()}


def _shown(values: Mapping[str, Any], key: str) -> str:
    return repr(values[key]) if key in values else "not set"


def refuse_changes(out: Path, changes: Sequence[str]) -> None:
    """
    Raises:
        ConfigError: the run in `out` was begun with other values; `changes` names them.
    """
    if changes:
        raise ConfigError(
            f"{out} holds a run with another configuration: {'; '.join(changes)}. "
            "Use another folder, or remove this one."
        )


def with_words(config: Config) -> Config:
    """The configuration with a normaliser and a segmenter: those of the checkpoint where it names none itself.

    Raises:
        ConfigError: the checkpoint cannot be read, or was trained with others.
    """
    notes: Any = None
    if config.checkpoint:
        try:
            document = read_config(Path(config.checkpoint))
            refuse_other_families(document, config.checkpoint)
            notes = document.get("nagayomi")
        except CheckpointError as error:
            raise ConfigError(f"The checkpoint cannot be used: {error}") from error
    words: dict[str, str] = {}
    for key, names, default in (
        ("normaliser", get_args(NormaliserName), NORMALISER),
        ("segmenter", get_args(SegmenterName), SEGMENTER),
    ):
        wanted, noted = getattr(config, key), notes.get(key) if isinstance(notes, dict) else None
        if noted not in (None, *names):
            raise ConfigError(f"{config.checkpoint} names the {key} {noted!r}; known are {', '.join(names)}.")
        if wanted and noted and wanted != noted:
            raise ConfigError(
                f"{config.checkpoint} was trained with {key} = {noted}, not {wanted}: --set {key}={noted}."
            )
        words[key] = wanted or noted or default
    return config.model_copy(update=words)


def tokenizer_file(config: TrainingConfig) -> Path:
    return Path(config.tokenizer or Path(config.checkpoint) / TOKENIZER_FILE)


def load_tokenizer(config: TrainingConfig) -> Tokenizer:
    """The tokenizer that the configuration names, over the words that `with_words` gave it.

    Raises:
        ConfigError: it cannot be read.
    """
    file = tokenizer_file(config)
    assert config.normaliser is not None
    assert config.segmenter is not None
    try:
        return Tokenizer.load(file, normaliser=config.normaliser, segmenter=config.segmenter)
    except NagayomiError:
        raise
    except Exception as error:  # the Rust tokenizer raises bare Exception for a file it cannot read
        raise ConfigError(f"The tokenizer {file} cannot be loaded: {error}") from error


def adopt_tokenizer(config: TrainingConfig, out: Path) -> None:
    """Copy the tokenizer into the run's folder, because the exporter needs it there.

    Raises:
        ConfigError: the run began with another tokenizer.
    """
    file, copy = tokenizer_file(config), out / TOKENIZER_FILE
    content = file.read_bytes()
    if whole_checkpoint(out) and copy.exists() and copy.read_bytes() != content:
        raise ConfigError(f"The run in {out} began with another tokenizer than {file}. Use another folder.")
    out.mkdir(parents=True, exist_ok=True)
    if not copy.exists() or copy.read_bytes() != content:
        copy.write_bytes(content)

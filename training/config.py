"""One training run, described by one TOML file: model shape, data, hyper-parameters and seed.

Knows nothing of how any of it is used.
"""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

TrainingTask = Literal["qa", "classify", "summarize"]


class ConfigError(ValueError):
    """The configuration file is wrong; the message names the key and what is allowed."""


@dataclass(frozen=True)
class FinetuneConfig:
    """A fine-tuning run. Without `checkpoint` a new model of the given shape is trained from random weights."""

    task: TrainingTask
    reader: str  # squad | kyoto-categories | livedoor | labelled | kyoto-leads | summaries
    data: str  # file or folder below the data folder given on the command line
    tokenizer: str = ""  # tokenizer.json; with a checkpoint, its own
    checkpoint: str = ""  # a transformers BigBird directory to start from

    # Shape of a new model.
    layers: int = 6
    hidden: int = 256
    heads: int = 4
    intermediate: int = 1024
    max_positions: int = 4096
    dropout: float = 0.1
    question_overlap: bool = True  # a third token type for context tokens that also stand in the question (qa)

    # What the model reads.
    normaliser: str = "nfkc"
    segmenter: str = "mecab-jumandic"
    max_tokens: int = 384  # longest sequence in training; a longer context is cropped at random around the answer
    shifted_share: float = 0.0  # share of sequences whose positions start anywhere, so that late positions are trained too
    held_out_percent: int = 10  # documents kept for evaluation where the data set has no split of its own

    # Optimisation.
    epochs: float = 1.0
    batch_tokens: int = 8192
    learning_rate: float = 5e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 1
    autocast: Literal["none", "bf16"] = "none"  # bf16 pays only on CPUs and GPUs with bf16 matrix units
    checkpoint_every: int = 500  # steps


def read_config(path: Path, overrides: list[str]) -> FinetuneConfig:
    """Read a TOML file; `overrides` are "key=value" with a TOML value (bare words are strings).

    Raises:
        ConfigError: unknown key, missing key or wrong type.
    """
    values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    for override in overrides:
        key, _, value = override.partition("=")
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = value
    fields = {field.name: field for field in dataclasses.fields(FinetuneConfig)}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"Unknown key {key!r} in {path.name}; allowed are {', '.join(fields)}.")
        default = fields[key].default
        wanted = str if default is dataclasses.MISSING else type(default)
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            values[key] = float(value)
        elif type(value) is not wanted:
            raise ConfigError(f"{key!r} in {path.name} is {value!r}; it takes a {wanted.__name__}.")
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in values]
    if missing:
        raise ConfigError(f"{path.name} lacks {', '.join(missing)}.")
    if values["task"] not in ("qa", "classify", "summarize"):
        raise ConfigError(f"The task {values['task']!r} is not one of qa, classify, summarize.")
    return FinetuneConfig(**values)

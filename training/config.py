"""One training run, described by one TOML file: model shape, data, hyper-parameters and seed.

Knows nothing of how any of it is used.
"""

import dataclasses
import tomllib
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.errors import InvalidInput
from app.tokenizer import NormaliserName, SegmenterName

TrainingTask = Literal["qa", "classify", "summarize"]


class ConfigError(InvalidInput):
    """The configuration is wrong; the message names the key and what is allowed."""


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
    normaliser: NormaliserName = "nfkc"
    segmenter: SegmenterName = "mecab-jumandic"
    context: Literal["paragraph", "article"] = "paragraph"  # article: all paragraphs of a title joined (qa)
    max_tokens: int = 384  # longest sequence in training; a longer context is cropped at random around the answer
    shifted_share: float = 0.0  # share of sequences whose positions start anywhere: late positions are trained too
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


_AT_LEAST_ONE = (
    "layers",
    "hidden",
    "heads",
    "intermediate",
    "max_positions",
    "max_tokens",
    "batch_tokens",
    "checkpoint_every",
)
_POSITIVE = ("epochs", "learning_rate", "clip_norm")
_SHARES = ("dropout", "shifted_share", "warmup_share")


def read_values(path: Path, overrides: list[str]) -> dict[str, Any]:
    """The keys of a TOML file; `overrides` are "key=value" with a TOML value (bare words are strings).

    Raises:
        ConfigError: no readable TOML file, or an override without an equals sign.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error}") from error
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set takes KEY=VALUE, not {override!r}.")
        try:
            values[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[key] = value
    return values


def read_config(path: Path, overrides: list[str]) -> FinetuneConfig:
    """The run that a TOML file and the overrides of its keys describe.

    Raises:
        ConfigError: no readable TOML file, an unknown or missing key, a wrong type or a value out of range.
    """
    values = read_values(path, overrides)
    fields = {field.name: field for field in dataclasses.fields(FinetuneConfig)}
    types = typing.get_type_hints(FinetuneConfig)
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"Unknown key {key!r} in {path.name}; allowed are {', '.join(fields)}.")
        values[key] = _checked(key, value, types[key])
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in values]
    if missing:
        raise ConfigError(f"{path.name} lacks {', '.join(missing)}.")
    config = FinetuneConfig(**values)
    _check_ranges(config)
    return config


def _checked(key: str, value: Any, wanted: Any) -> Any:
    """The value, as the type of its key."""
    if choices := typing.get_args(wanted):
        if value not in choices:
            raise ConfigError(f"{key} is {value!r}; allowed are {', '.join(choices)}.")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(f"{key} is {value!r}; it takes a value of type {wanted.__name__}.")
    return value


def _check_ranges(config: FinetuneConfig) -> None:
    values = dataclasses.asdict(config)
    for key in _AT_LEAST_ONE:
        if values[key] < 1:
            raise ConfigError(f"{key} is {values[key]}; it must be at least 1.")
    for key in _POSITIVE:
        if not 0 < values[key] < float("inf"):
            raise ConfigError(f"{key} is {values[key]}; it must be a number above 0.")
    for key in _SHARES:
        if not 0 <= values[key] <= 1:
            raise ConfigError(f"{key} is {values[key]}; it must be between 0 and 1.")
    if not 0 <= config.held_out_percent < 100:
        raise ConfigError(f"held_out_percent is {config.held_out_percent}; it must be between 0 and 99.")
    if config.seed < 0:
        raise ConfigError(f"seed is {config.seed}; it must not be negative.")
    if config.hidden % (2 * config.heads):
        raise ConfigError(f"hidden ({config.hidden}) must be an even multiple of heads ({config.heads}).")
    if not config.tokenizer and not config.checkpoint:
        raise ConfigError("tokenizer is missing; a run without a checkpoint needs a tokenizer.json.")

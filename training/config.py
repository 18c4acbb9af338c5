"""One training run, described by one TOML file: model shape, data, hyper-parameters and seed.

Knows nothing of how any of it is used.
"""

import dataclasses
import tomllib
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from app.errors import InvalidInput
from app.types import NormaliserName, SegmenterName

TrainingTask = Literal["qa", "classify", "summarize"]
SHORTEST = 8  # tokens of a sequence in pre-training: [CLS], [SEP] and some words


class ConfigError(InvalidInput):
    """The configuration is wrong; the message names the key and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every run has. Without `checkpoint` a new model of the given shape is trained from random weights."""

    tokenizer: str = ""  # tokenizer.json; with a checkpoint, its own
    checkpoint: str = ""  # a transformers BigBird directory to start from

    # Shape of a new model.
    layers: int = 6
    hidden: int = 256
    heads: int = 4
    intermediate: int = 1024
    max_positions: int = 4096
    activation: Literal["gelu_new", "gelu", "relu"] = "gelu_new"  # gelu_new, BigBird's own, is slow on CPUs
    dropout: float = 0.1
    start: Literal["random", "structured"] = "random"  # structured: see training/runs/structured_init.py
    word_vectors: str = ""  # .npy of `python -m training.word_vectors`, for a structured start

    # What the model reads.
    normaliser: NormaliserName = "nfkc"
    segmenter: SegmenterName = "mecab-jumandic"
    shifted_share: float = 0.0  # share of sequences whose positions start anywhere: late positions are trained too

    # Optimisation.
    batch_tokens: int = 8192  # tokens of a step
    learning_rate: float = 5e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 1
    autocast: Literal["none", "bf16"] = "none"  # bf16 pays only on CPUs and GPUs with bf16 matrix units
    checkpoint_every: int = 500  # steps


@dataclass(frozen=True)
class FinetuneConfig(TrainingConfig):
    """A fine-tuning run."""

    task: TrainingTask
    reader: str  # squad | kyoto-categories | livedoor | labelled | kyoto-leads | summaries
    data: str  # file or folder below the data folder given on the command line
    question_overlap: bool = True  # a third token type for context tokens that also stand in the question (qa)
    frequency_types: int = 0  # token types by how many sentences of the document hold a piece; 0: none (summarize)
    context: Literal["paragraph", "article"] = "paragraph"  # article: all paragraphs of a title joined (qa)
    unanswerable_share: float = 0.0  # share of questions put to a text that does not answer them (qa)
    class_balance: float = 0.0  # 0 counts every text alike, 1 every class, which helps those with few texts (classify)
    max_tokens: int = 384  # longest sequence in training; a longer context is cropped at random around the answer
    held_out_percent: int = 10  # documents kept for evaluation where the data set has no split of its own
    epochs: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(TrainingConfig):
    """A masked language model run. `dropout` is that of the run: config.json keeps the one that fine-tuning wants."""

    # Texts, all below the data folder given on the command line.
    corpus: bool = False  # the training splits of JaQuAD, the Kyoto articles and livedoor
    texts: dict[str, float] = field(default_factory=dict)  # file or folder of texts -> share of its texts to read

    token_types: int = 3  # rows for fine-tuning: 2 do for classes and summaries, questions that mark overlap take 3
    lengths: dict[str, float] = field(default_factory=lambda: {"128": 0.6, "512": 0.3, "4096": 0.1})  # share of steps
    mask_rate: float = 0.15  # share of the words
    steps: int = 10_000
    # Tokens of one pass of one process, at least one sequence: bounds memory and changes no result. Small ones stay in
    # the caches of a CPU, large ones keep a GPU busy.
    micro_batch_tokens: int = 8192


_AT_LEAST_ONE = (
    "layers",
    "hidden",
    "heads",
    "intermediate",
    "max_positions",
    "max_tokens",
    "batch_tokens",
    "checkpoint_every",
    "token_types",
    "steps",
    "micro_batch_tokens",
)
_POSITIVE = ("epochs", "learning_rate", "clip_norm")
_SHARES = ("class_balance", "dropout", "shifted_share", "warmup_share", "unanswerable_share", "mask_rate")


Config = TypeVar("Config", bound=TrainingConfig)


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
    return _read(FinetuneConfig, path, overrides)


def read_pretrain_config(path: Path, overrides: list[str]) -> PretrainConfig:
    """As `read_config`, for a pre-training run."""
    return _read(PretrainConfig, path, overrides)


def _read(kind: type[Config], path: Path, overrides: list[str]) -> Config:
    values = read_values(path, overrides)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    types = typing.get_type_hints(kind)
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(f"Unknown key {key!r} in {path.name}; allowed are {', '.join(fields)}.")
        values[key] = _checked(key, value, types[key])
    known = defaults(kind)
    missing = [name for name in fields if name not in known and name not in values]
    if missing:
        raise ConfigError(f"{path.name} lacks {', '.join(missing)}.")
    config = kind(**values)
    _check_ranges(config)
    return config


def defaults(kind: type[TrainingConfig]) -> dict[str, Any]:
    """The default of every key that has one."""
    found = {}
    for key in dataclasses.fields(kind):
        if key.default is not dataclasses.MISSING:
            found[key.name] = key.default
        elif key.default_factory is not dataclasses.MISSING:
            found[key.name] = key.default_factory()
    return found


def _checked(key: str, value: Any, wanted: Any) -> Any:
    """The value, as the type of its key."""
    if typing.get_origin(wanted) is dict:
        if not isinstance(value, dict) or not all(type(share) in (int, float) for share in value.values()):
            raise ConfigError(f"{key} is {value!r}; it takes a table of numbers.")
        return {name: float(share) for name, share in value.items()}
    if choices := typing.get_args(wanted):
        if value not in choices:
            raise ConfigError(f"{key} is {value!r}; allowed are {', '.join(choices)}.")
        return value
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(f"{key} is {value!r}; it takes a value of type {wanted.__name__}.")
    return value


def _check_ranges(config: TrainingConfig) -> None:
    values = dataclasses.asdict(config)
    for key in _AT_LEAST_ONE:
        if key in values and values[key] < 1:
            raise ConfigError(f"{key} is {values[key]}; it must be at least 1.")
    for key in _POSITIVE:
        if key in values and not 0 < values[key] < float("inf"):
            raise ConfigError(f"{key} is {values[key]}; it must be a number above 0.")
    for key in _SHARES:
        if key in values and not 0 <= values[key] <= 1:
            raise ConfigError(f"{key} is {values[key]}; it must be between 0 and 1.")
    if isinstance(config, FinetuneConfig) and config.frequency_types < 0:
        raise ConfigError(f"frequency_types is {config.frequency_types}; it must not be negative.")
    if config.seed < 0:
        raise ConfigError(f"seed is {config.seed}; it must not be negative.")
    if config.hidden % (2 * config.heads):
        raise ConfigError(f"hidden ({config.hidden}) must be an even multiple of heads ({config.heads}).")
    if config.word_vectors and config.start != "structured":
        raise ConfigError('word_vectors are only read with start = "structured".')
    if config.start == "structured" and config.checkpoint:
        raise ConfigError('start = "structured" is for a new model; this run starts from a checkpoint.')
    if not config.tokenizer and not config.checkpoint:
        raise ConfigError("tokenizer is missing; a run without a checkpoint needs a tokenizer.json.")
    if isinstance(config, FinetuneConfig) and not 0 <= config.held_out_percent < 100:
        raise ConfigError(f"held_out_percent is {config.held_out_percent}; it must be between 0 and 99.")
    if isinstance(config, PretrainConfig):
        _check_pretraining(config)


def _check_pretraining(config: PretrainConfig) -> None:
    if not config.corpus and not config.texts:
        raise ConfigError("There is nothing to read: set corpus = true or name files under texts.")
    for name, share in config.texts.items():
        if not 0 < share <= 1:
            raise ConfigError(f"texts: the share of {name} is {share}; it must be above 0 and at most 1.")
    if config.mask_rate == 0:
        raise ConfigError("mask_rate is 0; without a masked word there is nothing to learn.")
    for name, share in config.lengths.items():
        if not name.isdecimal() or int(name) < SHORTEST:
            raise ConfigError(f"lengths: {name!r} is no length; it must be a number of tokens, at least {SHORTEST}.")
        if not 0 < share < float("inf"):
            raise ConfigError(f"lengths: the share of {name} is {share}; it must be a number above 0.")
    if not config.lengths:
        raise ConfigError("lengths is empty; name at least one length and its share of the steps.")
    longest = max(map(int, config.lengths))
    if config.batch_tokens < longest:
        raise ConfigError(f"batch_tokens is {config.batch_tokens}; it must hold one sequence of {longest} tokens.")

"""One training run, described by one TOML file: model shape, data, hyper-parameters and seed.

This module knows the keys and their limits, and does not know how they are used.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.errors import InvalidInput
from app.types import NormaliserName, SegmenterName
from app.validation import explain

TrainingTask = Literal["qa", "classify", "summarize"]
ContextUnit = Literal["paragraph", "article"]
HELD_OUT_PERCENT = 10  # of a data set without a split
SHORTEST = 8  # tokens of the shortest sequence: [CLS], [SEP] and some words

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class ConfigError(InvalidInput):
    """The configuration is wrong; the message names the key and what is allowed."""


class _Part(BaseModel):
    # strict: a TOML string is not a number, and true is not 1.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class TrainingConfig(_Part):
    """The keys of every run. Without `checkpoint`, a new model of the given shape starts from random weights."""

    tokenizer: str = ""  # a tokenizer.json; default: that of the checkpoint
    checkpoint: str = ""  # a transformers BigBird directory to start from

    # Shape of a new model.
    layers: Count = 6
    hidden: Count = 256
    heads: Count = 4
    intermediate: Count = 1024
    max_positions: Count = 4096
    activation: Literal["gelu_new", "gelu", "relu"] = "gelu_new"  # gelu_new, the original BigBird's, is slow on CPUs

    dropout: Share = 0.1  # applies to runs from a checkpoint too

    # Input of the model. Default: as the checkpoint was trained, or nfkc and mecab-jumandic where it says nothing.
    normaliser: NormaliserName | None = None
    segmenter: SegmenterName | None = None
    # Share of sequences whose positions start at a random place, so that late positions are trained too.
    shifted_share: Share = 0.0

    # Optimisation.
    batch_tokens: Count = 8192  # tokens of a step, over all processes
    # Tokens of one pass of one process, at least one sequence. It bounds memory; without dropout it changes no result,
    # and with dropout other values are dropped. Small passes stay in the caches of a CPU, large ones keep a GPU busy.
    micro_batch_tokens: Count = 8192
    learning_rate: Positive = 5e-4
    warmup_share: Share = 0.1
    weight_decay: Share = 0.01
    clip_norm: Positive = 1.0
    seed: int = Field(default=1, ge=0)
    # auto: bf16 where the GPU has it or the CPU has instructions for it (AMX, AVX-512 BF16), which trains two to
    # three times as fast; fp32 elsewhere, where bf16 is slower.
    autocast: Literal["auto", "none", "bf16"] = "auto"
    checkpoint_every: Count = 500  # steps

    @model_validator(mode="after")
    def _the_model_can_be_made(self) -> Self:
        if self.hidden % (2 * self.heads):
            raise ValueError(f"hidden ({self.hidden}) must be an even multiple of heads ({self.heads})")
        if not self.tokenizer and not self.checkpoint:
            raise ValueError("tokenizer is missing; a run without a checkpoint needs a tokenizer.json")
        return self


class DataSet(_Part):
    """One data set of a fine-tuning run. A run may list the same data several times, with different lengths."""

    reader: str  # squad | reading-set (qa, summarize) | kyoto-categories | livedoor | labelled
    data: str  # file or folder below the data folder given on the command line
    # Share of its texts that the run reads at all, chosen by their contents: a smaller share is a part of every larger
    # one, so runs with .25, .5 and 1 show what more texts would bring.
    texts_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    share: Positive = 1.0  # share of its examples in one epoch, drawn again for every epoch; 2.0 reads each twice
    max_tokens: int = Field(default=384, ge=SHORTEST)  # longest sequence; a longer context is cropped at random
    context: ContextUnit = "paragraph"  # article: all paragraphs of a title joined (qa)
    # Shares of the answerable questions that become unanswerable (qa): asked about another text of the set, and asked
    # about their own text after the sentence with the answer was removed.
    unrelated_share: Share = 0.0
    removed_share: Share = 0.0
    held_out_percent: int = Field(
        default=HELD_OUT_PERCENT, ge=0, le=99
    )  # kept for evaluation; for sets without a split

    @model_validator(mode="after")
    def _shares_are_parts_of_one(self) -> Self:
        if self.unrelated_share + self.removed_share > 1 + 1e-9:
            raise ValueError(
                f"unrelated_share ({self.unrelated_share}) and removed_share ({self.removed_share}) are shares of the "
                "same questions; their sum must be at most 1"
            )
        return self


class FinetuneConfig(TrainingConfig):
    """A fine-tuning run."""

    task: TrainingTask
    sets: tuple[DataSet, ...] = Field(min_length=1, strict=False)  # not strict: TOML has lists, and no tuples
    question_overlap: bool = True  # a third token type for context tokens that the question also contains (qa)
    head: Literal["random", "fitted"] = "random"  # fitted: by logistic regression before the first step (summarize)
    sentence_types: bool = True  # token types mark the place of each sentence: Sentence.token_type (summarize)
    # Take so many layers of the checkpoint, from below; 0: all. Half of them may do as well in half the time.
    lowest_layers: int = Field(default=0, ge=0)
    # One more layer on top of a checkpoint's, which hands the mean of all states to [CLS] at first: encoders that were
    # trained to pool all their states, such as e5, have little in [CLS] (classify).
    pooling_layer: bool = False
    # So many of the lowest layers, and the embeddings, keep the weights of the checkpoint: a step then costs less, by
    # up to two thirds where all layers are kept.
    frozen_layers: int = Field(default=0, ge=0)
    class_balance: Share = 0.0  # 0 weights every text equally, 1 every class, which helps rare classes (classify)
    epochs: float = Field(default=1.0, ge=0)  # 0: only the head is fitted

    @model_validator(mode="after")
    def _only_classifiers_pool(self) -> Self:
        if self.pooling_layer and self.task != "classify":
            raise ValueError("pooling_layer is for the task classify, whose head reads [CLS]")
        return self


class PretrainConfig(TrainingConfig):
    """A masked language model run. `dropout` applies to this run; config.json keeps the value for fine-tuning."""

    # Texts; all paths are below the data folder of the command line.
    corpus: bool = False  # the training splits of JaQuAD, the Kyoto articles and livedoor
    texts: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}  # file or folder of texts -> share of its texts to read

    # Rows for fine-tuning: 2 suffice for classes and summaries, questions that mark overlap need 3.
    token_types: Count = 3
    lengths: dict[str, Positive] = Field(default={"128": 0.6, "512": 0.3, "4096": 0.1}, min_length=1)  # share of steps
    mask_rate: Annotated[float, Field(gt=0, le=1)] = 0.15  # share of the words
    steps: Count = 10_000

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if not self.corpus and not self.texts:
            raise ValueError("there is nothing to read: set corpus = true or list files under texts")
        for name in self.lengths:
            if not name.isdecimal() or int(name) < SHORTEST:
                raise ValueError(
                    f"lengths: {name!r} is not a length; it must be a number of tokens, at least {SHORTEST}"
                )
        longest = max(map(int, self.lengths))
        if self.batch_tokens < longest:
            raise ValueError(f"batch_tokens is {self.batch_tokens}; it must hold one sequence of {longest} tokens")
        return self


Config = TypeVar("Config", bound=BaseModel)


def read_values(path: Path, overrides: list[str]) -> dict[str, Any]:
    """The keys of a TOML file; `overrides` are "key=value" with a TOML value (bare words are strings).

    A key may be a path into a table or list: `sets.0.share=0.5`.

    Raises:
        ConfigError: no readable TOML file, or an override without an equals sign or with an unknown path.
    """
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error}") from error
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"--set takes KEY=VALUE, not {override!r}.")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        *path_to, last = name.split(".")
        place: Any = values
        try:
            for key in path_to:
                place = place[int(key)] if isinstance(place, list) else place[key]
            place[last] = value
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ConfigError(f"--set {name}: {path.name} has no such key.") from error
    return values


def parse(kind: type[Config], path: Path, overrides: list[str]) -> Config:
    """The run described by a TOML file and overrides of its keys.

    Raises:
        ConfigError: no readable TOML file, an unknown or missing key, a wrong type or a value out of range.
    """
    values = read_values(path, overrides)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path.name}: {explain(error, of=kind)}") from error


def read_config(path: Path, overrides: list[str]) -> FinetuneConfig:
    """As `parse`, for a fine-tuning run."""
    return parse(FinetuneConfig, path, overrides)


def read_pretrain_config(path: Path, overrides: list[str]) -> PretrainConfig:
    """As `parse`, for a pre-training run."""
    return parse(PretrainConfig, path, overrides)

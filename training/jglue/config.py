"""The fine-tuning of a hub encoder on one task of JGLUE, described by one TOML file.

This module knows the keys and their limits, and does not know how they are used.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.types import NormaliserName, SegmenterName
from training.config import parse
from training.jglue.tasks import Reader, TaskName

Rate = Annotated[float, Field(gt=0)]
Epochs = Annotated[int, Field(ge=1)]


class EncoderConfig(BaseModel):
    """The recipe. Every learning rate is tried with every number of epochs, and the best on `valid` is kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    task: TaskName
    checkpoint: str  # a directory of transformers, or a hub id: BigBird, BERT, RoBERTa, DeBERTa-v2, LUKE, ...
    train: str  # file or folder below the data folder given on the command line
    valid: str
    out_of_domain: str = ""  # a second file to score; JCoLA has one
    train_reader: Reader | None = None  # train on another data set: jnli-neg (jnli), jsick (jnli, jsts)

    # Preparation of the text, as the encoder's card asks. It must agree with a checkpoint that records it.
    normaliser: NormaliserName
    segmenter: SegmenterName
    max_tokens: int = Field(ge=8)  # longer texts are cut off, as in JGLUE; contexts of jsquad are read in windows
    doc_stride: int = Field(default=128, ge=1)  # tokens between the starts of two windows (jsquad)

    learning_rates: list[Rate] = Field(min_length=1)
    epochs: list[Epochs] = Field(min_length=1)
    batch_size: int = Field(default=32, ge=1)  # of all devices together
    warmup_share: float = Field(default=0.1, ge=0, le=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    seed: int = Field(default=42, ge=0)
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on GPUs that have it, else fp32
    checkpoint_every: int = Field(default=500, ge=1)  # steps; changes no result


def read_encoder_config(path: Path, overrides: list[str]) -> EncoderConfig:
    """As `training.config.parse`, for one task of JGLUE."""
    return parse(EncoderConfig, path, overrides)

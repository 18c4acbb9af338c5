"""Any encoder of the hub, through the Auto classes of transformers: BigBird, BERT, RoBERTa, DeBERTa-v2, LUKE, ...

Fine-tuned and run in torch. The service runs BigBird only, and `nagayomi export` turns a BigBird that was fine-tuned
here into a model of the store. This module knows models and their tokenizers, and does not know data sets.
"""

import json
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import (
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorForMultipleChoice,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
)

from app.errors import BrokenModel
from app.text.alignment import NO_TOKENS, Tokens, pairs
from app.text.template import Template, frame_of
from app.types import FloatArray, NormaliserName, SegmenterName
from training.config import ConfigError
from training.jglue.tasks import TASKS, TaskName
from training.jglue.text import TextPreparation, find_pieces

Features = dict[str, Any]  # one sequence (or, for a choice, one list of sequences) as the model's arguments

_AUTO_CLASSES = {
    "classes": AutoModelForSequenceClassification,
    "similarity": AutoModelForSequenceClassification,
    "choice": AutoModelForMultipleChoice,
    "span": AutoModelForQuestionAnswering,
}
# Names of the special tokens in a tokenizer.json made by this project.
_SPECIAL_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


class Encoder:
    """A model with the head of a task, its tokenizer, and the preparation of its text."""

    def __init__(self, model: Any, tokenizer: Any, prepare: TextPreparation, task: TaskName, max_tokens: int) -> None:
        self.model, self.tokenizer, self.prepare = model, tokenizer, prepare
        self.task, self.max_tokens = task, max_tokens
        # RoBERTa has one token type and DeBERTa-v2 none, although their tokenizers give others.
        names = {"input_ids", "attention_mask"}
        self.inputs = names | {"token_type_ids"} if getattr(model.config, "type_vocab_size", 0) > 1 else names

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Features]:
        """Encode texts, or pairs of texts, with the tokenizer's special tokens; cut them off after `max_tokens`."""
        columns = self.tokenizer(
            [self.prepare(text).joined for text in texts],
            None if pairs is None else [self.prepare(pair).joined for pair in pairs],
            truncation=True,
            max_length=self.max_tokens,
        )
        return [{name: columns[name][i] for name in self.inputs if name in columns} for i in range(len(texts))]

    def tokens(self, text: str) -> Tokens:
        """One text as tokens with their places in the text, without special tokens."""
        prepared = self.prepare(text)
        if not prepared.joined:
            return NO_TOKENS
        if self.tokenizer.is_fast:
            # verbose=False: it would warn about texts longer than the model, which are read in windows here.
            found = self.tokenizer(
                prepared.joined, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
            return prepared.align(found["input_ids"], pairs(found["offset_mapping"]))
        pieces = self.tokenizer.tokenize(prepared.joined)
        surfaces = [self.tokenizer.convert_tokens_to_string([piece]) for piece in pieces]
        spans = pairs(find_pieces(surfaces, prepared.joined))
        return prepared.align(self.tokenizer.convert_tokens_to_ids(pieces), spans)

    @cached_property
    def template(self) -> Template:
        """Read from encoded texts, because tokenizers have no common interface for it."""
        frames = []
        for texts in (("山",), ("山", "川")):
            encoded = self.tokenizer(*texts, return_special_tokens_mask=True, return_token_type_ids=True)
            ids, types, is_special = (encoded[n] for n in ("input_ids", "token_type_ids", "special_tokens_mask"))
            try:
                frames.append(frame_of(ids, types, is_special, len(texts)))
            except BrokenModel as error:
                raise ConfigError(f"{error} A question would run into its context.") from error
        return Template(*frames)

    def collate(self, features: Sequence[Features]) -> dict[str, Tensor]:
        """A batch, padded to its longest sequence."""
        kind = DataCollatorForMultipleChoice if TASKS[self.task].kind == "choice" else DataCollatorWithPadding
        batch: dict[str, Tensor] = dict(kind(self.tokenizer)([dict(feature) for feature in features]))
        return batch

    def save(self, directory: Path, notes: dict[str, Any]) -> None:
        """Write tokenizer, weights and config.json, and into that, under "nagayomi", how to use them."""
        self.model.config.nagayomi = notes
        self.tokenizer.save_pretrained(directory)
        self.model.save_pretrained(directory)


def load_encoder(
    checkpoint: str, task: TaskName, normaliser: NormaliserName, segmenter: SegmenterName, max_tokens: int
) -> Encoder:
    """A checkpoint with the head of a task; the head is new when the checkpoint has none.

    Raises:
        ConfigError: it cannot be loaded, or does not fit its tokenizer, `max_tokens` or the way text is prepared.
    """
    labels, kind = TASKS[task].labels, TASKS[task].kind
    options: dict[str, Any] = {}
    if labels:
        options = {"id2label": dict(enumerate(labels)), "label2id": {name: index for index, name in enumerate(labels)}}
    elif kind == "similarity":
        options = {"num_labels": 1, "problem_type": "regression"}
    try:
        tokenizer = _load_tokenizer(checkpoint)
        model = _AUTO_CLASSES[kind].from_pretrained(checkpoint, trust_remote_code=False, **options)
    except Exception as error:  # the libraries raise many types, even a bare Exception from the Rust tokenizer
        raise ConfigError(f"The checkpoint {checkpoint!r} cannot be loaded for {task}: {error}") from error
    _check_fits(model, tokenizer, checkpoint, max_tokens)
    for key, value in (("normaliser", normaliser), ("segmenter", segmenter)):
        noted = getattr(model.config, "nagayomi", {}).get(key, value)
        if noted != value:
            raise ConfigError(f"{checkpoint} was trained with {key} = {noted}, not {value}: --set {key}={noted}.")
    if model.config.model_type == "big_bird":
        # For sequences this short, transformers switches to full attention itself, with a warning for every model.
        blocks = 5 + 2 * model.config.num_random_blocks
        if max_tokens <= blocks * model.config.block_size:
            model.base_model.set_attention_type("original_full")
    return Encoder(model, tokenizer, TextPreparation(normaliser, segmenter), task, max_tokens)


def _load_tokenizer(checkpoint: str) -> Any:
    directory = Path(checkpoint)
    file = directory / "tokenizer.json"
    if file.is_file() and not (directory / "tokenizer_config.json").is_file():  # a checkpoint that was trained here
        return PreTrainedTokenizerFast(tokenizer_file=str(file), **_SPECIAL_TOKENS)
    return AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=False)


def _check_fits(model: Any, tokenizer: Any, checkpoint: str, max_tokens: int) -> None:
    """Refuse settings that would otherwise fail with an index error in the middle of a run."""
    if tokenizer.pad_token_id is None:
        raise ConfigError(f"The tokenizer of {checkpoint} has no padding token; use an encoder.")
    vocabulary = model.get_input_embeddings().num_embeddings
    if len(tokenizer) > vocabulary:
        raise ConfigError(f"The tokenizer of {checkpoint} has {len(tokenizer)} pieces, the model {vocabulary}.")
    for name, module in model.named_modules():
        if name.endswith("embeddings.position_embeddings") and isinstance(module, nn.Embedding):
            # Models of the RoBERTa family start positions after the padding id.
            positions = module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
            if max_tokens > positions:
                raise ConfigError(f"max_tokens is {max_tokens}; {checkpoint} has {positions} positions.")


def read_notes(directory: Path) -> dict[str, Any] | None:
    """The notes of `Encoder.save` in a directory, or None where there is no such checkpoint.

    Raises:
        ConfigError: config.json exists but cannot be read.
    """
    file = directory / "config.json"
    if not file.exists():
        return None
    try:
        notes = json.loads(file.read_text(encoding="utf-8")).get("nagayomi")
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from error
    return notes if isinstance(notes, dict) and notes.get("task") in TASKS else None


def predict(encoder: Encoder, features: Sequence[Features], what: str, batch_size: int = 32) -> list[FloatArray]:
    """The logits of every sequence, in order: (classes,), or (2, tokens) for the starts and the ends of spans."""
    model = encoder.model.eval()
    device = next(model.parameters()).device
    # Sequences of similar length share a batch; the longest come first, so that a lack of memory shows at once.
    order = sorted(range(len(features)), key=lambda index: -_length(features[index]))
    results: list[FloatArray] = [np.zeros(0, dtype=np.float32)] * len(features)
    with torch.inference_mode(), tqdm(total=len(features), desc=what, file=sys.stderr) as progress:
        for at in range(0, len(order), batch_size):
            chosen = order[at : at + batch_size]
            batch = encoder.collate([features[index] for index in chosen])
            outputs = model(**{name: batch[name].to(device) for name in encoder.inputs if name in batch})
            span = "start_logits" in outputs
            logits = torch.stack([outputs.start_logits, outputs.end_logits], 1) if span else outputs.logits
            for index, own in zip(chosen, logits.float().cpu().numpy(), strict=True):
                results[index] = own
            progress.update(len(chosen))
    return results


def _length(feature: Features) -> int:
    ids = feature["input_ids"]
    return max(map(len, ids)) if isinstance(ids[0], list) else len(ids)

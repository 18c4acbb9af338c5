"""Any encoder of the hub, through the Auto classes of transformers: BigBird, BERT, RoBERTa, DeBERTa-v2, LUKE, ...

The encoder is fine-tuned and run in torch. Text is read by the tokenizer that `nagayomi export` gives the service, so
that a served model reads the ids that it learned from. This module knows models and their tokenizers, and does not know
data sets.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
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
from app.text.segmenter import build_segmenter
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import context_room, text_windows
from app.types import FloatArray, IntArray, NormaliserName, SegmenterName
from export.checkpoint import CheckpointError, locate
from export.tokenizer_files import TokenizerFiles, read_tokenizer
from training.config import ConfigError
from training.jglue.tasks import TASKS, TaskName

Features = dict[str, Any]  # one sequence (or, for a choice, one list of sequences) as the model's arguments

_AUTO_CLASSES = {
    "classes": AutoModelForSequenceClassification,
    "similarity": AutoModelForSequenceClassification,
    "choice": AutoModelForMultipleChoice,
    "span": AutoModelForQuestionAnswering,
}
# Names of the special tokens in a tokenizer.json made by this project: BERT's, or those of the encoder that
# `nagayomi warm-start` began with.
_SPECIAL_TOKENS = {
    "pad_token": ("[PAD]", "<pad>"),
    "unk_token": ("[UNK]", "<unk>"),
    "cls_token": ("[CLS]", "<s>"),
    "sep_token": ("[SEP]", "</s>"),
    "mask_token": ("[MASK]", "<mask>"),
}


class Encoder:
    """A model with the head of a task, and the two forms of its tokenizer.

    `tokenizer`, the service's own, reads texts; `pieces`, that of transformers, pads batches and writes its files.
    """

    def __init__(
        self, model: Any, pieces: Any, tokenizer: Tokenizer, is_segmented: bool, task: TaskName, max_tokens: int
    ) -> None:
        self.model, self.pieces = model, pieces
        self.tokenizer, self.is_segmented = tokenizer, is_segmented
        self.task, self.max_tokens = task, max_tokens
        # RoBERTa has one token type and DeBERTa-v2 none, although their tokenizers give others.
        names = {"input_ids", "attention_mask"}
        self.inputs = names | {"token_type_ids"} if getattr(model.config, "type_vocab_size", 0) > 1 else names

    def encode(self, texts: Sequence[str], pairs: Sequence[str] | None) -> list[Features]:
        """Texts, or pairs of texts, between the tokenizer's special tokens, cut off after `max_tokens`."""
        others = [None] * len(texts) if pairs is None else [self.tokenizer.encode(pair) for pair in pairs]
        return [self._sequence(self.tokenizer.encode(text), other) for text, other in zip(texts, others, strict=True)]

    def _sequence(self, text: Tokens, pair: Tokens | None) -> Features:
        template = self.tokenizer.template
        if pair is not None:
            text, pair = _cut_longer(text, pair, self.max_tokens - template.pair.size)
        text = text.slice(0, context_room(pair, self.max_tokens, template))
        (window,) = text_windows(text, pair, template=template, max_tokens=self.max_tokens, doc_stride=1)
        return self.features(window.input_ids, window.token_type_ids)

    def features(self, input_ids: IntArray, token_type_ids: IntArray) -> Features:
        """One sequence as arguments of the model: only those that it takes."""
        columns = {
            "input_ids": input_ids.tolist(),
            "attention_mask": [1] * len(input_ids),
            "token_type_ids": token_type_ids.tolist(),
        }
        return {name: column for name, column in columns.items() if name in self.inputs}

    def collate(self, features: Sequence[Features]) -> dict[str, Tensor]:
        """A batch, padded to its longest sequence."""
        kind = DataCollatorForMultipleChoice if TASKS[self.task].kind == "choice" else DataCollatorWithPadding
        batch: dict[str, Tensor] = dict(kind(self.pieces)([dict(feature) for feature in features]))
        return batch

    def save(self, directory: Path, notes: dict[str, Any]) -> None:
        """Write tokenizer, weights and config.json, and into that, under "nagayomi", how to use them."""
        self.model.config.nagayomi = notes
        self.pieces.save_pretrained(directory)
        self.model.save_pretrained(directory)


def _cut_longer(text: Tokens, pair: Tokens, room: int) -> tuple[Tokens, Tokens]:
    """Both texts with `room` tokens at most, token by token off the longer one; of equals, off the second."""
    of_text, of_pair = len(text), len(pair)
    if of_text + of_pair > room:
        of_text = min(of_text, max(room - of_pair, (room + 1) // 2))
        of_pair = room - of_text
    return text.slice(0, of_text), pair.slice(0, of_pair)


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
        directory = locate(checkpoint)
        files = read_tokenizer(directory)
        pieces = _load_pieces(directory)
        model = _AUTO_CLASSES[kind].from_pretrained(directory, trust_remote_code=False, **options)
    except Exception as error:  # the libraries raise many types, even a bare Exception from the Rust tokenizer
        raise ConfigError(f"The checkpoint {checkpoint!r} cannot be loaded for {task}: {error}") from error
    _check_numbers(pieces, files, checkpoint)  # first: with other numbers, the sizes may differ as well
    _check_fits(model, pieces, checkpoint, max_tokens)
    notes = getattr(model.config, "nagayomi", {})
    is_own = "segmenter" in notes or not (directory / "tokenizer_config.json").is_file()
    _check_words(checkpoint, notes, None if is_own else files, normaliser, segmenter)
    if model.config.model_type == "big_bird":
        # For sequences this short, transformers switches to full attention itself, with a warning for every model.
        blocks = 5 + 2 * model.config.num_random_blocks
        if max_tokens <= blocks * model.config.block_size:
            model.base_model.set_attention_type("original_full")
    try:
        tokenizer = Tokenizer(
            files.with_template(None, is_own).pieces,
            normaliser=normaliser,
            segmenter=segmenter,
            token_types=getattr(model.config, "type_vocab_size", 1),
        )
    except (BrokenModel, CheckpointError) as error:
        raise ConfigError(f"The tokenizer of {checkpoint} cannot be used: {error}") from error
    return Encoder(model, pieces, tokenizer, segmenter != "none", task, max_tokens)


def _check_words(
    checkpoint: str,
    notes: dict[str, Any],
    files: TokenizerFiles | None,
    normaliser: NormaliserName,
    segmenter: SegmenterName,
) -> None:
    """Refuse another way to cut words than a checkpoint was trained with, and one whose dictionary is not here.

    What its notes leave open, its tokenizer's files may say: that of BertJapaneseTokenizer names MeCab or Juman++, and
    pieces of SentencePiece that begin no word were made of whole texts ("none").

    Args:
        files: None for a tokenizer that was made here, for which the notes alone speak.
    """
    known: dict[str, Any] = {}
    if files is not None and files.segmenter is not None:
        known = {"normaliser": files.normaliser, "segmenter": files.segmenter}
    known |= notes
    for key, value in (("normaliser", normaliser), ("segmenter", segmenter)):
        noted = known.get(key) or value
        if noted != value:
            raise ConfigError(f"{checkpoint} was trained with {key} = {noted}, not {value}: --set {key}={noted}.")
    try:
        build_segmenter(segmenter)
    except BrokenModel as error:
        is_open = segmenter == "jumanpp" and not known.get("segmenter")
        instead = " Here, --set segmenter=mecab-jumandic cuts nearly the same words." if is_open else ""
        raise ConfigError(f"{error}{instead}") from error


def _load_pieces(directory: Path) -> Any:
    file = directory / "tokenizer.json"
    if file.is_file() and not (directory / "tokenizer_config.json").is_file():  # a checkpoint that was trained here
        pieces = PreTrainedTokenizerFast(tokenizer_file=str(file))
        known = pieces.get_vocab()
        found = {role: [name for name in names if name in known] for role, names in _SPECIAL_TOKENS.items()}
        pieces.add_special_tokens({role: names[0] for role, names in found.items() if names})
        return pieces
    return AutoTokenizer.from_pretrained(directory, trust_remote_code=False)


def _check_numbers(pieces: Any, files: TokenizerFiles, checkpoint: str) -> None:
    """Refuse a tokenizer whose pieces have other numbers in transformers, which pads batches and saves the files."""
    if pieces.pad_token_id is None:
        raise ConfigError(f"The tokenizer of {checkpoint} has no padding token; use an encoder.")
    theirs, ours = pieces.pad_token_id, files.pieces.token_to_id(pieces.pad_token)
    if theirs != ours:
        raise ConfigError(
            f"transformers {transformers.__version__} gives {pieces.pad_token} of {checkpoint} the number {theirs}, "
            f"but its files say {ours}; LUKE needs transformers 4.57."
        )


def _check_fits(model: Any, pieces: Any, checkpoint: str, max_tokens: int) -> None:
    """Refuse settings that would otherwise fail with an index error in the middle of a run."""
    vocabulary = model.get_input_embeddings().num_embeddings
    if len(pieces) > vocabulary:
        raise ConfigError(f"The tokenizer of {checkpoint} has {len(pieces)} pieces, the model {vocabulary}.")
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

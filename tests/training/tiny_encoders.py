"""Tiny random encoders of the families that a warm start takes, with their tokenizers."""

from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import models, normalizers, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaModel,
)

VOCABULARY = 40
POSITIONS = 128  # of the sources

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.5,
}


def tiny_model(family: str) -> PreTrainedModel:
    torch.manual_seed(3)
    if family == "bert":
        shape = BertConfig(**SHAPE, max_position_embeddings=POSITIONS, type_vocab_size=2, pad_token_id=0)
        return BertModel(shape)
    # RoBERTa counts positions from behind the padding id.
    own: dict[str, Any] = {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1}
    own["layer_norm_eps"] = 1e-5
    if family == "roberta":
        return RobertaForMaskedLM(RobertaConfig(**SHAPE, **own, hidden_act="relu"))  # with a head, so with a prefix
    return XLMRobertaModel(XLMRobertaConfig(**SHAPE, **own))


SPECIAL = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "other": ["<s>", "<pad>", "</s>", "<unk>"]}
UNIGRAM = ["▁東京", "東京", "▁都", "京都", "▁", "の", "▁の", "都庁", "▁a", "ab", "人"]


def tiny_tokenizer(family: str) -> tokenizers.Tokenizer:
    special = SPECIAL.get(family, SPECIAL["other"])
    if family == "bert":
        names = [*special, "東", "##京", "東京", "##都", "京", "##庁", "都", "鬱", "한"]
        pieces = tokenizers.Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(names)}, unk_token="[UNK]"))
        pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif family == "roberta":
        names = [*special, *"abc"]
        pieces = tokenizers.Tokenizer(models.BPE({piece: n for n, piece in enumerate(names)}, [], unk_token="<unk>"))
    else:
        scored = [(piece, 0.0) for piece in special] + [(piece, -float(n + 1)) for n, piece in enumerate(UNIGRAM)]
        pieces = tokenizers.Tokenizer(models.Unigram(scored, unk_id=3, byte_fallback=False))
        pieces.normalizer = normalizers.NFKC()
        pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.add_special_tokens(special)
    return pieces


def tiny_encoder(folder: Path, family: str) -> Path:
    tiny_model(family).save_pretrained(folder)
    tiny_tokenizer(family).save(str(folder / "tokenizer.json"))
    return folder


FAMILIES = ("bert", "roberta", "xlm-roberta")

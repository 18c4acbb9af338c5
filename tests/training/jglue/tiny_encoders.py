"""Tiny random encoders of every architecture, each with a tokenizer of the kind that its Japanese models come with."""

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, processors
from transformers import (
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertJapaneseTokenizer,
    BigBirdConfig,
    DebertaV2Config,
    LukeConfig,
    ModernBertConfig,
    PreTrainedTokenizerFast,
    RobertaConfig,
    XLMRobertaConfig,
)

CHARACTERS = sorted(set("0123456789はどこにあるか。駅寺城川山町村島森橋犬猫が走いてるのをはだれ"))
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.2,
}
ARCHITECTURES = ("big_bird", "bert", "roberta", "xlm-roberta", "deberta-v2", "luke", "modernbert")
fine_tunes_luke = pytest.mark.skipif(
    transformers.__version__ >= "5", reason="MLukeTokenizer of transformers 5 leaves out the numbers of fairseq"
)
TUNED = [pytest.param(name, marks=fine_tunes_luke) if name == "luke" else name for name in ARCHITECTURES]


def save_tiny_encoder(architecture: str, folder: Path, **changes: Any) -> Path:
    """A directory of transformers with random weights."""
    folder.mkdir(parents=True)
    vocab_size, pad = _TOKENIZERS[architecture](folder)
    kinds: dict[str, tuple[Any, dict[str, Any]]] = {
        "big_bird": (BigBirdConfig, {"max_position_embeddings": 64, "block_size": 4}),
        "bert": (BertConfig, {"max_position_embeddings": 64}),
        "bert-mecab": (BertConfig, {"max_position_embeddings": 64}),
        "xlm-roberta": (XLMRobertaConfig, {"max_position_embeddings": 66, "type_vocab_size": 1}),
        "modernbert": (ModernBertConfig, {"max_position_embeddings": 64, "attn_implementation": "eager"}),
        "roberta": (RobertaConfig, {"max_position_embeddings": 66, "type_vocab_size": 1}),
        "deberta-v2": (DebertaV2Config, {"relative_attention": True, "position_biased_input": False}),
        "luke": (LukeConfig, {"max_position_embeddings": 66, "entity_vocab_size": 3, "type_vocab_size": 1}),
    }
    config_class, own = kinds[architecture]
    config = config_class(**(SHAPE | own | {"vocab_size": vocab_size, "pad_token_id": pad} | changes))
    torch.manual_seed(3)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _own(folder: Path) -> tuple[int, int]:
    """tokenizer.json alone, as it is made here."""
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    pieces = _characters(special, "[UNK]")
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    pieces.save(str(folder / "tokenizer.json"))
    return pieces.get_vocab_size(), 0


def _doubled_separator(folder: Path) -> tuple[int, int]:
    """Fast, with RoBERTa's two separators between two texts."""
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    pieces = _characters(special, "<unk>")
    pieces.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    PreTrainedTokenizerFast(
        tokenizer_object=pieces, pad_token="<pad>", unk_token="<unk>", mask_token="<mask>", **names
    ).save_pretrained(folder)
    return pieces.get_vocab_size(), 1


def _characters(special: tuple[str, ...], unknown: str) -> tokenizers.Tokenizer:
    vocabulary = {piece: index for index, piece in enumerate((*special, *CHARACTERS))}
    pieces = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(tokenizers.Regex("."), "isolated")]
    )
    pieces.add_special_tokens(list(special))
    return pieces


def _bert_japanese(folder: Path, **words: Any) -> tuple[int, int]:
    """A slow tokenizer, which has no offsets, as in Tohoku's BERT."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *CHARACTERS, *(f"##{char}" for char in CHARACTERS), "駅は", "##は1"]
    (folder / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    BertJapaneseTokenizer(str(folder / "vocab.txt"), **(words or {"word_tokenizer_type": "basic"})).save_pretrained(
        folder
    )
    return len(entries), 0


def _sentencepiece(folder: Path, name: str, *, pad: int, unknown: int, begin: int, end: int) -> Path:
    model = io.BytesIO()
    sentences = ["".join(CHARACTERS[i:] + CHARACTERS[:i]) for i in range(len(CHARACTERS))]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=80,
        hard_vocab_limit=False,
        character_coverage=1.0,
        pad_id=pad,
        unk_id=unknown,
        bos_id=begin,
        eos_id=end,
        minloglevel=2,
    )
    (folder / name).write_bytes(model.getvalue())
    return folder / name


def _deberta(folder: Path) -> tuple[int, int]:
    _sentencepiece(folder, "spm.model", pad=0, unknown=1, begin=2, end=3)
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "DebertaV2Tokenizer"})
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return len(tokenizer), tokenizer.pad_token_id


def _luke(folder: Path) -> tuple[int, int]:
    """A slow tokenizer with a vocabulary of entities next to that of pieces.

    The files are those of transformers 4, with which LUKE was trained; transformers 5 writes others.
    """
    model = _sentencepiece(folder, "sentencepiece.bpe.model", pad=-1, unknown=0, begin=1, end=2)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model)).vocab_size()
    added = {"<mask>": pieces + 1, "<ent>": pieces + 2, "<ent2>": pieces + 3}  # fairseq has one piece more, <pad>
    _write_json(folder / "added_tokens.json", added)
    _write_json(folder / "entity_vocab.json", {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 0})
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "MLukeTokenizer"})
    return pieces + 4, 1


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


_TOKENIZERS: dict[str, Callable[[Path], tuple[int, int]]] = {
    "big_bird": _own,
    "bert": _bert_japanese,
    "bert-mecab": partial(_bert_japanese, word_tokenizer_type="mecab", mecab_kwargs={"mecab_dic": "unidic_lite"}),
    "roberta": _doubled_separator,
    "xlm-roberta": _doubled_separator,
    "modernbert": _doubled_separator,
    "deberta-v2": _deberta,
    "luke": _luke,
}

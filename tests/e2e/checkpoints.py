"""Tiny random checkpoints with the files of the real ones of their names, which the READMEs export.

python -m tests.e2e.checkpoints DIR     makes DIR/bert-base-japanese-v3, DIR/modernbert-reranker, DIR/roberta-base
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import sentencepiece
from safetensors.torch import save_file
from tokenizers import processors

from app.types import Task
from export.sentencepiece_files import read_sentencepiece
from export.sharp import sharp_model

TEXT = Path(__file__).parents[2] / "app" / "static" / "samples" / "history.txt"


def make_checkpoints(directory: Path) -> None:
    """A classifier like Tohoku's BERT, a reranker like those of ModernBERT, and a question answerer like rinna's."""
    _bert(directory / "bert-base-japanese-v3")
    _modernbert(directory / "modernbert-reranker")
    _roberta(directory / "roberta-base")


def _bert(folder: Path) -> None:
    """vocab.txt, and words that MeCab cuts with unidic-lite."""
    characters = sorted(set(TEXT.read_text(encoding="utf-8")) - set(" \n"))
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    entries = [*special, *characters, *(f"##{char}" for char in characters)]
    settings = {
        "tokenizer_class": "BertJapaneseTokenizer",
        "word_tokenizer_type": "mecab",
        "subword_tokenizer_type": "wordpiece",
        "mecab_kwargs": {"mecab_dic": "unidic_lite"},
    }
    _save(folder, "bert", "classify", len(entries))
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _modernbert(folder: Path) -> None:
    """tokenizer.json, which says everything."""
    folder.mkdir(parents=True)
    (folder / "pieces.model").write_bytes(_unigram())
    pieces = read_sentencepiece(folder / "pieces.model")
    (folder / "pieces.model").unlink()
    numbers = [(token, pieces.token_to_id(token)) for token in ("<s>", "</s>")]
    pieces.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=numbers
    )
    _save(folder, "modernbert", "rerank", pieces.get_vocab_size())
    pieces.save(str(folder / "tokenizer.json"))


def _roberta(folder: Path) -> None:
    """spiece.model of a T5Tokenizer, which puts nothing before a text, though [CLS] and [SEP] are in the vocabulary."""
    _save(folder, "roberta", "qa", _pieces_of(model := _unigram(user_defined_symbols=["[CLS]", "[SEP]"])))
    (folder / "spiece.model").write_bytes(model)
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _unigram(**options: Any) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.read_text(encoding="utf-8").splitlines()),
        model_writer=model,
        vocab_size=600,
        hard_vocab_limit=False,
        character_coverage=1.0,
        add_dummy_prefix=False,
        pad_id=3,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def _pieces_of(model: bytes) -> int:
    return int(sentencepiece.SentencePieceProcessor(model_proto=model).vocab_size())


def _save(folder: Path, family: str, task: Task, vocabulary: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = sharp_model(family, task, hidden=32, vocab_size=vocabulary)
    (folder / "config.json").write_text(json.dumps(model.saved_config()), encoding="utf-8")
    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    make_checkpoints(Path(sys.argv[1]))

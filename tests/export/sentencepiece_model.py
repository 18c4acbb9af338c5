"""A unigram model that is trained in the tests, and the comparison of its ids."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece

from app.text.tokenizer import Tokenizer
from tests.export.japanese_text import SENTENCES


def sentencepiece_file(file: Path, **options: Any) -> Path:
    """A unigram model of the first sentences, of as many pieces as they give; the others have unknown characters."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES[:12] * 2),
        model_writer=model,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **({"vocab_size": 400, "character_coverage": 0.98} | options),
    )
    file.write_bytes(model.getvalue())
    return file


def check_ids(ours: Tokenizer, theirs: Callable[[str], list[int]]) -> None:
    for sentence in SENTENCES:
        assert ours.encode(sentence).ids.tolist() == theirs(sentence), sentence

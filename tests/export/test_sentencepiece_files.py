"""SentencePiece's own file becomes a tokenizer.json with the same ids."""

from pathlib import Path
from typing import Any

import pytest
import sentencepiece

from app.text.tokenizer import Tokenizer
from export.checkpoint import CheckpointError
from export.sentencepiece_files import read_sentencepiece
from tests.export.sentencepiece_model import check_ids, sentencepiece_file


@pytest.mark.parametrize("options", [{}, {"byte_fallback": True}, {"add_dummy_prefix": False, "byte_fallback": True}])
def test_pieces_are_those_of_sentencepiece(options: dict[str, Any], tmp_path: Path) -> None:
    file = sentencepiece_file(tmp_path / "spiece.model", **options, **({"vocab_size": 600} if options else {}))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(file))
    pieces = read_sentencepiece(file)

    ours = Tokenizer(pieces, normaliser="none", segmenter="none")

    check_ids(ours, processor.encode)


def test_sentencepiece_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = sentencepiece_file(tmp_path / "spiece.model", model_type="bpe")

    with pytest.raises(CheckpointError, match="model that is not unigram"):
        read_sentencepiece(file)

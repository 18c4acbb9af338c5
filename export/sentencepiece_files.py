"""Tokenizers in SentencePiece's own file, which older Japanese checkpoints have, as a tokenizer.json.

The numbers of pieces are those of the file, or moved as fairseq moves them (XLM-R, LUKE). This module knows the file,
and does not know words, weights or graphs.
"""

import unicodedata
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers

from export.checkpoint import CheckpointError

_UNIGRAM = 1
_CONTROL, _USER_DEFINED = 3, 4
_FAIRSEQ = ("<s>", "<pad>", "</s>", "<unk>")


def _joined() -> list[Any]:
    """Steps that join kana and their voiced marks (ｶﾞ), as SentencePiece's rules do and their Rust form does not."""
    halves = [chr(code) + mark for code in range(0xFF66, 0xFF9E) for mark in "ﾞﾟ"]
    forms = [(half, unicodedata.normalize("NFKC", half)) for half in halves]
    return [*(normalizers.Replace(half, full) for half, full in forms if len(full) == 1), normalizers.NFC()]


def _proto(file: Path) -> Any:
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at import
    try:
        proto.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf's own error has no public name
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    return proto


def normalises(file: Path) -> bool:
    """Whether the model has rules that normalise a text before it is cut into pieces, NFKC for example.

    Raises:
        CheckpointError: the file cannot be read.
    """
    return bool(_proto(file).normalizer_spec.precompiled_charsmap)


def read_sentencepiece(
    file: Path, *, fairseq: bool = False, lower: bool = False, of_words: bool = False
) -> tokenizers.Tokenizer:
    """The Rust form of a unigram model, without a post-processor.

    Args:
        fairseq: replace its first three pieces with four of fairseq's, and add <mask> after the last.
        lower: convert the text to lower case.
        of_words: cut every word into pieces by itself.

    Raises:
        CheckpointError: the file cannot be read, or is no unigram model.
    """
    proto = _proto(file)
    if proto.trainer_spec.model_type != _UNIGRAM:
        raise CheckpointError(
            f"{file} holds a SentencePiece model that is not unigram. Save the fast tokenizer of transformers in its "
            "folder: that writes a tokenizer.json."
        )
    own = [(piece.piece, float(piece.score)) for piece in proto.pieces]
    moved = [*((piece, 0.0) for piece in _FAIRSEQ), *own[len(_FAIRSEQ) - 1 :], ("<mask>", 0.0)]
    pieces = tokenizers.Tokenizer(
        models.Unigram(
            moved if fairseq else own,
            unk_id=_FAIRSEQ.index("<unk>") if fairseq else proto.trainer_spec.unk_id,
            byte_fallback=bool(proto.trainer_spec.byte_fallback),
        )
    )
    steps: list[Any] = [normalizers.Lowercase()] if lower else []
    if proto.normalizer_spec.precompiled_charsmap:
        rules = normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap)
        if rules.normalize_str("ｶ") == "カ":
            steps += _joined()
        steps.append(rules)
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    pieces.normalizer = normalizers.Sequence(steps)
    marks = proto.normalizer_spec.add_dummy_prefix
    mark = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always" if marks else "never")
    # A space becomes the mark of the word after it, and is lost if the words come from a segmenter and have no mark.
    cut = marks or of_words
    pieces.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), mark]) if cut else mark
    special = [piece.piece for piece in proto.pieces if piece.type == _CONTROL]
    pieces.add_special_tokens([*_FAIRSEQ, "<mask>"] if fairseq else special)
    spelled = [piece.piece for piece in proto.pieces if piece.type == _USER_DEFINED]
    pieces.add_tokens([AddedToken(piece, normalized=False) for piece in spelled])
    return pieces

"""A checkpoint's own tokenizer files: the pieces as one tokenizer.json, the segmenter, the normalizer.

The module reads tokenizer.json if there is one, and otherwise the files of BertJapaneseTokenizer
(export/bert_japanese_files.py), those of LUKE, or what transformers makes of others. A value that no file gives stays
None: the exporter asks for it. This module does not know weights or graphs.
"""

import json
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, processors

from app.errors import BrokenModel
from app.manifest import TOKENIZER_FILE
from app.text.template import template_of
from app.types import NormaliserName, SegmenterName
from export import bert_japanese_files
from export.checkpoint import CheckpointError, json_object, refuse_lfs_pointer
from export.sentencepiece_files import normalises, read_sentencepiece

BERT_JAPANESE = "BertJapaneseTokenizer"
LUKE_JAPANESE = "MLukeTokenizer"
_SENTENCEPIECE = ("spm.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "tokenizer.model")
_VOCABULARIES = (*_SENTENCEPIECE, "vocab.txt", "vocab.json")
_JAPANESE = re.compile("[ぁ-ヶ一-龠]")


@dataclass(frozen=True)
class TokenizerFiles:
    """The tokenizer of a checkpoint."""

    pieces: tokenizers.Tokenizer
    segmenter: SegmenterName | None  # None: no file says it
    normaliser: NormaliserName | None
    file: Path | None = None  # a tokenizer.json that can be used unchanged

    def with_template(self, special: tuple[str, str] | None, is_own: bool) -> "TokenizerFiles":
        """The tokenizer with special tokens around texts: the file's, or a given first token and separator.

        Args:
            is_own: the checkpoint was made by this program, and without a template it has BERT's.

        Raises:
            CheckpointError: the file has no template that can be used and no tokens are given, or it lacks the tokens.
        """
        if special is None:
            if self.pieces.post_processor is None and is_own:
                return self
            try:
                template_of(self.pieces)
            except BrokenModel as error:
                raise CheckpointError(f"{error} Give --special-tokens FIRST SEPARATOR, as in: [CLS] [SEP].") from error
            return self
        numbers = [self.pieces.token_to_id(token) for token in special]
        for token, number in zip(special, numbers, strict=True):
            if number is None:
                raise CheckpointError(f"The vocabulary of the tokenizer lacks {token}.")
        self.pieces.add_special_tokens(list(special))
        self.pieces.post_processor = _template(self.pieces, *special)
        return replace(self, file=None)

    def write(self, directory: Path) -> None:
        """Write tokenizer.json."""
        target = directory / TOKENIZER_FILE
        if self.file is None:
            self.pieces.save(str(target))
        elif self.file.resolve() != target.resolve():
            shutil.copyfile(self.file, target)


def read_tokenizer(directory: Path) -> TokenizerFiles:
    """Read the tokenizer of a transformers directory.

    Raises:
        CheckpointError: there is no tokenizer, or it does something that the service cannot do.
    """
    settings = _json_object(directory / "tokenizer_config.json")
    name = settings.get("tokenizer_class") or _json_object(directory / "config.json").get("tokenizer_class")
    is_japanese_bert = name == BERT_JAPANESE or "word_tokenizer_type" in settings
    file = directory / TOKENIZER_FILE
    if file.exists():
        refuse_lfs_pointer(file)
        try:
            pieces = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the Rust tokenizer raises nothing narrower
            raise CheckpointError(f"{file} cannot be read: {error}") from error
        if name == LUKE_JAPANESE:
            _check_luke(file, pieces)
        words = bert_japanese_files.read_words(directory, settings) if is_japanese_bert else _text_alone(pieces)
        return TokenizerFiles(pieces, *words, file)
    if is_japanese_bert:
        return _bert_japanese(directory, settings)
    pieces = _luke_japanese(directory, settings) if name == LUKE_JAPANESE else _converted(directory)
    return TokenizerFiles(pieces, *_text_alone(pieces))


def _text_alone(pieces: tokenizers.Tokenizer) -> tuple[SegmenterName | None, NormaliserName | None]:
    """No segmenter, unless the pieces show one: transformers too gives them the whole text.

    If most Japanese pieces begin a word (▁東京), the text was cut into words before they were trained, and no file
    names the segmenter: Waseda's RoBERTa and Kyoto's DeBERTa-v2 need Juman++.
    """
    japanese = [piece for piece in pieces.get_vocab() if _JAPANESE.search(piece)]
    if 2 * sum(piece.startswith("▁") for piece in japanese) > len(japanese):
        return None, None
    return "none", "none"


def _json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no file.

    Raises:
        CheckpointError: the file holds no JSON object.
    """
    return json_object(file) if file.exists() else {}


def _converted(directory: Path) -> tokenizers.Tokenizer:
    """The Rust form that transformers makes of a tokenizer of another kind."""
    import transformers

    # transformers 5 makes a tokenizer without pieces out of a directory without these files.
    if not any((directory / name).is_file() for name in _VOCABULARIES):
        raise CheckpointError(
            f"{directory} has no tokenizer: neither {TOKENIZER_FILE} nor one of {', '.join(_VOCABULARIES)}."
        )
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(directory, use_fast=True, trust_remote_code=False)
    except Exception as error:  # the libraries below raise many types
        raise CheckpointError(f"The tokenizer in {directory} cannot be loaded: {error}") from error
    backend: tokenizers.Tokenizer | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise CheckpointError(
            f"{directory} has no tokenizer.json, and its tokenizer has no Rust form that could be written."
        )
    # transformers 5 writes a normalizer of its own in place of the rules in DeBERTa's spm.model.
    for file in (directory / name for name in _SENTENCEPIECE if (directory / name).is_file()):
        if normalises(file) and not _has_rules(json.loads(backend.to_str())["normalizer"]):
            raise CheckpointError(
                f"transformers {transformers.__version__} leaves out the rules of {file} that normalise a text, so "
                "some texts would get other pieces than in training. transformers 4.57 keeps them."
            )
    return backend


def _has_rules(normalizer: Any) -> bool:
    """Whether a normalizer of a tokenizer.json is, or holds, the rules of a SentencePiece file."""
    if normalizer is None:
        return False
    return normalizer["type"] == "Precompiled" or any(map(_has_rules, normalizer.get("normalizers", ())))


def _luke_japanese(directory: Path, settings: dict[str, Any]) -> tokenizers.Tokenizer:
    """MLukeTokenizer of transformers, which has no Rust form: the pieces of XLM-R, and then the names of entities."""
    pieces = read_sentencepiece(directory / "sentencepiece.bpe.model", fairseq=True)
    _add_tokens(pieces, directory, settings)
    pieces.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(token, pieces.token_to_id(token)) for token in ("<s>", "</s>")],
    )
    return pieces


def _check_luke(file: Path, pieces: tokenizers.Tokenizer) -> None:
    """Refuse the tokenizer.json of MLukeTokenizer in transformers 5, where pieces have SentencePiece's own numbers.

    LUKE was trained with those of fairseq. The file lacks the rules that normalise text, so it cannot be renumbered.
    """
    number = pieces.token_to_id("<s>")
    if number != 0:
        raise CheckpointError(
            f"In {file}, which transformers 5 wrote, <s> has the number {number}, but LUKE was trained with 0: put the "
            "sentencepiece.bpe.model and the tokenizer_config.json of the original LUKE in its place, and if "
            "transformers 5 also read the texts for fine-tuning, fine-tune again with transformers 4.57."
        )


def _bert_japanese(directory: Path, settings: dict[str, Any]) -> TokenizerFiles:
    """BertJapaneseTokenizer of transformers, which has no Rust form."""
    pieces, segmenter, normaliser = bert_japanese_files.read_pieces(directory, settings)
    special = bert_japanese_files.special_tokens(settings)
    _add_tokens(pieces, directory, settings)
    for key in ("unk_token", "cls_token", "sep_token"):
        if pieces.token_to_id(special[key]) is None:
            raise CheckpointError(f"The vocabulary in {directory} lacks {special[key]}.")
    pieces.post_processor = _template(pieces, special["cls_token"], special["sep_token"])
    return TokenizerFiles(pieces, segmenter, normaliser)


def _template(pieces: tokenizers.Tokenizer, first: str, separator: str) -> Any:
    return processors.TemplateProcessing(
        single=f"{first} $A {separator}",
        pair=f"{first} $A {separator} $B:1 {separator}:1",
        special_tokens=[(token, pieces.token_to_id(token)) for token in (first, separator)],
    )


def _add_tokens(pieces: tokenizers.Tokenizer, directory: Path, settings: dict[str, Any]) -> None:
    """Tokens that were added to the vocabulary, under the numbers that they have in the checkpoint."""
    found: dict[str, tuple[int, bool]] = {
        content: (number, False) for content, number in _json_object(directory / "added_tokens.json").items()
    }
    for number, token in settings.get("added_tokens_decoder", {}).items():
        found[token["content"]] = (int(number), bool(token.get("special")))
    for content, (number, special) in sorted(found.items(), key=lambda item: item[1][0]):
        add = pieces.add_special_tokens if special else pieces.add_tokens
        add([AddedToken(content, special=special, normalized=False)])
        if pieces.token_to_id(content) != number:
            raise CheckpointError(
                f"The added token {content!r} in {directory} has the number {number}; there is a gap before it."
            )

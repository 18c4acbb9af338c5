"""The files of BertJapaneseTokenizer: words, then pieces of each word. Tohoku's BERT has them, and many after it.

tokenizer_config.json names the words, vocab.txt or spiece.model holds the pieces, and special tokens have BERT's names
unless the settings give others. This module does not know tokenizer.json, added tokens or templates.
"""

from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

from app.types import NormaliserName, SegmenterName
from export.checkpoint import CheckpointError
from export.sentencepiece_files import read_sentencepiece

_MECAB_DICTIONARIES: dict[str, SegmenterName] = {"unidic_lite": "mecab-unidic-lite", "ipadic": "mecab-ipadic"}
_SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def read_pieces(
    directory: Path, settings: dict[str, Any]
) -> tuple[tokenizers.Tokenizer, SegmenterName | None, NormaliserName | None]:
    """The pieces with the special tokens that they hold, the segmenter and the normalizer; None if no file says it.

    Args:
        settings: what tokenizer_config.json holds.

    Raises:
        CheckpointError: a file cannot be read, or words or pieces are cut in a way that the service does not know.
    """
    word_type = _word_type(settings)
    piece_type = settings.get("subword_tokenizer_type", "wordpiece")
    if not settings.get("do_subword_tokenize", True) or piece_type not in ("wordpiece", "character", "sentencepiece"):
        raise CheckpointError(
            f"Words of the tokenizer in {directory} are cut by {piece_type!r}; wordpiece, character and sentencepiece "
            "are known."
        )
    if settings.get("never_split"):
        raise CheckpointError(f"The tokenizer in {directory} has words in never_split; the service cuts every word.")
    segmenter, normaliser = read_words(directory, settings)
    by_character = piece_type == "character"
    if by_character:
        segmenter = "none"  # characters do not depend on the words around them
    special = special_tokens(settings)
    lower = bool(settings.get("do_lower_case", False))
    if piece_type == "sentencepiece":
        lower = lower and word_type is not None
        pieces = read_sentencepiece(directory / "spiece.model", lower=lower, of_words=segmenter != "none")
        quotes = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        pieces.normalizer = normalizers.Sequence([*quotes, pieces.normalizer])
    else:
        vocabulary = _vocabulary(directory / "vocab.txt")
        model: Any
        if by_character:
            model = models.WordLevel(vocabulary, unk_token=special["unk_token"])
        else:
            model = models.WordPiece(vocabulary, unk_token=special["unk_token"], max_input_chars_per_word=100)
        pieces = tokenizers.Tokenizer(model)
        pieces.normalizer = _lowering(word_type, by_character, lower)
        pieces.pre_tokenizer = _cutting(word_type, by_character)
    known = [token for token in special.values() if pieces.token_to_id(token) is not None]
    pieces.add_special_tokens([AddedToken(token, special=True) for token in known])
    return pieces, segmenter, normaliser


def read_words(directory: Path, settings: dict[str, Any]) -> tuple[SegmenterName | None, NormaliserName | None]:
    """The segmenter, and the normalizer of the text before it; None if no file says it.

    Raises:
        CheckpointError: the service has no such segmenter.
    """
    word_type = _word_type(settings)
    if word_type in (None, "basic"):
        return "none", "none"
    options: dict[str, Any] = settings.get(f"{word_type}_kwargs") or {}
    normaliser: NormaliserName = "nfkc" if options.get("normalize_text", True) else "none"
    if word_type == "jumanpp":
        return "jumanpp", normaliser
    if word_type != "mecab":
        raise CheckpointError(
            f"Words of the tokenizer in {directory} are cut by {word_type}; known are mecab, jumanpp and basic."
        )
    dictionary = options.get("mecab_dic")
    if dictionary is None:  # a path of another machine, or a default that has changed over the years
        return None, normaliser
    if options.get("mecab_option"):
        raise CheckpointError(
            f"MeCab has options of its own in {directory}: {options['mecab_option']}; the service sets none."
        )
    if dictionary not in _MECAB_DICTIONARIES:
        raise CheckpointError(
            f"Words of the tokenizer in {directory} are cut by MeCab with the dictionary {dictionary}; known are "
            f"{', '.join(_MECAB_DICTIONARIES)}, and jumandic with --segmenter mecab-jumandic."
        )
    return _MECAB_DICTIONARIES[dictionary], normaliser


def special_tokens(settings: dict[str, Any]) -> dict[str, str]:
    """The special tokens, by their names in tokenizer_config.json."""
    return {key: _content(settings.get(key)) or default for key, default in _SPECIAL.items()}


def _word_type(settings: dict[str, Any]) -> str | None:
    return settings.get("word_tokenizer_type", "basic") if settings.get("do_word_tokenize", True) else None


def _content(token: Any) -> str | None:
    """A special token as tokenizer_config.json writes it: a string, or an object."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def _vocabulary(file: Path) -> dict[str, int]:
    """Pieces by line number, the last of equal ones as in transformers."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from error
    return {piece: index for index, piece in enumerate(lines[:-1] if lines[-1] == "" else lines)}


def _lowering(word_type: str | None, by_character: bool, lower: bool) -> Any:
    """The steps on the text after the manifest's normalizer."""
    steps: list[Any] = []
    if word_type == "basic":
        clean = {"clean_text": True, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
        steps += [normalizers.BertNormalizer(**clean), normalizers.NFC()]
        if lower:
            steps.append(normalizers.BertNormalizer(**(clean | {"clean_text": False, "strip_accents": True})))
    if lower and word_type is not None:
        steps.append(normalizers.Lowercase())
    if by_character:
        steps.append(normalizers.NFKC())
    return normalizers.Sequence(steps) if steps else None


def _cutting(word_type: str | None, by_character: bool) -> Any:
    """Words stand between spaces; BasicTokenizer's also end at punctuation."""
    words = pre_tokenizers.BertPreTokenizer() if word_type == "basic" else pre_tokenizers.WhitespaceSplit()
    if not by_character:
        return words
    return pre_tokenizers.Sequence([words, pre_tokenizers.Split(tokenizers.Regex("."), "isolated")])

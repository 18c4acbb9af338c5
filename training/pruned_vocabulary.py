"""The vocabulary of a warm start: the pieces of a source that a corpus uses, as a smaller tokenizer.json.

This module knows pieces and texts, and does not know weights.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any

import tokenizers

from app.errors import InvalidInput
from app.text.alignment import prepare
from app.text.segmenter import build_segmenter
from app.types import NormaliserName, SegmenterName

WORD_MARK = "▁"  # SentencePiece's word-initial mark
MINIMUM_COUNT = 3
# Scripts of Japanese text: their single characters stay in the vocabulary even when the corpus lacks them.
_KEPT_SCRIPTS = (
    "CJK UNIFIED",
    "CJK COMPATIBILITY IDEOGRAPH",
    "HIRAGANA",
    "KATAKANA",
    "LATIN",
    "DIGIT",
    "GREEK",
    "CYRILLIC",
)


class WarmStartError(InvalidInput):
    """The encoder cannot become a BigBird; the message says why."""


def without_word_marks(vocabulary: list[tuple[str, float]]) -> dict[str, tuple[int, float]]:
    """Pieces of a SentencePiece vocabulary without the word-initial mark: piece -> (row, score).

    If the vocabulary has a piece with and without the mark, the row without it stays: Japanese text has no spaces, so
    training used that row. Control pieces keep their names.
    """
    found: dict[str, tuple[int, float]] = {}
    for marked in (False, True):
        for row, (piece, score) in enumerate(vocabulary):
            bare = piece.removeprefix(WORD_MARK)
            if bare and WORD_MARK not in bare and (piece != bare) is marked:
                found.setdefault(bare, (row, score))
    return found


def _is_kept_character(piece: str) -> bool:
    if len(piece) != 1:
        return False
    name = unicodedata.name(piece, "")
    return unicodedata.category(piece)[0] in "PSN" or any(script in name for script in _KEPT_SCRIPTS)


def _counted(
    pieces: tokenizers.Tokenizer, texts: Iterable[str], segmenter: SegmenterName, normaliser: NormaliserName
) -> Counter[int]:
    cutter = build_segmenter(segmenter)
    pieces.no_truncation()
    pieces.no_padding()
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update(pieces.encode(prepare(text, normaliser, cutter).joined, add_special_tokens=False).ids)
    return counts


def pruned(
    tokenizer: dict[str, Any],
    texts: Iterable[str],
    *,
    segmenter: SegmenterName,
    normaliser: NormaliserName,
    minimum_count: int = MINIMUM_COUNT,
) -> tuple[dict[str, Any], list[int]]:
    """A tokenizer.json with the pieces that the texts use, and the source's row of each.

    It keeps special tokens, pieces that occur at least `minimum_count` times, and every single character of the texts
    or of Japanese scripts. With a segmenter, pieces of SentencePiece lose the word-initial mark, and pieces never cross
    words.

    Raises:
        WarmStartError: the vocabulary is neither Unigram nor WordPiece, or has no unknown token.
    """
    model = tokenizer["model"]
    added = {token["content"]: int(token["id"]) for token in tokenizer.get("added_tokens", [])}
    cuts_words = segmenter != "none"
    if model["type"] == "Unigram":
        vocabulary = [(piece, float(score)) for piece, score in model["vocab"]]
        unknown = None if model.get("unk_id") is None else vocabulary[model["unk_id"]][0]
        rows = without_word_marks(vocabulary) if cuts_words else {p: (i, s) for i, (p, s) in enumerate(vocabulary)}
    elif model["type"] == "WordPiece":
        unknown = model["unk_token"] if model["unk_token"] in model["vocab"] else None
        rows = {piece: (row, 0.0) for piece, row in model["vocab"].items()}
    else:
        raise WarmStartError(f"A vocabulary of the type {model['type']} cannot be reduced: leave out --corpus.")
    if unknown is None:
        raise WarmStartError("The vocabulary has no unknown token, so it cannot be reduced: leave out --corpus.")
    ordered = sorted(rows.items(), key=lambda item: item[1][0])
    whole = _with_vocabulary(tokenizer, ordered, unknown, cuts_words=cuts_words)
    counts = _counted(tokenizers.Tokenizer.from_str(json.dumps(whole)), texts, segmenter, normaliser)
    kept = [
        (piece, place)
        for index, (piece, place) in enumerate(ordered)
        if piece in added
        or piece == unknown
        or counts[index] >= minimum_count
        or (counts[index] and len(piece.removeprefix("##")) == 1)
        or _is_kept_character(piece.removeprefix("##").removeprefix(WORD_MARK))
    ]
    # Added tokens follow the pieces of the vocabulary.
    outside = [index for token, index in added.items() if token not in rows]
    written = _with_vocabulary(tokenizer, kept, unknown, cuts_words=cuts_words)
    written["post_processor"] = None  # app.text.tokenizer adds the special tokens
    return written, [row for _, (row, _) in kept] + outside


def _with_vocabulary(
    tokenizer: dict[str, Any], pieces: list[tuple[str, tuple[int, float]]], unknown: str, *, cuts_words: bool
) -> dict[str, Any]:
    """The tokenizer.json with these pieces, numbered in order, and its added tokens under their new numbers."""
    places = {piece: index for index, (piece, _) in enumerate(pieces)}
    for token in tokenizer.get("added_tokens", []):
        places.setdefault(token["content"], len(places))
    changed = dict(tokenizer)
    if tokenizer["model"]["type"] == "Unigram":
        scored = [[piece, score] for piece, (_, score) in pieces]
        changed["model"] = {**tokenizer["model"], "unk_id": places[unknown], "vocab": scored}
        if cuts_words:  # the segmenter has normalised and cut the text already
            changed |= {"normalizer": None, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": None}
    else:
        vocabulary = {piece: places[piece] for piece, _ in pieces}
        changed["model"] = {**tokenizer["model"], "vocab": vocabulary}
    changed["added_tokens"] = [{**token, "id": places[token["content"]]} for token in tokenizer.get("added_tokens", [])]
    return changed

"""Text to tokens: take the reading text, normalise it, cut it into words and pieces, and never lose an offset.

Four steps (structure.py, normalizer.py, segmenter.py, and the pieces here), each with its own alignment, composed into
one (alignment.py): every token knows the half-open code-point span it covers in the text exactly as it was sent.

This module does not know models, windows or requests. Not thread-safe: MeCab and the Rust tokenizer keep state, so
every worker thread builds its own `Tokenizer`.
"""

import json
import re
from pathlib import Path

import numpy as np
import tokenizers
from tokenizers import models

from app.errors import BrokenModel
from app.text.alignment import NO_TOKENS, Tokens, pairs, place_bytes, prepare
from app.text.normalizer import normalise, refuse_surrogates
from app.text.segmenter import NoSegmenter, build_segmenter, cut_words
from app.text.structure import Structure, structure_of
from app.text.template import bert_template, template_of
from app.types import NormaliserName, SegmenterName

__all__ = ["Tokenizer", "Tokens"]

# Marks of a word's beginning: SentencePiece's, and a space in the alphabet of byte-level BPE.
_MARKS = frozenset("▁Ġ")
_BYTE = re.compile("<0x([0-9A-F]{2})>")  # a byte of an unknown character, as SentencePiece writes it


class Tokenizer:
    """Normaliser, segmenter and pieces of one model: unigram, BPE, WordPiece or characters.

    Args:
        pieces: the Rust tokenizer. Its post-processor is the template; without one, the template is BERT's.
        normaliser, segmenter: as the manifest names them; "none" twice leaves the text to `pieces`.
        token_types: the number of token types of the model.

    Raises:
        BrokenModel: a special token that the service needs is not in the vocabulary, or the template lacks one.
    """

    def __init__(
        self,
        pieces: tokenizers.Tokenizer,
        *,
        normaliser: NormaliserName,
        segmenter: SegmenterName,
        token_types: int = 2,
    ) -> None:
        self._pieces = pieces
        # The text of a user is only text: "[SEP]" in a document must never become the separator.
        self._pieces.encode_special_tokens = True
        self._pieces.no_truncation()
        self._pieces.no_padding()
        self._normaliser: NormaliserName = normaliser
        self._segmenter = build_segmenter(segmenter)
        vocabulary: dict[str, int] = pieces.get_vocab()
        if pieces.post_processor is None:
            template = bert_template(self._special("[CLS]", "<s>"), self._special("[SEP]", "</s>"))
        else:
            template = template_of(pieces)
        self.template = template if token_types > 1 else template.with_one_type()
        self.cls_id, self.sep_id = int(template.single.ids[0][0]), int(template.pair.ids[1][0])
        self._unknown_id = self._unknown()
        added = pieces.get_added_tokens_decoder()
        special_ids = [number for number, token in added.items() if token.special]
        size = max(vocabulary.values()) + 1
        self._is_special = np.zeros(size, dtype=np.bool_)
        self._is_special[[*special_ids, *np.concatenate(template.pair.ids)]] = True
        self._is_mark = np.zeros(size, dtype=np.bool_)
        self._byte = np.full(size, -1, dtype=np.int32)
        for piece, number in vocabulary.items():
            if piece in _MARKS:
                self._is_mark[number] = True
            elif piece[0:3] == "<0x" and (match := _BYTE.fullmatch(piece)):
                self._byte[number] = int(match.group(1), 16)
        self._has_bytes = bool((self._byte >= 0).any())
        self.vocab_size: int = pieces.get_vocab_size()

    @classmethod
    def load(
        cls, file: Path, *, normaliser: NormaliserName, segmenter: SegmenterName, token_types: int = 2
    ) -> "Tokenizer":
        """Read a `tokenizer.json`."""
        pieces = tokenizers.Tokenizer.from_file(str(file))
        return cls(pieces, normaliser=normaliser, segmenter=segmenter, token_types=token_types)

    def id_of(self, *names: str) -> int | None:
        """The token of the first of these names that the vocabulary has."""
        for name in names:
            if (token_id := self._pieces.token_to_id(name)) is not None:
                return int(token_id)
        return None

    def _special(self, *names: str) -> int:
        if (token_id := self.id_of(*names)) is not None:
            return token_id
        raise BrokenModel(f"The tokenizer has none of the special tokens {', '.join(names)}.")

    def _unknown(self) -> int:
        """The token for characters that are in no piece, and for special tokens that a text spells."""
        model = self._pieces.model
        names = [name for name in (getattr(model, "unk_token", None), "[UNK]", "<unk>") if name is not None]
        if isinstance(model, models.Unigram) and not any(self._pieces.token_to_id(name) is not None for name in names):
            number = json.loads(self._pieces.to_str())["model"]["unk_id"]  # the only way to read it
            if number is not None:
                return int(number)
        return self._special(*names)

    def piece(self, token_id: int) -> str:
        """A token as the vocabulary writes it."""
        return str(self._pieces.id_to_token(token_id))

    def words(self, text: str) -> list[str]:
        """The normalised words of a reading text; without a segmenter, the parts between white space."""
        normalised = normalise(structure_of(text).reading.text, self._normaliser).text
        return [normalised[start:end] for start, end in cut_words(normalised, self._segmenter or NoSegmenter())]

    def normalised_length(self, text: str) -> int:
        """Characters of a text once it is normalised, here or by the pieces' own normalizer.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        by_pieces = self._normaliser == "none" and self._pieces.normalizer is not None
        return len(normalise(text, "nfkc" if by_pieces else self._normaliser).text)

    def encode(self, text: str, structure: Structure | None = None) -> Tokens:
        """Tokenize the reading text of one text: a word that was wrapped at the edge of a page is one word.

        Args:
            structure: the structure of this text, if it is known already; otherwise it is computed.

        Raises:
            InvalidInput: the text holds a lone surrogate.
        """
        refuse_surrogates(text)
        reading = (structure or structure_of(text)).reading
        prepared = prepare(reading.text, self._normaliser, self._segmenter)
        if not prepared.joined:
            return NO_TOKENS
        # A batch of one: `encode` would keep Python's lock, and stop every other thread, for as long as it takes.
        (encoding,) = self._pieces.encode_batch([prepared.joined], add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int32)
        # The unigram model itself knows its special tokens as pieces, and a word of the text may spell one.
        ids[self._is_special[ids]] = self._unknown_id
        spans = pairs(encoding.offsets)
        if self._has_bytes:
            spans = place_bytes(spans, self._byte[ids])
        is_mark = self._is_mark[ids]
        if not _MARKS.isdisjoint(prepared.joined):  # the text spells one
            is_mark &= [prepared.joined[start : start + 1] not in _MARKS for start in spans[:, 0].tolist()]
        tokens = prepared.align(ids, spans, is_mark)
        starts, ends = reading.to_source(tokens.starts, tokens.ends)
        return Tokens(ids, starts, ends, tokens.word_starts)

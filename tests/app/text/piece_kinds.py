"""Tokenizers of every kind of pieces, made by hand or trained on a sentence: no file, no download."""

from collections.abc import Callable

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from app.text.tokenizer import Tokenizer
from app.types import SegmenterName


def handmade(*, marker: bool = True, segmenter: SegmenterName = "mecab-jumandic") -> Tokenizer:
    """A unigram tokenizer whose tokens can be worked out by hand, with or without SentencePiece's word marker."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    plain = [
        "▁",
        "▁東京",
        "東京",
        "京都",
        "平成",
        "平",
        "成",
        "は",
        "▁は",
        "が",
        "SEP",
        "CLS",
        "[",
        "]",
        "で",
        "っ",
        "うか",
    ]
    vocabulary = [(piece, 0.0) for piece in special] + [(piece, -1.0 - index / 10) for index, piece in enumerate(plain)]
    pieces = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=1))
    pieces.add_special_tokens(special)
    pieces.pre_tokenizer = (
        pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
        if marker
        else pre_tokenizers.WhitespaceSplit()
    )
    return Tokenizer(pieces, normaliser="nfkc", segmenter=segmenter)


PIECES = [
    "東京",
    "##都",
    "の",
    "人口",
    "##は",
    "約",
    "##13",
    "##50",
    "13",
    "##万",
    "は",
    "平成",
    "平",
    "##成",
    "が",
    "##゛",
    "a",
]


def word_pieces(segmenter: SegmenterName = "mecab-unidic-lite") -> Tokenizer:
    """WordPiece over words, as in Tohoku's BERT."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {piece: index for index, piece in enumerate(special + PIECES)}
    pieces = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pieces.add_special_tokens(special)
    return Tokenizer(pieces, normaliser="nfkc", segmenter=segmenter)


def characters() -> Tokenizer:
    """One token a character, as in Tohoku's char models."""
    vocabulary = {piece: index for index, piece in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"東京平成はがa"])}
    pieces = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(tokenizers.Regex("."), "isolated")]
    )
    return Tokenizer(pieces, normaliser="nfkc", segmenter="none")


SPECIAL_TAGS = ["<s>", "</s>", "<unk>", "<pad>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PLAIN = ["▁", "東京", "▁東京", "京", "東", "は", "平成", "平", "成", "a", "▁a", "。", "が", "か", " "]


def without_words(pieces: tokenizers.Tokenizer, *, mark: bool = False) -> Tokenizer:
    """The text as it is sent, with or without SentencePiece's mark of a word's beginning."""
    if mark:
        pieces.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    pieces.add_special_tokens(SPECIAL_TAGS)
    return Tokenizer(pieces, normaliser="none", segmenter="none")


def unigram_with_bytes() -> tokenizers.Tokenizer:
    """Unknown characters become bytes, as in ModernBERT-ja."""
    scored = [(piece, 0.0) for piece in SPECIAL_TAGS + BYTES] + [(piece, -1.0 - len(piece)) for piece in PLAIN]
    return tokenizers.Tokenizer(models.Unigram(scored, unk_id=2, byte_fallback=True))


def bpe_with_bytes() -> tokenizers.Tokenizer:
    vocabulary = {piece: index for index, piece in enumerate(SPECIAL_TAGS + BYTES + PLAIN)}
    merges = [("東", "京"), ("▁", "東京"), ("平", "成"), ("▁", "a")]
    return tokenizers.Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))


def byte_level() -> tokenizers.Tokenizer:
    """BPE over bytes, as in RoBERTa and ModernBERT: a piece may hold a part of a character."""
    pieces = tokenizers.Tokenizer(models.BPE(unk_token=None))
    pieces.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIAL_TAGS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pieces.train_from_iterator(["東京は日本の首都である。a b 東京は平成"] * 4, trainer)
    return pieces


def multilingual() -> tokenizers.Tokenizer:
    """A unigram model with its own NFKC and marks of words, as in XLM-R."""
    pieces = unigram_with_bytes()
    pieces.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(tokenizers.Regex(" {2,}"), " ")])
    return pieces


def basic() -> tokenizers.Tokenizer:
    """WordPiece with the normalizer and the words of BERT."""
    vocabulary = {piece: index for index, piece in enumerate([*SPECIAL_TAGS, *PLAIN, "##京", "##は", "##成"])}
    pieces = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="<unk>", max_input_chars_per_word=100))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True, handle_chinese_chars=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return pieces


WITHOUT_WORDS: dict[str, Callable[[], Tokenizer]] = {
    "unigram with bytes": lambda: without_words(unigram_with_bytes()),
    "unigram with bytes and marks": lambda: without_words(unigram_with_bytes(), mark=True),
    "unigram with its own NFKC": lambda: without_words(multilingual(), mark=True),
    "BPE with bytes": lambda: without_words(bpe_with_bytes()),
    "BPE with bytes and marks": lambda: without_words(bpe_with_bytes(), mark=True),
    "BPE over bytes": lambda: without_words(byte_level()),
}
KINDS: dict[str, Callable[[], Tokenizer]] = {
    **WITHOUT_WORDS,
    "WordPiece, unidic-lite": word_pieces,
    "WordPiece, ipadic": lambda: word_pieces("mecab-ipadic"),
    "characters": characters,
}

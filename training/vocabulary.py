"""A SentencePiece-style unigram vocabulary over the segmenter's words, trained with the Rust `tokenizers` library.

Knows nothing of models. The result is one `tokenizer.json` that `app.tokenizer.Tokenizer` and transformers both load.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from app.tokenizer import MecabSegmenter, NormaliserName, _segments, normalise

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def word_counts(texts: Iterable[str], normaliser: NormaliserName) -> Counter[str]:
    segmenter = MecabSegmenter()
    counts: Counter[str] = Counter()
    for text in texts:
        normalised = normalise(text, normaliser).text
        for start, stop in _segments(normalised):
            segment = normalised[start:stop]
            counts.update(segment[a:b] for a, b in segmenter.cut(segment))
    return counts


def train_unigram(counts: Counter[str], vocab_size: int, alphabet_coverage: float = 0.9998) -> tokenizers.Tokenizer:
    """Train on word counts. Characters outside the most frequent `alphabet_coverage` of the text become [UNK]."""
    characters: Counter[str] = Counter()
    for word, count in counts.items():
        for char in word:
            characters[char] += count
    total = sum(characters.values())
    alphabet: set[str] = {"▁"}
    covered = 0
    for char, count in characters.most_common():
        if covered / total >= alphabet_coverage:
            break
        alphabet.add(char)
        covered += count
    pieces = tokenizers.Tokenizer(models.Unigram())
    pieces.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    pieces.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL_TOKENS, unk_token="[UNK]", max_piece_length=12, show_progress=True
    )

    def repeated() -> Iterator[str]:
        # The trainer counts words itself: a word's log-count copies keep the order of frequencies at a fraction of the
        # memory of the raw text.
        for word, count in counts.items():
            if set(word) <= alphabet:
                for _ in range(count):
                    yield word

    pieces.train_from_iterator(repeated(), trainer)
    cls_id, sep_id = pieces.token_to_id("[CLS]"), pieces.token_to_id("[SEP]")
    pieces.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls_id), ("[SEP]", sep_id)]
    )
    return pieces

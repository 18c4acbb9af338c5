"""A SentencePiece unigram vocabulary over the segmenter's words, written as one `tokenizer.json`.

The `sentencepiece` library trains it; `app.text.tokenizer.Tokenizer` and transformers load the result. Pieces carry no
word-initial mark: 京都 is the same piece everywhere. This module does not know models.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import models, pre_tokenizers, processors
from tqdm import tqdm

from app.errors import InvalidInput
from app.text.normalizer import normalise
from app.text.segmenter import NoSegmenter, build_segmenter, cut_words
from app.types import NormaliserName, SegmenterName
from training.corpus import texts_under
from training.data import DataError

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def word_counts(texts: Iterable[str], normaliser: NormaliserName, segmenter: SegmenterName) -> Counter[str]:
    """The frequency of every word of the segmenter in the texts; without one, words stand between white space.

    Raises:
        BrokenModel: the segmenter is not installed.
    """
    cutter = build_segmenter(segmenter) or NoSegmenter()
    counts: Counter[str] = Counter()
    for text in texts:
        normalised = normalise(text, normaliser).text
        counts.update(normalised[start:end] for start, end in cut_words(normalised, cutter))
    return counts


def train_unigram(counts: Counter[str], vocab_size: int, character_coverage: float = 0.9998) -> tokenizers.Tokenizer:
    """Train on word counts. Characters outside the most frequent `character_coverage` of the text become [UNK].

    The unigram language model of Kudo 2018, with at most `vocab_size` pieces including the special tokens; fewer when
    the words give no more.

    Raises:
        DataError: the texts hold no word, or `vocab_size` has no room for their characters.
    """
    if not counts:
        raise DataError("The texts hold no word.")
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words.tsv"
        words.write_text("".join(f"{word}\t{count}\n" for word, count in sorted(counts.items())), encoding="utf-8")
        try:
            sentencepiece.SentencePieceTrainer.train(
                input=str(words),
                input_format="tsv",
                model_prefix=str(Path(folder) / "unigram"),
                model_type="unigram",
                vocab_size=vocab_size,
                hard_vocab_limit=False,
                character_coverage=character_coverage,
                max_sentencepiece_length=12,
                normalization_rule_name="identity",
                add_dummy_prefix=False,
                pad_id=0,
                unk_id=1,
                bos_id=2,
                eos_id=3,
                pad_piece=SPECIAL_TOKENS[0],
                unk_piece=SPECIAL_TOKENS[1],
                bos_piece=SPECIAL_TOKENS[2],
                eos_piece=SPECIAL_TOKENS[3],
                control_symbols=[SPECIAL_TOKENS[4]],
                num_threads=1,  # the result does not depend on the machine
                minloglevel=1,
            )
        except RuntimeError as error:  # the library has no other
            raise DataError(
                f"A vocabulary of {vocab_size} pieces cannot be trained on {len(counts)} words; it needs at least one "
                f"piece for each of the {len(SPECIAL_TOKENS)} special tokens and for each frequent character: {error}"
            ) from error
        model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at import
        model.ParseFromString((Path(folder) / "unigram.model").read_bytes())
    return _rust_tokenizer([(piece.piece, piece.score) for piece in model.pieces])


def _rust_tokenizer(pieces: list[tuple[str, float]]) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=1, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    ids = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return tokenizer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="PATH",
        help="texts (.txt or .jsonl files, folders of them, or a folder of data sets)",
    )
    parser.add_argument("--out", type=Path, required=True, help="tokenizer.json to write")
    parser.add_argument("--vocab-size", type=int, default=16_000)
    parser.add_argument(
        "--segmenter",
        choices=get_args(SegmenterName),
        default="mecab-jumandic",
        help="cuts the texts into words, and a model with this vocabulary must name it (default: mecab-jumandic)",
    )
    parser.add_argument("--normaliser", choices=get_args(NormaliserName), default="nfkc", help="(default: nfkc)")


def run(args: argparse.Namespace) -> int:
    """Train a vocabulary and write it.

    Raises:
        NagayomiError: the texts cannot be read, or --out is a folder.
        OSError: the folder of --out cannot be made; nothing is read then.
    """
    if args.out.is_dir():
        raise InvalidInput(f"--out {args.out} is a folder; name the file to write, such as tokenizer.json in it.")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    texts = tqdm(texts_under(args.data), desc="counting words", unit=" texts")
    tokenizer = train_unigram(word_counts(texts, args.normaliser, args.segmenter), args.vocab_size)
    args.out.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    print(json.dumps({"pieces": tokenizer.get_vocab_size(), "file": str(args.out)}))
    return 0

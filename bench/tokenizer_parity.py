"""Are the tokens of the service those of transformers, id for id, on real sentences?

    python -m bench.tokenizer_parity --data ../shared/data [--sentences 2000] [--checkpoint DIR]

Reads data/kyoto. Vocabularies are trained on other sentences of it, written as checkpoints of transformers are, and
read as an export reads them; a --checkpoint is compared as it is. Each difference is printed; the last line is JSON.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import tokenizers
import transformers
from tokenizers import models, pre_tokenizers, trainers

from app.streams import run_module
from app.text.normalizer import normalise
from app.text.segmenter import MecabSegmenter, cut_words
from app.text.tokenizer import Tokenizer
from bench.tokenization import records
from export.sentencepiece_files import read_sentencepiece
from export.tokenizer_files import TokenizerFiles, read_tokenizer

LEARNED = 4_000  # sentences that a vocabulary is trained on
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MECAB = {"word_tokenizer_type": "mecab"}
BERT_KINDS: dict[str, dict[str, Any]] = {
    "MeCab (unidic-lite), WordPiece": MECAB | {"mecab_kwargs": {"mecab_dic": "unidic_lite"}},
    "MeCab (ipadic), WordPiece": MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic"}},
    "MeCab (ipadic), WordPiece in lower case": MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic"}, "do_lower_case": True},
    "MeCab (ipadic), characters": MECAB
    | {"mecab_kwargs": {"mecab_dic": "ipadic"}, "subword_tokenizer_type": "character"},
    "BasicTokenizer, WordPiece": {},
}

Ids = Callable[[str], Sequence[int]]


def served(files: TokenizerFiles, folder: Path) -> Tokenizer:
    files.write(folder)
    if files.segmenter is None or files.normaliser is None:
        raise SystemExit("The files do not say who cuts the words: there is nothing to compare.")
    return Tokenizer.load(folder / "tokenizer.json", normaliser=files.normaliser, segmenter=files.segmenter)


def of_bert(folder: Path, texts: Sequence[str], size: int) -> Iterator[tuple[str, Tokenizer, Ids]]:
    """BertJapaneseTokenizer of every kind over one vocabulary."""
    segmenter = MecabSegmenter("unidic-lite")
    normal = [normalise(text, "nfkc").text for text in texts]
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIAL, show_progress=False)
    learner.train_from_iterator(
        (" ".join(text[start:end] for start, end in cut_words(text, segmenter)) for text in normal), trainer
    )
    pieces = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    for number, (name, settings) in enumerate(BERT_KINDS.items()):
        source = folder / str(number)
        source.mkdir()
        (source / "vocab.txt").write_text("".join(f"{piece}\n" for piece, _ in pieces), encoding="utf-8")
        document = {"tokenizer_class": "BertJapaneseTokenizer"} | settings
        (source / "tokenizer_config.json").write_text(json.dumps(document), encoding="utf-8")
        theirs = transformers.BertJapaneseTokenizer.from_pretrained(source)
        yield name, served(read_tokenizer(source), source), ids_of(theirs)


def of_sentencepiece(folder: Path, texts: Sequence[str], size: int) -> Iterator[tuple[str, Tokenizer, Ids]]:
    """Unigram pieces without words: SentencePiece itself, the fast tokenizer of XLM-R, and LUKE's of transformers 4."""
    plain, with_bytes = folder / "plain.model", folder / "bytes.model"
    own: dict[Path, dict[str, Any]] = {plain: {}, with_bytes: {"byte_fallback": True, "add_dummy_prefix": False}}
    for file, options in own.items():
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(texts),
            model_prefix=str(file.with_suffix("")),
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=0.9995,
            num_threads=1,
            minloglevel=2,
            **options,
        )
    ours = Tokenizer(read_sentencepiece(with_bytes), normaliser="none", segmenter="none")
    yield "unigram with bytes", ours, sentencepiece.SentencePieceProcessor(model_file=str(with_bytes)).encode
    (folder / "xlm").mkdir()
    shutil.copyfile(plain, folder / "xlm" / "sentencepiece.bpe.model")
    xlm = transformers.XLMRobertaTokenizerFast.from_pretrained(folder / "xlm")
    xlm.save_pretrained(folder / "xlm")
    yield "XLM-R (fast)", served(read_tokenizer(folder / "xlm"), folder), ids_of(xlm)
    if transformers.__version__ >= "5":
        return  # its MLukeTokenizer does not have the numbers that LUKE was trained with
    entities = folder / "entities.json"
    entities.write_text(json.dumps({"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 0}), encoding="utf-8")
    luke = transformers.MLukeTokenizer(str(plain), entity_vocab_file=str(entities))
    luke.save_pretrained(folder / "luke")
    yield "LUKE (slow)", served(read_tokenizer(folder / "luke"), folder), ids_of(luke)


def ids_of(tokenizer: Any) -> Ids:
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def is_covered(piece: str, covered: str) -> bool:
    """Whether the text under a token says what the piece says, once both are normalised."""
    normal = normalise(covered, "nfkc").text
    if piece in ("[UNK]", "<unk>"):
        return bool(covered)
    if piece.startswith("<0x"):
        return int(piece[3:5], 16) in normal.encode() or not covered
    plain = normalise(piece.removeprefix("##").replace("▁", ""), "nfkc").text  # SentencePiece keeps ～
    return plain.lower() in normal.lower()


def compare(name: str, ours: Tokenizer, theirs: Ids, sentences: Sequence[str]) -> dict[str, int]:
    """Sentences with the same ids, and tokens that cover what they say: the piece, once both are normalised."""
    same = tokens = exact = unknown = 0
    for sentence in sentences:
        found = ours.encode(sentence)
        expected = list(theirs(sentence))
        if found.ids.tolist() == expected:
            same += 1
        else:
            print(f"{name}: {sentence}\n  ours   {[ours.piece(number) for number in found.ids.tolist()]}")
            print(f"  theirs {[ours.piece(number) for number in expected]}")
        for number, start, end in zip(found.ids.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True):
            tokens += 1
            unknown += ours.piece(number) in ("[UNK]", "<unk>")
            if is_covered(ours.piece(number), sentence[start:end]):
                exact += 1
            else:
                print(f"{name}: {sentence}\n  {ours.piece(number)!r} stands at {sentence[start:end]!r}")
    return {"sentences": len(sentences), "same": same, "tokens": tokens, "exact": exact, "unknown": unknown}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with kyoto/")
    parser.add_argument("--sentences", type=int, default=2_000, metavar="N")
    parser.add_argument("--pieces", type=int, default=4_000, metavar="N", help="of each trained vocabulary")
    parser.add_argument("--checkpoint", type=Path, metavar="DIR", help="compare its tokenizer with AutoTokenizer's")
    arguments = parser.parse_args()
    sentences = [
        sentence
        for article in records(arguments.data / "kyoto" / "articles.jsonl.gz")
        for paragraph in article["paragraphs"]
        for sentence in paragraph.get("sentences", [])
    ]
    random.Random(0).shuffle(sentences)
    asked = sentences[: arguments.sentences]
    learned = sentences[arguments.sentences :][:LEARNED]
    results: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.checkpoint:
            theirs = transformers.AutoTokenizer.from_pretrained(arguments.checkpoint, trust_remote_code=False)
            ours = served(read_tokenizer(arguments.checkpoint), folder)
            results[arguments.checkpoint.name] = compare("checkpoint", ours, ids_of(theirs), asked)
        else:
            for kinds in (of_bert, of_sentencepiece):
                for kind, ours, other in kinds(folder, learned, arguments.pieces):
                    results[kind] = compare(kind, ours, other, asked)
                    print(f"{kind}: {results[kind]}", flush=True)
    print(json.dumps({"transformers": transformers.__version__, "kinds": results}, ensure_ascii=False))


if __name__ == "__main__":
    run_module(main)

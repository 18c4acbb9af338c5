"""Words, tokens and windows of real text: failures, quality of the words, and speed.

    python -m bench.tokenization --data ../shared/data [--tokenizer model_store/NAME/tokenizer.json]

Reads data/kyoto (every paragraph is cut into words) and data/segmentation (gold words). The last line is JSON.
"""

import argparse
import gzip
import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.streams import run_module
from app.text.normalizer import normalise
from app.text.segmenter import MecabSegmenter, cut_segments
from app.text.tokenizer import Tokenizer
from app.text.windows import question_windows
from app.types import NormaliserName

NORMALISER: NormaliserName = "nfkc"
QUESTION = "この文書の主題となっている人物が生まれたのはいつですか。"


def records(file: Path) -> list[Any]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def paragraph_lines(paragraph: dict[str, Any]) -> list[str]:
    """The sentences of a paragraph, or its heading."""
    return paragraph["sentences"] if "sentences" in paragraph else [paragraph["heading"]]


def cut(segmenter: MecabSegmenter, normalised: str) -> Iterator[tuple[int, int]]:
    for start, stop in cut_segments(normalised):
        for begin, end in segmenter.cut(normalised[start:stop]):
            yield start + begin, start + end


def cut_corpus(articles: list[Any]) -> dict[str, int]:
    """Cut every paragraph. A paragraph fails when it raises, or when a character that is not white space is lost."""
    segmenter = MecabSegmenter()
    failures = lines = characters = words = 0
    for article in tqdm(articles, desc="words", unit="article"):
        for paragraph in article["paragraphs"]:
            parts = paragraph_lines(paragraph)
            lines += len(parts)
            text = "".join(parts)
            characters += len(text)
            normalised = normalise(text, NORMALISER).text
            try:
                spans = list(cut(segmenter, normalised))
            except (UnicodeError, ValueError) as error:
                print(f"{article['title']}: {error}: {text[:60]}", file=sys.stderr)
                failures += 1
                continue
            words += len(spans)
            if "".join(normalised[a:b] for a, b in spans) != "".join(normalised.split()):
                print(f"{article['title']}: lost characters: {text[:60]}", file=sys.stderr)
                failures += 1
    return {
        "failures": failures,
        "articles": len(articles),
        "sentences_and_headings": lines,
        "characters": characters,
        "words": words,
        "joined_boundaries": segmenter.joined_boundaries,
    }


def word_f(documents: list[Any]) -> dict[str, float]:
    """F1 of word spans against the gold words, joined without separators."""
    segmenter = MecabSegmenter()
    right = gold = cut_words = 0
    for document in tqdm(documents, desc="gold words", unit="document"):
        for sentence in document["sentences"]:
            words = [normalise(word, NORMALISER).text for word in sentence]
            text = "".join(words)
            ends = [0]
            for word in words:
                ends.append(ends[-1] + len(word))
            expected = {(a, b) for a, b in itertools.pairwise(ends) if text[a:b].strip()}
            found = set(cut(segmenter, text))
            right += len(expected & found)
            gold += len(expected)
            cut_words += len(found)
    return {"precision": right / cut_words, "recall": right / gold, "f": 2 * right / (gold + cut_words)}


def speed(articles: list[Any], tokenizer_file: Path, limit: int) -> dict[str, float]:
    """Characters a second from raw text to windows, one document at a time on one thread."""
    tokenizer = Tokenizer.load(tokenizer_file, normaliser=NORMALISER, segmenter="mecab-jumandic")
    texts: list[str] = []
    total = 0
    for article in articles:
        if total >= limit:
            break
        texts.append("\n".join("".join(paragraph_lines(paragraph)) for paragraph in article["paragraphs"]))
        total += len(texts[-1])
    question = tokenizer.encode(QUESTION)
    tokens = windows = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for text in tqdm(texts, desc="tokens and windows", unit="article"):
        context = tokenizer.encode(text)
        tokens += len(context)
        windows += len(
            question_windows(
                question,
                context,
                template=tokenizer.template,
                max_tokens=4096,
                doc_stride=1024,
                overlap_token_type=2,
            )
        )
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "characters": total,
        "tokens": tokens,
        "windows": windows,
        "characters_per_token": round(total / tokens, 3),
        "characters_per_s": round(total / wall),
        "characters_per_cpu_s": round(total / cpu),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds kyoto/ and segmentation/")
    parser.add_argument("--tokenizer", type=Path, help="a tokenizer.json; default: the first one in model_store/")
    parser.add_argument("--speed-characters", type=int, default=4_000_000, help="characters to time")
    arguments = parser.parse_args()
    tokenizer_file = arguments.tokenizer or next(iter(sorted(Path("model_store").glob("*/tokenizer.json"))), None)
    if tokenizer_file is None:
        parser.error("model_store/ has no tokenizer.json; give one with --tokenizer")

    articles = records(arguments.data / "kyoto" / "articles.jsonl.gz")
    gold = records(arguments.data / "segmentation" / "wikipedia-annotated-corpus.jsonl.gz")
    result = {
        "words": word_f(gold),
        "kyoto": cut_corpus(articles),
        "speed": speed(articles, tokenizer_file, arguments.speed_characters),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    run_module(main)

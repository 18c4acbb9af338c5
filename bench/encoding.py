"""How often do app/files/encoding.py, charset-normalizer and chardet find the encoding of a Japanese text?

    python -m bench.encoding --data ../shared/data [--texts 40]

Cuts texts of several lengths out of data/everyday/dev, data/docs-ja and data/aozora, encodes each in every encoding
that Japanese files use, and counts how often a detector's answer decodes the bytes to the same text. The last line is
JSON.
"""

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import chardet
import charset_normalizer

from app.errors import FileError
from app.files.encoding import decode
from app.streams import run_module

ENCODINGS = ("utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-16-le", "utf-16-be")
LENGTHS = (10, 20, 40, 80, 300)
# ASCII text has the same bytes in most encodings, so a sample needs this share of Japanese characters.
LEAST_JAPANESE = 0.3

Detector = Callable[[bytes], str | None]


def ours(data: bytes) -> str | None:
    try:
        return decode(data).text
    except FileError:
        return None


def by_charset_normalizer(data: bytes) -> str | None:
    best = charset_normalizer.from_bytes(data).best()
    return str(best) if best is not None else None


def by_chardet(data: bytes) -> str | None:
    name = chardet.detect(data)["encoding"]
    try:
        return data.decode(name) if name else None
    except (LookupError, UnicodeError):
        return None


DETECTORS: dict[str, Detector] = {"nagayomi": ours, "charset-normalizer": by_charset_normalizer, "chardet": by_chardet}


def texts(data: Path) -> Iterator[str]:
    """Documents of several styles: letters and tables, software documentation, stories."""
    for file in sorted((data / "everyday/dev").glob("*/*.txt")):
        yield file.read_text("utf-8").split("=====\n", 2)[1]
    for name in ("docs-ja/docs-vue-ja.jsonl.gz", "aozora/works.jsonl.gz"):
        with gzip.open(data / name, "rt", encoding="utf-8") as lines:
            for _, line in zip(range(300), lines, strict=False):
                yield json.loads(line)["text"]


def cuts(
    documents: list[str], length: int, encoding: str, count: int, draw: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Texts of `length` characters that `encoding` can hold, and their bytes."""
    while count:
        document = draw.choice(documents)
        start = draw.randrange(max(1, len(document) - length))
        data = document[start : start + length].encode(encoding, "ignore")
        text = data.decode(encoding)
        if len(text) >= 0.9 * length and sum(not char.isascii() for char in text) >= LEAST_JAPANESE * length:
            yield text, data
            count -= 1


def same(found: str | None, text: str) -> bool:
    """Whether a decoding gives the text; ～ and 〜, － and − are the same cell in different tables."""
    variants = str.maketrans("〜−‖¢£¬\\~", "～－∥￠￡￢¥‾")
    return found is not None and found.translate(variants) == text.translate(variants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--texts", type=int, default=40, metavar="N", help="texts of each length and encoding")
    args = parser.parse_args()
    documents = [text for text in texts(args.data) if len(text) >= max(LENGTHS)]
    draw = random.Random(0)
    samples = {
        (length, encoding): list(cuts(documents, length, encoding, args.texts, draw))
        for length in LENGTHS
        for encoding in ENCODINGS
    }
    results = {}
    for name, detect in DETECTORS.items():
        began = time.process_time()
        right = {
            length: {
                encoding: sum(same(detect(data), text) for text, data in samples[length, encoding])
                for encoding in ENCODINGS
            }
            for length in LENGTHS
        }
        results[name] = {"right": right, "cpu_seconds": round(time.process_time() - began, 2)}
        print(f"{name}, right of {args.texts}:")
        print(f"{'characters':>12}", *(f"{encoding:>10}" for encoding in ENCODINGS))
        for length in LENGTHS:
            print(f"{length:12}", *(f"{right[length][encoding]:10}" for encoding in ENCODINGS))
    print(json.dumps({"texts": args.texts, "documents": len(documents), "detectors": results}))


if __name__ == "__main__":
    run_module(main)

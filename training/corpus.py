"""Raw text for a vocabulary and for masked language modelling: files of texts, and the corpus of all data sets.

This module does not know tokens or models.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from training.data import (
    DataError,
    files_under,
    in_held_out_split,
    kyoto_articles,
    kyoto_text,
    livedoor_articles,
    opened,
    read_jsonl,
)
from training.squad import read_squad

TEXT_SUFFIXES = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz")


def text_files(path: Path) -> list[Path]:
    """`path` itself when it is a text file, else the text files below it, in order."""
    if path.is_file() and not path.name.endswith(TEXT_SUFFIXES):
        raise DataError(f"{path} is not a text file; names of text files end in {', '.join(TEXT_SUFFIXES)}.")
    return [file for file in files_under(path, "*") if file.is_file() and file.name.endswith(TEXT_SUFFIXES)]


def read_texts(file: Path) -> Iterator[str]:
    """Texts for pre-training: JSONL of {text}, or plain text in which a blank line ends a text."""
    if file.name.endswith((".jsonl", ".jsonl.gz")):
        for where, record in read_jsonl(file):
            if not isinstance(record, dict) or not isinstance(record.get("text"), str):
                raise DataError(f'{where}: every line is an object with a text under "text".')
            yield record["text"]
        return
    lines: list[str] = []
    with opened(file) as lines_of_file:
        for line in lines_of_file:
            if line.strip():
                lines.append(line)
            elif lines:
                yield "".join(lines)
                lines = []
    if lines:
        yield "".join(lines)


def corpus_paths(data: Path) -> tuple[Path, Path, Path]:
    """The files of `corpus_texts`: JaQuAD's training split, the Kyoto articles, the livedoor archive."""
    return data / "jaquad" / "train", data / "kyoto" / "articles.jsonl.gz", data / "livedoor" / "ldcc.tar.gz"


def corpus_texts(data: Path) -> Iterator[str]:
    """Raw text for a vocabulary or for masked LM, from training splits only."""
    jaquad, kyoto, livedoor = corpus_paths(data)
    questions = read_squad(jaquad)
    yield from dedupe(question.context for question in questions)
    for question in questions:
        yield question.question
    for article in kyoto_articles(kyoto):
        if not in_held_out_split(article["id"], 10):
            yield kyoto_text(article)
    for name, _, text in livedoor_articles(livedoor):
        if not in_held_out_split(name, 10):
            yield text


def texts_under(paths: Iterable[Path]) -> Iterator[str]:
    """The texts of files, of files in folders, and of folders that hold data sets (`corpus_texts`)."""
    for path in paths:
        if path.is_dir() and (path / "jaquad").is_dir():
            yield from corpus_texts(path)
            continue
        for file in text_files(path):
            yield from read_texts(file)


def dedupe(texts: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for text in texts:
        if text not in seen:
            seen.add(text)
            yield text

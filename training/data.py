"""The examples that fine-tuning and evaluation share, their splits, and the readers of every data set but SQuAD.

This module knows file formats and splits, and does not know tokens or models. Files may be plain or gzip-compressed,
with or without a byte order mark. training/squad.py reads SQuAD, training/reading_set.py reading sets.
"""

import csv
import gzip
import hashlib
import json
import random
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, TypeGuard, TypeVar

from app.errors import InvalidInput
from app.text.characters import SURROGATE
from app.text.sentences import split_sentences

Item = TypeVar("Item")

UTF_8 = "utf-8-sig"  # a byte order mark, which Windows programs write, is no part of the content
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")  # UTF-8 has no other way to write one
SUMMARY_SENTENCES = 3  # sentences in the summaries that are scored against a reference


@dataclass(frozen=True)
class QuestionExample:
    """One question over one context. `answers` are (text, start) pairs, start in code points; empty: no answer.

    `document` names the article of the context.
    """

    id: str
    question: str
    context: str
    answers: tuple[tuple[str, int], ...]
    document: str = ""


@dataclass(frozen=True)
class LabelledText:
    """One text and its class."""

    text: str
    label: str


@dataclass(frozen=True)
class SummaryExample:
    """The sentences of one document, in order, and the summary a person wrote for it."""

    sentences: tuple[str, ...]
    summary: str


class DataError(InvalidInput):
    """A file does not have the format of its reader; the message names the file and the record."""


def read_json(path: Path) -> Any:
    with opened(path) as file:
        try:
            return json.load(file)
        except json.JSONDecodeError as error:
            raise DataError(f"{path} is not JSON: {error}.") from error


def read_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    """(where, record) of every line that is not empty; `where` is the file and the line, for errors."""
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise DataError(f"{where}: not JSON ({error}).") from error
            if _ESCAPED_SURROGATE.search(line) and SURROGATE.search(json.dumps(record, ensure_ascii=False)):
                raise DataError(f"{where}: a text holds a lone surrogate; only Unicode characters are allowed.")
            yield where, record


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file, plain or compressed. Errors while it is read become a DataError."""
    try:
        with gzip.open(path, "rt", encoding=UTF_8) if path.suffix == ".gz" else path.open(encoding=UTF_8) as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def files_under(path: Path, pattern: str) -> list[Path]:
    """`path` itself when it is a file, else the matching files below it, in order."""
    if path.is_file():
        return [path]
    files = sorted(path.rglob(pattern))
    if not files:
        raise DataError(f"{path} has no file that matches {pattern}." if path.exists() else f"{path} does not exist.")
    return files


def sample(items: Sequence[Item], limit: int | None) -> list[Item]:
    """So many of the items, in order and always the same; all of them without a limit."""
    if limit is None or limit >= len(items):
        return list(items)
    return [items[index] for index in sorted(random.Random(0).sample(range(len(items)), limit))]


def list_in(record: Any, key: str, where: str) -> list[Any]:
    """The list under a key of a record; `where` names the record in the error."""
    if not isinstance(record, dict) or not isinstance(record.get(key), list):
        raise DataError(f'{where}: there is no list under "{key}".')
    found: list[Any] = record[key]
    return found


def read_labelled(path: Path) -> list[LabelledText]:
    """JSONL of {text, label}, or CSV or TSV whose first line names these columns."""
    is_table = path.name.removesuffix(".gz").endswith((".csv", ".tsv"))
    examples = []
    for where, record in _rows(path) if is_table else read_jsonl(path):
        if not isinstance(record, dict) or not isinstance(record.get("text"), str) or record.get("label", "") == "":
            what = 'row has the columns "text" and "label"' if is_table else 'line is an object with "text" and "label"'
            raise DataError(f"{where}: every {what}.")
        if not record["text"].strip():
            raise DataError(f"{where}: the text is empty.")
        label = record["label"]
        if not isinstance(label, str | int) or isinstance(label, bool):
            raise DataError(f"{where}: the label is {json.dumps(label)}; it must be a text or a whole number.")
        examples.append(LabelledText(record["text"], str(label)))
    return examples


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """(where, record) of every row of a table, by the columns that its first line names."""
    csv.field_size_limit(2**31 - 1)  # a cell may hold a whole document
    with opened(path) as file:
        delimiter = "\t" if ".tsv" in path.suffixes else ","
        rows = csv.DictReader(file, delimiter=delimiter, restval="", strict=True)
        try:
            for record in rows:
                yield f"{path}, line {rows.line_num}", record
        except csv.Error as error:
            raise DataError(f"{path}, line {rows.reader.line_num}: not a table ({error}).") from error


def read_summaries(path: Path) -> list[SummaryExample]:
    """JSONL of {sentences or text, summary}; the service's sentence splitter cuts texts."""
    examples = []
    for where, record in read_jsonl(path):
        if not isinstance(record, dict) or not isinstance(record.get("summary"), str):
            raise DataError(f'{where}: every line is an object with "summary" and "sentences" or "text".')
        sentences, text = record.get("sentences"), record.get("text")
        if sentences is None and isinstance(text, str):
            sentences = [text[span.start : span.end] for span in split_sentences(text)]
        if not _is_strings(sentences):
            raise DataError(f'{where}: "sentences" is a list of texts, or "text" is a text.')
        examples.append(SummaryExample(tuple(sentences), record["summary"]))
    return examples


def _is_strings(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def in_held_out_split(key: str, percent: int) -> bool:
    """A split that depends only on the key of a document: the same on every machine and in every order."""
    return int.from_bytes(hashlib.sha256(key.encode(errors="surrogatepass")).digest()[:4], "big") % 100 < percent


def held_out_by_text(text: str, percent: int) -> bool:
    """The split of documents without an id: equal texts are in one part, wherever they stand in their file.

    The prefix makes it independent of the half for fitting, which the evaluation takes by the text alone.
    """
    return in_held_out_split(f"held out:{text}", percent)


def in_share(text: str, share: float) -> bool:
    """Whether a text is in the part of this size, from 0 to 1. Every part holds all smaller ones.

    It depends on the contents alone, and on other bits of their hash than `in_held_out_split`: the two are independent.
    """
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[4:8], "big") < share * 2**32


def kyoto_articles(path: Path) -> Iterator[dict[str, Any]]:
    """The Kyoto articles: JSONL of {id, category, title, paragraphs: [{heading} or {sentences}]}."""
    for where, article in read_jsonl(path):
        for paragraph in list_in(article, "paragraphs", where):
            if not isinstance(paragraph, dict) or not (
                isinstance(paragraph["heading"], str)
                if "heading" in paragraph
                else _is_strings(paragraph.get("sentences"))
            ):
                raise DataError(f'{where}: a paragraph has a "heading" or a list of texts under "sentences".')
        if not isinstance(article.get("id"), str) or not isinstance(article.get("category"), str):
            raise DataError(f'{where}: an article has an "id" and a "category".')
        yield article


def kyoto_sections(article: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Lead sentences and body paragraphs (each a list of sentences) of one Kyoto article.

    The lead is the text before the first heading, or the first paragraph when there is no heading.
    """
    lead: list[str] = []
    body: list[list[str]] = []
    seen_heading = False
    has_heading = any("heading" in paragraph for paragraph in article["paragraphs"])
    for index, paragraph in enumerate(article["paragraphs"]):
        if "heading" in paragraph:
            seen_heading = True
            continue
        in_lead = not seen_heading if has_heading else index == 0
        if in_lead:
            lead.extend(paragraph["sentences"])
        else:
            body.append(paragraph["sentences"])
    return lead, body


def kyoto_text(article: dict[str, Any]) -> str:
    """The whole article as one text, with each paragraph and heading on a separate line."""
    return "\n".join(
        paragraph["heading"] if "heading" in paragraph else "".join(paragraph["sentences"])
        for paragraph in article["paragraphs"]
    )


def held_out_summaries(reader: str, path: Path, percent: int) -> list[SummaryExample]:
    """The held-out documents of `summaries` or `kyoto-leads`; no training reads the others.

    Of a Kyoto article, the body is the text and the lead the reference summary.
    """
    if reader == "summaries":
        return [example for example in read_summaries(path) if held_out_by_text("".join(example.sentences), percent)]
    held_out = []
    for article in kyoto_articles(path):
        lead, body = kyoto_sections(article)
        sentences = tuple(sentence for paragraph in body for sentence in paragraph if sentence.strip())
        is_long = len(sentences) > 2 * SUMMARY_SENTENCES and len("".join(lead)) >= 40
        if is_long and in_held_out_split(article["id"], percent):
            held_out.append(SummaryExample(sentences, "".join(lead)))
    return held_out


# Lines that every article of a livedoor site contains, and that give its class away.
_LIVEDOOR_BOILERPLATE = re.compile(
    r"^(・|■|▼|【?関連|https?://|\[?関連記事)|livedoor|トピックニュース|MOVIE ENTER|Peachy|独女通信|ITライフハック"
    "|家電チャンネル|エスマックス|S-MAX|Sports Watch|スポーツウォッチ"
)


def livedoor_articles(archive: Path) -> Iterator[tuple[str, str, str]]:
    """(file name, class, text) of the livedoor news corpus, without header lines and boilerplate lines."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                parts = Path(member.name).parts
                if not member.isfile() or len(parts) != 3 or "LICENSE" in parts[2]:
                    continue
                file = tar.extractfile(member)
                assert file is not None  # a regular file
                lines = file.read().decode("utf-8").split("\n")[2:]
                text = "\n".join(line for line in lines if not _LIVEDOOR_BOILERPLATE.search(line)).strip()
                yield parts[2], parts[1], text
    except UnicodeDecodeError as error:
        raise DataError(f"{archive}, {member.name}: not UTF-8 ({error}).") from error
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{archive} cannot be read as a tar archive: {error}") from error

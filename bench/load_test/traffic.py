"""The requests of a load test: endpoint, text and length. This module does not know time or the sending of requests.

Texts are real Japanese: cut from a file to the exact number of characters, or whole documents of a file.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.workload import QUESTION, log_normal

SHORTEST, LONGEST = 64, 20_000  # characters of a document in the log-normal mix
TASKS = ("qa", "summarize", "classify")


@dataclass(frozen=True)
class Request:
    """One request before it is sent."""

    endpoint: str  # "/qa"
    characters: int  # of the document, without the question
    body: bytes  # JSON


class Texts(Protocol):
    """A source of documents."""

    def draw(self, rng: random.Random) -> str:
        """One document."""


class LogNormalTexts:
    """Pieces of one text, each from a random place. The text is repeated where a piece is longer than it.

    Args:
        median: characters.
        sigma: standard deviation of the logarithm of the length.
    """

    def __init__(self, text: str, median: float, sigma: float) -> None:
        text = text.strip() + "\n"
        self._period = len(text)
        self._text = text * (2 + LONGEST // len(text))
        self._median = median
        self._sigma = sigma

    def draw(self, rng: random.Random) -> str:
        length = log_normal(self._median, self._sigma, rng, shortest=SHORTEST, longest=LONGEST)
        start = rng.randrange(self._period)
        piece = self._text[start : start + length]
        return self._text[:length] if piece.isspace() else piece  # a blank text would be refused


class GivenTexts:
    """Documents of a file, each as likely as any other."""

    def __init__(self, documents: list[str]) -> None:
        self._documents = documents

    @classmethod
    def read(cls, file: Path) -> "GivenTexts":
        """Read JSONL of {"text": …}; other fields are ignored.

        Raises:
            ValueError: names the first invalid line, or says that the file holds none, or is none.
        """
        if file.is_dir():
            raise ValueError(f'{file} is a folder; name a file of lines with {{"text": "…"}}.')
        documents = []
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.isspace():
                    continue
                try:
                    text = json.loads(line)["text"]
                except (ValueError, KeyError, TypeError):
                    text = None
                if not isinstance(text, str) or not text or text.isspace():
                    raise ValueError(f'{file}, line {number}: expected {{"text": "…"}} with a text that is not blank.')
                documents.append(text)
        if not documents:
            raise ValueError(f"{file} holds no documents.")
        return cls(documents)

    def draw(self, rng: random.Random) -> str:
        return rng.choice(self._documents)


def requests(texts: Texts, weights: Mapping[str, float], seed: int) -> Iterator[Request]:
    """An endless sequence of requests, to tasks by their weights. The same seed gives the same requests at any rate."""
    rng = random.Random(seed)
    tasks = list(weights)
    while True:
        (task,) = rng.choices(tasks, [weights[task] for task in tasks])
        yield request(task, texts.draw(rng))


def request(task: str, text: str) -> Request:
    body = {"question": QUESTION, "context": text} if task == "qa" else {"text": text}
    return Request(f"/{task}", len(text), json.dumps(body, ensure_ascii=False).encode())


def parse_weights(value: str) -> dict[str, float]:
    """`qa=2,classify` as weights by task; without a number, 1.

    Raises:
        ValueError: says what is allowed.
    """
    weights: dict[str, float] = {}
    for part in value.split(","):
        task, _, number = part.strip().partition("=")
        try:
            weight = float(number or 1)
        except ValueError:
            weight = -1.0
        if task not in TASKS or task in weights or not 0 < weight < float("inf"):
            raise ValueError(
                f"{part!r}: expected {', '.join(TASKS)}, each at most once, with a weight above 0 or without one, "
                "as in qa=2,summarize=1,classify."
            )
        weights[task] = weight
    return weights

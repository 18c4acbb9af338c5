"""The valid requests of the soak, and the comparison of two answers to one of them.

The list is fixed, so that answers under load can be compared with those of a quiet server. This module knows the
service's fields, and does not know how requests are sent.
"""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.workload import SAMPLE

CHARACTERS = (64, 500, 1500, 4000, 12_000)  # of a text; the longest are read in windows
LONGEST_REQUEST = f"summarize {CHARACTERS[-1]}"  # has the longest answer too: it holds every sentence with its score
# Scores may differ this much: matrix products of another shape may add in another order.
TOLERANCE = 1e-5

_QUESTIONS = ("工事の責任者は誰でしたか", "水はどこから来ますか", "いつ完成しましたか", "何のために造られましたか")


@dataclass(frozen=True)
class Wanted:
    """A valid request, by name."""

    name: str
    path: str
    body: bytes = field(repr=False)


def catalogue() -> tuple[Wanted, ...]:
    """Every endpoint with a text of every length, and one request with several questions."""
    requests = []
    for number, characters in enumerate(CHARACTERS):
        text = text_of(characters, number)
        bodies: dict[str, dict[str, Any]] = {
            "qa": {"question": _QUESTIONS[number % len(_QUESTIONS)], "context": text, "top_k": 3},
            "summarize": {"text": text, "ratio": 0.2},
            "classify": {"text": text},
        }
        requests += [_wanted(f"{task} {characters}", task, body) for task, body in bodies.items()]
    several = {"question": list(_QUESTIONS), "context": text_of(CHARACTERS[1], 99), "null_score_diff_threshold": 0}
    return (*requests, _wanted(f"qa {CHARACTERS[1]} x {len(_QUESTIONS)}", "qa", several))


def _wanted(name: str, task: str, body: dict[str, Any]) -> Wanted:
    return Wanted(name, f"/{task}", json.dumps(body, ensure_ascii=False).encode())


def text_of(characters: int, number: int) -> str:
    """A text of this many characters. All its sentences differ, and texts of other numbers differ from it."""
    return "".join(_characters(random.Random(number)))[:characters]


def _characters(rng: random.Random) -> Iterator[str]:
    sentences = SAMPLE.read_text(encoding="utf-8").replace("\n", "").split("。")[:-1]
    length = 0
    while length < max(CHARACTERS):
        sentence = f"{rng.randrange(10_000)}番、{rng.choice(sentences)}。"
        length += len(sentence)
        yield sentence


def difference(wanted: Any, got: Any, where: str = "") -> str:
    """A sentence on where two JSON values differ; empty when they are equal. Timings are ignored."""
    if isinstance(wanted, float) and isinstance(got, float):
        same = math.isclose(wanted, got, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return "" if same else f"{where} is {got!r}, not {wanted!r}"
    if isinstance(wanted, dict) and isinstance(got, dict) and wanted.keys() == got.keys():
        pairs = [(f"{where}.{name}", wanted[name], got[name]) for name in wanted if name != "timings"]
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = [(f"{where}[{index}]", *both) for index, both in enumerate(zip(wanted, got, strict=True))]
    else:
        return "" if wanted == got and type(wanted) is type(got) else f"{where} is {got!r:.80}, not {wanted!r:.80}"
    return next((words for place, one, other in pairs if (words := difference(one, other, place))), "")

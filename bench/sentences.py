"""Are the sentences of everyday documents found, next to bunkai, ja-sentence-segmenter and rhoknp?

    python -m bench.sentences [--data ../shared/data/everyday/dev] [--splitters nagayomi bunkai ...]

Two questions. Of a gold set, whose sentences and kinds of blocks were written down by hand: precision and recall of the
boundaries between sentences. Of a reading set (`--data`): does each answer, and each passage that a summary keeps, lie
in one sentence? Half of the gold set is held out: no rule was made by looking at its faults. The documents in the
folder `unseen` were marked later, when the rules existed, in styles that the others do not have.

The other splitters are no dependency: `pip install bunkai ja-sentence-segmenter rhoknp` in an environment that can go.
The last line is JSON.
"""

import argparse
import functools
import importlib
import itertools
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from app.errors import InvalidInput
from app.streams import run_module
from app.text.blocks import BlockKind
from app.text.characters import BLANKS
from app.text.sentences import PROSE_KINDS, Sentence, split_sentences
from training.reading_set import ReadingDocument, grouped_by_style, read_reading_set

GOLD = Path("tests/app/text/data/sentences")

Span = tuple[int, int]
Splitter = Callable[[str], list[Span]]


@dataclass(frozen=True)
class GoldDocument:
    """A text with its sentences and the kind of the block that each stands in."""

    name: str
    held_out: bool
    text: str
    sentences: tuple[tuple[int, int, BlockKind], ...]


def read_gold(folder: Path) -> list[GoldDocument]:
    """Every document of a gold set; the sentences of each, as strings in their order, make up its text.

    Raises:
        ValueError: a sentence does not stand where it should, or a kind is unknown.
        InvalidInput: the folder holds no document.
    """
    documents = []
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        text: str = record["text"]
        blocks = record["blocks"]
        if unknown := {block["kind"] for block in blocks} - set(get_args(BlockKind)):
            raise ValueError(f"{file}: no kinds of blocks: {', '.join(sorted(unknown))}.")
        spans = spans_of(text, [sentence for block in blocks for sentence in block["sentences"]])
        kinds = [block["kind"] for block in blocks for _ in block["sentences"]]
        documents.append(
            GoldDocument(
                record["document"],
                record["held_out"],
                text,
                tuple((start, end, kind) for (start, end), kind in zip(spans, kinds, strict=True)),
            )
        )
    if not documents:
        raise InvalidInput(f"{folder} has no *.json.")
    return documents


def spans_of(text: str, parts: Iterable[str]) -> list[Span]:
    """Where the parts of a text stand, which are in its order; only white space and > may stand between them.

    Raises:
        ValueError: a part is not the text's next one, or something is left over.
    """
    spans = []
    position = 0
    for part in (part.strip(BLANKS) for part in parts):
        if not part:
            continue
        start = text.find(part, position)
        if start < 0 or text[position:start].strip(BLANKS + ">＞"):
            raise ValueError(f"{part!r} is not what comes next: {text[position : position + 40]!r}.")
        position = start + len(part)
        spans.append((start, position))
    if text[position:].strip(BLANKS + ">＞"):
        raise ValueError(f"These characters are in no sentence: {text[position : position + 40]!r}.")
    return spans


def _ours() -> Splitter:
    return lambda text: [(sentence.start, sentence.end) for sentence in split_sentences(text)]


def _bunkai() -> Splitter:
    bunkai = importlib.import_module("bunkai").Bunkai()
    return lambda text: spans_of(text, bunkai(text))


def _ja_sentence_segmenter() -> Splitter:
    """The pipeline of its README without `normalize`, which changes the text, so that no offsets are left."""
    newlines = importlib.import_module("ja_sentence_segmenter.split.simple_splitter")
    tails = importlib.import_module("ja_sentence_segmenter.concatenate.simple_concatenator")
    pipeline = importlib.import_module("ja_sentence_segmenter.common.pipeline")
    segmenter = pipeline.make_pipeline(
        newlines.split_newline,
        functools.partial(
            tails.concatenate_matching, former_matching_rule=r"^(?P<result>.+)(の)$", remove_former_matched=False
        ),
        functools.partial(newlines.split_punctuation, punctuations=r"。!?"),
    )
    return lambda text: spans_without_line_ends(text, segmenter(text))


def _rhoknp() -> Splitter:
    """Without #: it takes a line that begins with one for a comment and drops it."""
    senter = importlib.import_module("rhoknp").RegexSenter()

    def split(text: str) -> list[Span]:
        text = text.replace("#", "＃")
        return spans_without_line_ends(text, (one.text for one in senter.apply_to_document(text).sentences))

    return split


def spans_without_line_ends(text: str, parts: Iterable[str]) -> list[Span]:
    """As `spans_of`, for splitters that drop white space inside their sentences as well."""
    places = [place for place, char in enumerate(text) if not char.isspace()]
    squeezed = "".join(text[place] for place in places)
    return [
        (places[start], places[end - 1] + 1)
        for start, end in spans_of(squeezed, ("".join(part.split()) for part in parts))
    ]


SPLITTERS: dict[str, Callable[[], Splitter]] = {
    "nagayomi": _ours,
    "bunkai": _bunkai,
    "ja-sentence-segmenter": _ja_sentence_segmenter,
    "rhoknp": _rhoknp,
}


def boundaries(text: str, spans: Iterable[Span]) -> list[int]:
    """Where sentences end, in visible characters before, marks of quotation aside; the end of the text is left out."""
    marks = {place for match in re.finditer(r"^(?:[>＞][ \t\u3000]?)+", text, re.M) for place in range(*match.span())}
    seen = list(itertools.accumulate(char not in BLANKS and place not in marks for place, char in enumerate(text)))
    return sorted({seen[end - 1] for _, end in spans} - {0, seen[-1]})


def boundary_scores(documents: Sequence[GoldDocument], split: Splitter) -> dict[str, float]:
    """Precision and recall of boundaries, and the share of gold sentences found whole: from boundary to boundary."""
    right = found = gold = whole = sentences = 0
    for document in documents:
        expected = boundaries(document.text, [(start, end) for start, end, _ in document.sentences])
        ours = boundaries(document.text, split(document.text))
        right += len(set(expected) & set(ours))
        found += len(ours)
        gold += len(expected)
        pairs = set(itertools.pairwise((0, *expected, -1)))
        whole += len(pairs & set(itertools.pairwise((0, *ours, -1))))
        sentences += len(pairs)
    return {
        "precision": round(right / found, 4) if found else 0.0,
        "recall": round(right / gold, 4),
        "f": round(2 * right / (found + gold), 4),
        "whole": round(whole / sentences, 4),
        "boundaries": gold,
    }


def kind_scores(documents: Sequence[GoldDocument]) -> tuple[dict[str, float], Counter[tuple[str, str]]]:
    """How many sentences get the kind of their block, and is it right whether a summary may hold them; and the rest."""
    wrong: Counter[tuple[str, str]] = Counter()
    total = prose = 0
    for document in documents:
        sentences = split_sentences(document.text)
        for start, _, kind in document.sentences:
            sentence = _holding(sentences, start)
            total += 1
            prose += (kind in PROSE_KINDS) == sentence.is_prose
            if sentence.kind != kind:
                wrong[kind, sentence.kind] += 1
    return {"kind": round(1 - wrong.total() / total, 4), "prose": round(prose / total, 4), "sentences": total}, wrong


def _holding(sentences: Sequence[Sentence], place: int) -> Sentence:
    return sentences[max(bisect_right(sentences, place, key=lambda one: one.start) - 1, 0)]


def held_shares(documents: Sequence[ReadingDocument]) -> dict[str, float | None]:
    """Shares of answers and of marked passages that one sentence holds, and of these passages in prose."""
    answers = passages = held_answers = held_passages = prose = 0
    for document in documents:
        sentences = split_sentences(document.text)
        for question in document.questions:
            for answer, start in question.answers[:1]:
                answers += 1
                sentence = _holding(sentences, start)
                held_answers += sentence.start <= start and start + len(answer) <= sentence.end
        for start, end in document.passages:
            passages += 1
            sentence = _holding(sentences, start)
            held_passages += sentence.start <= start and end <= sentence.end
            prose += sentence.is_prose
    return {
        "documents": len(documents),
        "answers": answers,
        "answers_held": round(held_answers / answers, 4) if answers else None,
        "passages": passages,
        "passages_held": round(held_passages / passages, 4) if passages else None,
        "passages_prose": round(prose / passages, 4) if passages else None,
    }


def by_style(documents: Sequence[ReadingDocument]) -> dict[str, dict[str, float | None]]:
    """`held_shares` of all documents, and of each style."""
    groups = {"all": list(documents), **grouped_by_style(documents)}
    return {style: held_shares(group) for style, group in groups.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gold", type=Path, default=GOLD, metavar="DIR")
    parser.add_argument("--data", type=Path, metavar="DIR", help="a reading set")
    parser.add_argument("--splitters", nargs="+", choices=SPLITTERS, default=["nagayomi"], metavar="NAME")
    args = parser.parse_args()
    documents = read_gold(args.gold)
    unseen = args.gold / "unseen"
    parts = {
        "tuned_on": [document for document in documents if not document.held_out],
        "held_out": [document for document in documents if document.held_out],
        "unseen": read_gold(unseen) if unseen.is_dir() else [],
    }
    result: dict[str, Any] = {"splitters": {}, "kinds": {}}
    for name in args.splitters:
        split = SPLITTERS[name]()
        scores = {part: boundary_scores(some, split) for part, some in parts.items() if some}
        result["splitters"][name] = scores
        for part, one in scores.items():
            print(f"{name:>22} {part}: " + ", ".join(f"{key} {value}" for key, value in one.items()))
    for part, some in parts.items():
        if some:
            result["kinds"][part], wrong = kind_scores(some)
            print(f"kinds, {part}: {result['kinds'][part]}")
            for (kind, ours), count in wrong.most_common():
                print(f"{count:6} {kind} taken for {ours}")
    if args.data is not None:
        result["held"] = by_style(read_reading_set(args.data))
        for style, shares in result["held"].items():
            print(f"{style:>16}: " + ", ".join(f"{key} {value}" for key, value in shares.items()))
    print(json.dumps(result))


if __name__ == "__main__":
    run_module(main)

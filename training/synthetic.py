"""Questions made from plain sentences, as SQuAD JSON: practice for a model before it meets questions that people wrote.

A noun phrase, number or quotation of a sentence becomes the answer, and the sentence becomes the question: a question
word takes the answer's place, or the sentence is turned into 「…のは誰か」. Words are dropped at random, so that
matching needs more than a copy. Needs MeCab's parts of speech; knows nothing of tokens or models.

    python -m training.synthetic --data ../shared/data --out runs/synthetic.json --count 80000
"""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fugashi
import jumandic
import numpy as np
from tqdm import tqdm

from app.text.sentences import split_sentences
from training.data import dedupe, in_held_out_split, kyoto_articles, read_squad

MAX_SENTENCE = 160  # characters; longer ones are lists and tables
MAX_ANSWER = 25

_TIME = ("年", "月", "日", "世紀", "時代", "年間", "頃", "ころ", "年代", "時", "期")
_PLACE_END = (
    "市",
    "県",
    "府",
    "都",
    "町",
    "村",
    "区",
    "郡",
    "国",
    "駅",
    "島",
    "山",
    "川",
    "通",
    "寺",
    "院",
    "神社",
    "宮",
    "城",
)
_QUOTED = re.compile("「([^「」]{2,20})」|『([^『』]{2,20})』")
_BRACKETS = re.compile("（[^（）]*）|\\([^()]*\\)")
_ENDINGS = ("か。", "か？", "か?", "か", "？", "?")


@dataclass(frozen=True)
class Word:
    surface: str
    start: int  # in the sentence
    pos: str
    kind: str
    categories: str

    @property
    def end(self) -> int:
        return self.start + len(self.surface)


@dataclass(frozen=True)
class Candidate:
    """A span of a sentence that could be asked for, with what one may ask."""

    start: int
    end: int
    asked: tuple[str, ...]
    weight: float


class Questioner:
    """Makes questions from sentences."""

    def __init__(self, seed: int) -> None:
        self._tagger = fugashi.GenericTagger(f'-r /dev/null -d "{jumandic.DICDIR}"')
        self._rng = np.random.default_rng(seed)

    def ask(self, sentence: str) -> tuple[str, int, int] | None:
        """(question, start, end of the answer in the sentence), or None where nothing can be asked well."""
        words = self._words(sentence)
        candidates = [] if words is None else list(_candidates(sentence, words))
        if words is None or not candidates:
            return None
        weights = np.array([candidate.weight for candidate in candidates])
        candidate = candidates[int(self._rng.choice(len(candidates), p=weights / weights.sum()))]
        asked = candidate.asked[int(self._rng.integers(len(candidate.asked)))]
        before, after = self._clauses(sentence, words, candidate)
        question = self._in_place(before, after, asked) if self._rng.random() < 0.45 else None
        question = question or self._fronted(before, after, asked)
        if len(question) - len(asked) < 8:
            return None
        return question, candidate.start, candidate.end

    def _words(self, sentence: str) -> list[Word] | None:
        """MeCab's words with their places; None for the few sentences that it cuts inside a character."""
        try:
            nodes = self._tagger(sentence)
        except UnicodeDecodeError:
            return None
        words, at = [], 0
        for node in nodes:
            at = sentence.find(node.surface, at)
            if at < 0:
                return None
            feature = node.feature
            words.append(Word(node.surface, at, feature[0], feature[1], feature[-1]))
            at += len(node.surface)
        return words

    def _clauses(self, sentence: str, words: list[Word], candidate: Candidate) -> tuple[list[str], list[str]]:
        """The words kept before and after the answer: some clauses of the sentence, without some of their words."""
        commas = [word.end for word in words if word.surface == "、"]
        starts = [0, *(place for place in commas if place <= candidate.start)]
        ends = [*(place - 1 for place in commas if place > candidate.end), len(sentence)]
        first = starts[int(self._rng.integers(len(starts)))] if self._rng.random() < 0.5 else 0
        last = ends[int(self._rng.integers(len(ends)))] if self._rng.random() < 0.4 else len(sentence)
        hidden = [match.span() for match in _BRACKETS.finditer(sentence)]
        drop = self._rng.choice((0.0, 0.08, 0.2))
        before, after = [], []
        for word in words:
            in_brackets = any(start <= word.start < end for start, end in hidden)
            if word.start < first or word.end > last or in_brackets or word.surface in "。「」『』":
                continue
            if self._rng.random() < drop:
                continue
            if word.end <= candidate.start:
                before.append(word.surface)
            elif word.start >= candidate.end:
                after.append(word.surface)
        return before, after

    def _in_place(self, before: list[str], after: list[str], asked: str) -> str | None:
        """「…は何年に…したか」"""
        if not after:
            return None
        return "".join(before) + asked + _without_copula("".join(after)) + self._ending()

    def _fronted(self, before: list[str], after: list[str], asked: str) -> str:
        """「…したのは誰か」, 「…は誰か」"""
        rest = list(after)
        while rest and rest[0] in ("は", "が", "を", "に", "で", "へ", "と", "の", "から", "より", "も", "など", "、"):
            rest.pop(0)
        stem = _without_copula("".join(before) + "".join(rest)).rstrip("、")
        if not rest:
            link = "" if stem.endswith("は") else "は"
        else:
            link = "のは" if re.search("[いうくすつぬぶむるただ]$", stem) else "は"
        style = self._rng.random()
        if style < 0.2:
            return stem + (link or "") + "？"
        copula = "" if style < 0.6 else "です" if style < 0.85 else "でした"
        return stem + link + asked + copula + self._ending()

    def _ending(self) -> str:
        return _ENDINGS[int(self._rng.integers(len(_ENDINGS)))]


def _without_copula(text: str) -> str:
    return re.sub("(である|であった|だった|です|でした|とされる|という)?[。、]*$", "", text)


def _candidates(sentence: str, words: list[Word]) -> Iterator[Candidate]:
    for match in _QUOTED.finditer(sentence):
        yield Candidate(match.start(), match.end(), ("何", "何という", "何", "どれ"), 1.5)
        yield Candidate(match.start() + 1, match.end() - 1, ("何", "何という"), 1.0)
    at = 0
    while at < len(words):
        stop = at
        while stop < len(words) and _in_phrase(words[stop]):
            stop += 1
        if stop > at:
            phrase = words[at:stop]
            if phrase[0].pos != "接尾辞" and 2 <= phrase[-1].end - phrase[0].start <= MAX_ANSWER:
                yield _typed(phrase)
        at = max(stop, at + 1)


def _in_phrase(word: Word) -> bool:
    if word.pos == "名詞":
        return word.kind not in ("形式名詞", "副詞的名詞")
    return word.pos in ("接頭辞", "未定義語") or (word.pos == "接尾辞" and word.kind.startswith("名詞性"))


def _typed(phrase: list[Word]) -> Candidate:
    """What one asks for a phrase, from the kinds of its words."""
    start, end, last = phrase[0].start, phrase[-1].end, phrase[-1]
    kinds = {word.kind for word in phrase}
    if "数詞" in kinds and phrase[0].kind in ("数詞", "普通名詞", "時相名詞"):
        if last.surface in _TIME:
            asked = ("いつ", "何" + last.surface, "いつ") if last.surface != "時代" else ("いつ", "何時代")
            return Candidate(start, end, asked, 2.5)
        unit = last.surface if last.pos == "接尾辞" else ""
        return Candidate(start, end, ("何" + unit, "どのくらい", "いくつ", "どれくらい"), 1.5)
    if "人名" in kinds or "カテゴリ:人" in last.categories:
        return Candidate(start, end, ("誰", "誰", "だれ", "何という人物"), 2.5 if "人名" in kinds else 0.7)
    if "地名" in kinds or last.surface in _PLACE_END or "場所" in last.categories:
        return Candidate(start, end, ("どこ", "どこ", "何"), 2.0 if "地名" in kinds else 1.0)
    if "組織名" in kinds:
        return Candidate(start, end, ("どこ", "何", "何という組織"), 1.5)
    head = last.surface if last.pos == "名詞" and len(phrase) > 1 else ""
    if head:
        return Candidate(start, end, ("何", "なに", f"何という{head}", f"どの{head}"), 1.0)
    return Candidate(start, end, ("何", "何", "なに", "どのようなもの"), 1.0 if len(phrase) > 1 else 0.5)


def _paragraphs(data: Path) -> list[tuple[str, str]]:
    """(title, paragraph) of training texts: Kyoto articles (not the held-out tenth) and JaQuAD's training contexts."""
    found = []
    for article in kyoto_articles(data / "kyoto" / "articles.jsonl.gz"):
        if not in_held_out_split(article["id"], 10):
            paragraphs = ["".join(p["sentences"]) for p in article["paragraphs"] if "sentences" in p]
            # Neighbouring paragraphs are joined to contexts of about 300 characters, as people's question sets have.
            joined = ""
            for paragraph in paragraphs:
                joined = f"{joined}\n{paragraph}" if joined else paragraph
                if len(joined) >= 250:
                    found.append((article["title"], joined))
                    joined = ""
            if len(joined) >= 60:
                found.append((article["title"], joined))
    contexts = dedupe(example.context for example in read_squad(data / "jaquad" / "train"))
    found.extend(("", context) for context in contexts)
    return found


def make(paragraphs: Iterable[tuple[str, str]], count: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    """SQuAD JSON with about `count` questions over the paragraphs."""
    paragraphs = list(paragraphs)
    characters = sum(len(text) for _, text in paragraphs)
    questioner, rng = Questioner(seed), np.random.default_rng([seed, 1])
    entries: list[dict[str, Any]] = []
    number = 0
    for title, text in tqdm(paragraphs, desc="making questions", file=sys.stderr):
        qas = []
        for span in split_sentences(text):
            sentence = text[span.start : span.end]
            # A sentence is asked about as often as its length is of the whole.
            wanted = rng.poisson(count * len(sentence) / characters * 1.25)
            if not 15 <= len(sentence) <= MAX_SENTENCE:
                continue
            for _ in range(wanted):
                made = questioner.ask(sentence)
                if made is None:
                    continue
                question, start, end = made
                if title and title not in question and rng.random() < 0.3:
                    question = title + str(rng.choice(["において", "で", "について、", "の"])) + question
                answer = {"text": sentence[start:end], "answer_start": span.start + start}
                qas.append({"id": f"synthetic-{number}", "question": question, "answers": [answer]})
                number += 1
        if qas:
            entries.append({"title": f"{title} {len(entries)}", "paragraphs": [{"context": text, "qas": qas}]})
    return {"data": entries}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.synthetic", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--out", type=Path, required=True, help="SQuAD JSON to write")
    parser.add_argument("--count", type=int, default=80_000, help="about how many questions")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    document = make(_paragraphs(args.data), args.count, args.seed)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    questions = sum(len(p["qas"]) for a in document["data"] for p in a["paragraphs"])
    print(json.dumps({"questions": questions, "file": str(args.out)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The measures of the evaluation, as their data sets define them. This module knows texts, and does not know models."""

import re
from collections import Counter
from collections.abc import Sequence


def normalise_answer(text: str) -> str:
    """JSQuAD's normalisation: lower-case, strip the trailing 「。」, and replace each stretch of white space by one
    space."""
    return " ".join(text.lower().rstrip("。").split())


def character_f1(prediction: str, reference: str) -> float:
    """F1 over characters as a bag, as JSQuAD and JaQuAD define it."""
    predicted, wanted = normalise_answer(prediction), normalise_answer(reference)
    common = sum((Counter(predicted) & Counter(wanted)).values())
    return _f1(common, len(predicted), len(wanted)) if common else float(predicted == wanted)


def _f1(common: int, predicted: int, wanted: int) -> float:
    """The harmonic mean of precision and recall, from counts; 0 where nothing is common."""
    return 2 * common / (predicted + wanted) if common else 0.0


def exact_match(prediction: str, reference: str) -> float:
    return float(normalise_answer(prediction) == normalise_answer(reference))


def best_over_references(prediction: str, references: Sequence[str]) -> tuple[float, float]:
    """(exact match, F1), each the best over the references. Without references, the right answer is empty."""
    wanted = references or [""]
    return max(exact_match(prediction, r) for r in wanted), max(character_f1(prediction, r) for r in wanted)


def character_ngrams(text: str, n: int) -> Counter[str]:
    squeezed = re.sub(r"\s+", "", text)
    return Counter(squeezed[i : i + n] for i in range(len(squeezed) - n + 1))


def rouge_n(prediction: str, reference: str, n: int) -> float:
    """ROUGE-N F1 over characters (Lin 2004); Japanese has no spaces between words. n = 2 is the bigram F1."""
    return ngram_f1(character_ngrams(prediction, n), character_ngrams(reference, n))


def ngram_f1(predicted: Counter[str], wanted: Counter[str]) -> float:
    return _f1((predicted & wanted).total(), predicted.total(), wanted.total())


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L F1 over characters: longest common subsequence, by bit-parallel counting (Hyyro 2004)."""
    a, b = re.sub(r"\s+", "", prediction), re.sub(r"\s+", "", reference)
    if not a or not b:
        return 0.0
    positions: dict[str, int] = {}
    for index, char in enumerate(a):
        positions[char] = positions.get(char, 0) | (1 << index)
    full = (1 << len(a)) - 1
    row = full
    for char in b:
        matched = row & positions.get(char, 0)
        row = ((row + matched) | (row - matched)) & full
    return _f1(len(a) - row.bit_count(), len(a), len(b))


def greedy_oracle(sentences: Sequence[str], reference: str, limit: int) -> list[int]:
    """The sentences that a greedy search picks to maximise character-bigram F1, in document order.

    Nallapati et al. 2017 (SummaRuNNer), with bigram F1 in place of ROUGE. Stops early when no sentence helps.
    """
    wanted = character_ngrams(reference, 2)
    grams = [character_ngrams(sentence, 2) for sentence in sentences]
    chosen: list[int] = []
    current: Counter[str] = Counter()
    best = 0.0
    while len(chosen) < min(limit, len(sentences)):
        scored = [(ngram_f1(current + grams[i], wanted), -i) for i in range(len(sentences)) if i not in chosen]
        score, negative = max(scored)
        if score <= best:
            break
        best = score
        chosen.append(-negative)
        current = current + grams[-negative]
    return sorted(chosen)

"""From logits to results: answer spans with n-best and null score, labels, and the sentences of a summary.

Arrays in, plain values out, and deterministic: equal scores are settled by position. Knows nothing of models, batches
or requests.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.repetition import Repetition
from app.text.blocks import Block
from app.text.characters import CLOSERS, ELLIPSES, ENDERS
from app.text.sentences import Sentence
from app.text.tokenizer import IntArray, Tokens
from app.text.windows import SentenceWindow, Window

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Spans that share the probability with "no answer"; how many are asked for changes no score.
N_BEST = 20

# A sentence of whose bigrams a summary holds this share adds nothing to it: it says the same in other punctuation.
NOTHING_NEW = 0.9

_CLOSING = tuple(ENDERS + ELLIPSES + CLOSERS)


@dataclass(frozen=True)
class Span:
    """An answer: code points of the context, half-open, and its probability."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Answers:
    """The best spans for one question, `N_BEST` at most, best first, and what speaks for no answer at all."""

    spans: list[Span]
    null_score: float  # probability
    score_diff: float  # null logit less the best span's logit, as in the SQuAD scripts


@dataclass(frozen=True)
class _Candidate:
    first: int  # tokens of the document, inclusive
    last: int
    logit: float

    def overlaps(self, other: "_Candidate") -> bool:
        return self.first <= other.last and other.first <= self.last


def decode_answers(
    windows: Sequence[Window],
    start_logits: Sequence[FloatArray],
    end_logits: Sequence[FloatArray],
    tokens: Tokens,
    blocks: IntArray,
    *,
    max_answer_tokens: int,
    temperature: float,
) -> Answers:
    """The n-best answers over all windows of one question.

    A span may start only at a token that its window owns (max context), so no span is counted twice; no answer reaches
    from one block of the text into another; no two answers overlap. Scores are a softmax over the logits of the
    `N_BEST` best spans and the null span, [CLS] to [CLS], of whichever window finds it least likely.

    Args:
        blocks: the first token of each block of the text, see `block_starts`.
    """
    null_logit = min(float(start[0] + end[0]) for start, end in zip(start_logits, end_logits, strict=True))
    visible = tokens.ends > tokens.starts
    reach = np.full(len(tokens), len(tokens))
    if len(blocks):
        bounds = np.append(blocks, len(tokens))
        reach = bounds[np.searchsorted(bounds, np.arange(len(tokens)), side="right")]
    candidates = [
        candidate
        for window, start, end in zip(windows, start_logits, end_logits, strict=True)
        for candidate in _window_candidates(window, start, end, visible, reach, max_answer_tokens)
    ]
    best = candidates
    if len(windows) > 1:  # those of one window are in order, and never overlap
        candidates.sort(key=lambda candidate: (-candidate.logit, candidate.first, candidate.last))
        best = []
        for candidate in candidates:
            if not any(candidate.overlaps(better) for better in best):
                best.append(candidate)
                if len(best) == N_BEST:
                    break
    # A softmax over so few takes numpy longer.
    logits = [null_logit, *(candidate.logit for candidate in best)]
    greatest = max(logits)
    shares = [math.exp((logit - greatest) / temperature) for logit in logits]
    total = sum(shares)
    spans = [
        Span(int(tokens.starts[candidate.first]), int(tokens.ends[candidate.last]), share / total)
        for candidate, share in zip(best, shares[1:], strict=True)
    ]
    return Answers(spans, shares[0] / total, null_logit - best[0].logit if best else 0.0)


def _window_candidates(
    window: Window,
    start_logits: FloatArray,
    end_logits: FloatArray,
    visible: BoolArray,
    reach: IntArray,  # for every token of the document, the first one that a span from it must not hold
    max_answer_tokens: int,
) -> list[_Candidate]:
    """The best spans of one window that do not overlap, best first."""
    shown = slice(window.context_start, window.context_start + window.context_length)
    own = slice(window.first_token, window.first_token + window.context_length)
    visible = visible[own]
    width = min(max_answer_tokens, window.context_length)
    if width == 0:
        return []
    count = window.context_length
    starts = np.where(window.owned & visible, start_logits[shown], -np.inf)
    ends = np.full(count + width - 1, -np.inf, dtype=np.float32)
    ends[:count] = np.where(visible, end_logits[shown], -np.inf)
    shifted = np.ndarray((width, count), np.float32, ends, strides=(4, 4))  # [j, i]: ends[i + j]
    # best_within[j, i]: of the spans of at most j tokens that start at context token i.
    best_within = np.full((width + 1, count), -np.inf, dtype=np.float32)
    scores = best_within[1:]  # first of the spans of exactly j + 1 tokens
    np.add(starts, shifted, out=scores)
    np.maximum.accumulate(scores, axis=0, out=scores)
    flat = best_within.reshape(-1)  # ((width + 1) * count,)
    places = np.arange(count)
    # best[i]: of the spans from token i that reach into no other block and, later, into no better span.
    best = best_within[np.minimum(reach[own] - window.first_token - places, width), places]
    candidates: list[_Candidate] = []
    while len(candidates) < N_BEST:
        start = int(best.argmax())
        score = best[start]
        if score == -np.inf:
            break
        length = int(best_within[:, start].searchsorted(score))  # the shortest of equals
        first = window.first_token + start
        candidates.append(_Candidate(first, first + length - 1, float(score)))
        # Take out every span that overlaps: those that start inside it, and those before it that reach into it.
        best[start : start + length] = -np.inf
        if start:
            before = max(start - width + 1, 0)
            not_reaching = flat[(start - before) * count + before : start : 1 - count]  # best_within[start - i, i]
            np.minimum(best[before:start], not_reaching, out=best[before:start])
    return candidates


def block_starts(blocks: Sequence[Block], tokens: Tokens) -> IntArray:
    """The first token of each block but the first."""
    return np.searchsorted(tokens.starts, [block.start for block in blocks[1:]]).astype(np.int32)


def distinct_answers(text: str, spans: Sequence[Span]) -> list[Span]:
    """One span for each answer, most probable first: where a text gives it more than once, the best of these spans.

    Its score is the sum of theirs, as in the question answering pipeline of transformers: how probable the answer is,
    wherever it is read. Spans are trimmed of white space; what is empty then is no answer.
    """
    best: dict[str, Span] = {}
    for span in (trim_span(text, span) for span in spans):
        if span.start < span.end:
            answer = text[span.start : span.end]
            known = best.get(answer)
            best[answer] = span if known is None else replace(known, score=known.score + span.score)
    return sorted(best.values(), key=lambda span: -span.score)


def trim_span(text: str, span: Span) -> Span:
    """The span without white space at its ends; empty when nothing else is in it."""
    passage = text[span.start : span.end]
    start = span.start + len(passage) - len(passage.lstrip())
    return Span(start, start + len(passage.strip()), span.score)


def decode_labels(
    logits: Sequence[FloatArray], weights: Sequence[int], *, temperature: float, top_k: int | None
) -> list[tuple[int, float]]:
    """Label indices and probabilities, most probable first: the mean over windows, each weighted by its tokens.

    The temperature acts on that mean, p^(1/T) scaled to a sum of 1. For one window that is the softmax of logits / T
    (Guo et al. 2017); for several it is still what the served probabilities say, so that it can be fitted on them.
    """
    probabilities = _softmax(np.stack(logits).astype(np.float64))  # (windows, labels)
    mean = np.average(probabilities, axis=0, weights=np.maximum(np.asarray(weights), 1))
    if temperature != 1:
        mean = _softmax(np.log(np.maximum(mean, np.finfo(np.float64).tiny)) / temperature)
    order = np.argsort(-mean, kind="stable")[:top_k]
    return [(int(index), float(mean[index])) for index in order]


def sentence_probabilities(
    windows: Sequence[SentenceWindow], logits: Sequence[FloatArray], *, temperature: float
) -> npt.NDArray[np.float64]:
    """How probable it is that a summary keeps each sentence: the sigmoid of the mean logit of its tokens. (sentences,)

    The mean of logits that are linear in the states is the logit of the mean state, as encoders of sentences pool them.
    """
    means = [
        np.add.reduceat(of.astype(np.float64), window.starts) / np.diff(window.starts, append=len(of))
        for window, of in zip(windows, logits, strict=True)
    ]
    return np.asarray(1 / (1 + np.exp(-np.clip(np.concatenate(means) / temperature, -500, 500))))


def decode_summary(
    text: str,
    sentences: Sequence[Sentence],
    probabilities: npt.NDArray[np.float64],
    *,
    max_sentences: int | None = None,
    ratio: float | None = None,
    max_characters: int | None = None,
    diversity: float = 0.0,
) -> list[int]:
    """Indices of the selected sentences, in document order. One length is given; each is a limit.

    Sentences are taken greedily by (1 - diversity) * probability - diversity * share of their bigrams that the selected
    ones hold (maximal marginal relevance, Carbonell and Goldstein 1998): one after another, and once there are
    hundreds, a hundredth as many at a time, so that a long text is not gone through for every one of its sentences. A
    sentence that adds next to nothing to the selected ones is never taken, so a summary may be shorter than its limit.
    With `max_characters`, sentences that no longer fit are passed over; `join_summary` of the result keeps within it.

    Args:
        probabilities: of `sentence_probabilities`.

    Raises:
        InvalidInput: not even the shortest sentence fits in `max_characters`.
    """
    count = len(sentences)
    limit = count
    if max_sentences is not None:
        limit = max_sentences
    elif ratio is not None:
        limit = int(np.ceil(round(ratio * count, 9)))
    lengths = np.array([sentence.end - sentence.start for sentence in sentences])
    room = np.inf
    if max_characters is not None:
        room = max_characters + 1  # every sentence is paid for with a separator, the last one has none
        if lengths.min() > max_characters:
            raise InvalidInput(
                f"No sentence fits in max_characters = {max_characters}: the shortest has {lengths.min()} characters, "
                "and sentences are never cut."
            )
    repetition = Repetition(text, sentences)
    available = np.ones(count, dtype=np.bool_)
    selected: list[int] = []
    while len(selected) < limit:
        repeated = repetition.shares()
        available &= (lengths + 1 <= room) & (repeated < NOTHING_NEW)
        if not available.any():
            break
        value = (1 - diversity) * probabilities - diversity * repeated
        at_once = min(max(len(selected) // 100, 1), limit - len(selected))
        for index in _best(np.where(available, value, -np.inf), at_once):
            if available[index] and lengths[index] + 1 <= room and repetition.shares_of(index) < NOTHING_NEW:
                selected.append(index)
                available[index] = False
                room -= lengths[index] + 1
                repetition.take(index)
    return sorted(selected)


def _best(values: npt.NDArray[np.float64], count: int) -> list[int]:
    """Where the greatest values stand, greatest first; of equals, the first."""
    if count == 1:
        return [int(values.argmax())]
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return [int(index) for index in candidates[np.argsort(-values[candidates], kind="stable")[:count]]]


def join_summary(sentences: Sequence[str]) -> str:
    """Sentences as one text: a line break follows what does not end like a sentence, such as a heading."""
    parts: list[str] = []
    for sentence in sentences:
        if parts and not parts[-1].endswith(_CLOSING):
            parts.append("\n")
        parts.append(sentence)
    return "".join(parts)


def utf16_offsets(text: str) -> IntArray:
    """For every code-point offset of `text`, its end included, the same place counted in UTF-16 units."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return np.concatenate([[0], np.cumsum(1 + (codes > 0xFFFF))]).astype(np.int32)


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), dtype=np.float64)

"""Extractive summaries: whole sentences in windows, and the choice of sentences that hold most of a probable summary.

The model says for every character how probable it is that a summary holds the bigram that begins there. A choice of
sentences is worth the character-bigram F1 that it can then expect against the unknown summary: what returns in a second
sentence counts once, and every further bigram costs precision. The choice is greedy, as the oracle of Nallapati et al.
2017 is for a known summary. Deterministic: equal scores are settled by position. Knows nothing of queues, engines or
HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.errors import InvalidInput
from app.manifest import Manifest
from app.packing import Document
from app.schemas import DEFAULT_SENTENCES, SentenceResult, SummarizeRequest, SummarizeResponse
from app.settings import Settings
from app.tasks.base import Budget, TaskSpec, check_characters, encode, offsets_of
from app.text.characters import code_points
from app.text.sentences import Sentence, split_sentences
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import SentenceWindow, sentence_windows
from app.types import DoubleArray, FloatArray, Outputs

# Bigrams of the unseen summary at most. It is taken to hold as many as the probabilities add up to; over a long text
# these add up to more than summaries have, and the longest sentences would be favoured.
MOST_BIGRAMS = 100

_CLOSING = tuple("。｡．！？!?…‥」』）)】］]》〉”〟")


@dataclass(frozen=True)
class Summary:
    """A summary and all sentences of its text."""

    text: str
    sentences: list[SentenceResult]


class PreparedSummary:
    """The sentences of one text, whole in their windows."""

    def __init__(self, tokenizer: Tokenizer, manifest: Manifest, request: SummarizeRequest, settings: Settings) -> None:
        check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._temperature = manifest.temperature
        sentences = split_sentences(request.text)
        if not sentences:
            raise InvalidInput("`text` holds only invisible characters; it must hold text.")
        # Headings and heads of tables are read as well, for what stands below them, but no summary holds them; page
        # furniture is not read. A text of nothing else is summarised by what there is.
        self._sentences = [sentence for sentence in sentences if sentence.is_prose] or sentences
        read = [sentence for sentence in sentences if sentence.kind != "furniture"] or sentences
        self._tokens = tokens_of_sentences(encode(tokenizer, request.text, "text"), read)
        self._windows: list[SentenceWindow] = sentence_windows(
            self._tokens,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            max_tokens=manifest.max_tokens,
            frequency_token_types=manifest.frequency_token_types,
        )
        self.documents = [Document(window.input_ids, window.token_type_ids) for window in self._windows]
        Budget(manifest, settings).spend(self.documents)

    def decode(self, outputs: Sequence[Outputs]) -> Summary:
        request, sentences = self._request, self._sentences
        logits = [output["logits"].reshape(-1) for output in outputs]  # (tokens, 1) -> (tokens,)
        kept = kept_probabilities(self._windows, logits, self._tokens, len(request.text), temperature=self._temperature)
        no_length = request.max_sentences is None and request.ratio is None and request.max_characters is None
        selected, scores = decode_summary(
            request.text,
            sentences,
            kept,
            max_sentences=DEFAULT_SENTENCES if no_length else request.max_sentences,
            ratio=request.ratio,
            max_characters=request.max_characters,
            diversity=request.diversity,
        )
        offsets = offsets_of(request.text, request.offset_unit)
        chosen = set(selected)
        results = [
            SentenceResult(
                text=request.text[sentence.start : sentence.end],
                start=offsets[sentence.start],
                end=offsets[sentence.end],
                index=index,
                score=score,
                selected=index in chosen,
            )
            for index, (sentence, score) in enumerate(zip(sentences, scores.tolist(), strict=True))
        ]
        return Summary(join_summary([results[index].text for index in selected]), results)


def tokens_of_sentences(text: Tokens, sentences: Sequence[Sentence]) -> list[Tokens]:
    """The tokens of each sentence of a text that was tokenised as a whole: those that start in it."""
    firsts = np.searchsorted(text.starts, [sentence.start for sentence in sentences])
    lasts = np.searchsorted(text.starts, [sentence.end for sentence in sentences])
    return [text.slice(first, last) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]


def kept_probabilities(
    windows: Sequence[SentenceWindow],
    logits: Sequence[FloatArray],
    tokens: Sequence[Tokens],
    characters: int,
    *,
    temperature: float,
) -> npt.NDArray[np.float64]:
    """For each code point of a text, how probable it is that a summary keeps the token over it; 0 where none is.

    Args:
        tokens: of each sentence of the text.
        characters: code points of the text.
    """
    of_tokens = np.zeros(sum(map(len, tokens)))
    for window, window_logits in zip(windows, logits, strict=True):
        scaled = window_logits[window.token_positions].astype(np.float64) / temperature
        of_tokens[window.token_indices] = 1 / (1 + np.exp(-np.clip(scaled, -500, 500)))
    starts = np.concatenate([one.starts for one in tokens])
    lengths = np.concatenate([one.ends for one in tokens]) - starts
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = np.zeros(characters)
    np.maximum.at(kept, np.repeat(starts, lengths) + within, np.repeat(of_tokens, lengths))
    return kept


def decode_summary(
    text: str,
    sentences: Sequence[Sentence],
    kept: npt.NDArray[np.float64],
    *,
    max_sentences: int | None = None,
    ratio: float | None = None,
    max_characters: int | None = None,
    diversity: float = 0.0,
) -> tuple[list[int], npt.NDArray[np.float64]]:
    """(indices of the selected sentences, in document order; the score of every sentence). One length is given.

    The score is the character-bigram F1 that a summary of this one sentence can expect, see app/coverage.py. Sentences
    are taken greedily by (1 - diversity) * expected F1 with the sentence - diversity * share of its bigrams that the
    selected ones hold: one after another, and once there are hundreds, a hundredth as many at a time, so that a long
    text is not gone through for every one of its sentences. With `max_characters`, sentences that no longer fit are
    passed over; `join_summary` of the result keeps within it.

    Args:
        kept: for each code point, the probability of `kept_probabilities`.

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
    coverage = Coverage(text, sentences, kept)
    scores = np.minimum(coverage.expected_f1(), 1.0)
    if limit >= count and max_characters is None:  # nothing to choose
        return list(range(count)), scores
    available = np.ones(count, dtype=np.bool_)
    selected: list[int] = []
    while len(selected) < limit:
        available &= lengths + 1 <= room
        if not available.any():
            break
        value = coverage.expected_f1()
        if diversity > 0:
            value = (1 - diversity) * value - diversity * coverage.repeated()
        at_once = min(max(len(selected) // 100, 1), limit - len(selected))
        for index in _best(np.where(available, value, -np.inf), at_once):
            if available[index] and lengths[index] + 1 <= room:
                selected.append(index)
                available[index] = False
                room -= lengths[index] + 1
                coverage.take(index)
    return sorted(selected), scores


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


class Coverage:
    """The sentences of one text, of which a summary takes one after the other."""

    def __init__(self, text: str, sentences: Sequence[Sentence], kept: npt.NDArray[np.floating]) -> None:
        """Nothing is taken yet.

        Args:
            kept: for every code point of `text`, the probability that a summary holds the bigram that begins there.
        """
        codes = code_points(text).astype(np.int64)
        pairs = codes[:-1] << 21 | codes[1:]
        self._lengths = np.array([sentence.end - sentence.start - 1 for sentence in sentences])  # bigrams
        places = np.concatenate([np.arange(sentence.start, sentence.end - 1) for sentence in sentences])
        kinds, kind = np.unique(pairs[places], return_inverse=True)
        worth = np.zeros(len(kinds))
        np.maximum.at(worth, kind, kept[places])
        # Each (sentence, bigram) once, in the order of sentences and in that of bigrams.
        owner = np.repeat(np.arange(len(sentences)), self._lengths)
        held = np.unique(owner * max(len(kinds), 1) + kind)
        owner, self._held = np.divmod(held, max(len(kinds), 1))
        self._first = np.searchsorted(owner, np.arange(len(sentences) + 1))
        order = np.argsort(self._held, kind="stable")
        self._holders = owner[order]
        self._first_holder = np.searchsorted(self._held[order], np.arange(len(kinds) + 1))
        self._worth = worth
        self._expected = max(min(worth.sum(), MOST_BIGRAMS), 1.0)  # bigrams of the unseen summary
        self._covered = np.zeros(len(kinds), dtype=np.bool_)
        self._kinds = np.diff(self._first)  # different bigrams of each sentence
        self._repeated = np.zeros(len(sentences))  # of these, how many the summary holds
        self._new = np.bincount(owner, weights=worth[self._held], minlength=len(sentences))  # worth of the others
        self._common = 0.0  # bigrams that the summary so far is expected to have in common with the unseen one
        self._taken = 0  # bigrams of the summary so far

    def expected_f1(self) -> DoubleArray:
        """Expected bigram F1 of what was taken together with each sentence. (sentences,)"""
        return np.asarray(2 * (self._common + self._new) / (self._taken + self._lengths + self._expected))

    def repeated(self) -> DoubleArray:
        """The share of each sentence's bigrams that what was taken holds already. (sentences,)"""
        return np.asarray(self._repeated / np.maximum(self._kinds, 1))

    def take(self, index: int) -> None:
        """Add a sentence to the summary."""
        self._common += float(self._new[index])
        self._taken += int(self._lengths[index])
        own = self._held[self._first[index] : self._first[index + 1]]
        new = own[~self._covered[own]]
        self._covered[new] = True
        holders, bigrams = self._all_holders(new)
        np.add.at(self._repeated, holders, 1)
        np.subtract.at(self._new, holders, self._worth[bigrams])
        self._new[holders] = np.maximum(self._new[holders], 0)  # rounding leaves a little below 0

    def _all_holders(self, bigrams: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(sentence, bigram) for each of the bigrams and each sentence that holds it."""
        firsts = self._first_holder[bigrams]
        counts = self._first_holder[bigrams + 1] - firsts
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._holders[np.repeat(firsts, counts) + within], np.repeat(bigrams, counts)


SUMMARIZE = TaskSpec(
    "summarize",
    SummarizeRequest,
    SummarizeResponse,
    PreparedSummary,
    lambda summary: {"summary": summary.text, "sentences": summary.sentences},
)

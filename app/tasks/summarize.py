"""Extractive summaries: whole sentences in windows, their probabilities, and the choice of sentences.

Results are deterministic: of equal scores, the earlier position wins. This module does not know queues, engines or
HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.errors import InvalidInput
from app.manifest import Manifest
from app.packing import Document
from app.schemas import (
    DEFAULT_SENTENCES,
    DocumentSummary,
    SentenceResult,
    SummarizeDocumentsRequest,
    SummarizeDocumentsResponse,
    SummarizeFields,
    SummarizeRequest,
    SummarizeResponse,
)
from app.settings import Settings
from app.tasks.base import Budget, PreparedEach, Stretch, TaskSpec, check_characters, encode, offsets_of, sigmoid
from app.tasks.repetition import NOTHING_NEW, Repetition
from app.tasks.sentence_features import sentence_features, weights_of_features
from app.tasks.sources import Source
from app.text.characters import CLOSERS, ELLIPSES, ENDERS
from app.text.sentences import Sentence, read_sentences, sentences_of
from app.text.tokenizer import Tokenizer
from app.text.windows import SentenceWindow, sentence_windows, tokens_of_sentences
from app.types import DoubleArray, FloatArray, Outputs

_CLOSING = tuple(ENDERS + ELLIPSES + CLOSERS)


@dataclass(frozen=True)
class Summary:
    """A summary and all sentences of its text."""

    text: str
    sentences: list[SentenceResult]


class PreparedSummary:
    """The sentences of one text, whole in their windows."""

    stretches: Sequence[Stretch] = ()

    def __init__(
        self, tokenizer: Tokenizer, manifest: Manifest, fields: SummarizeFields, source: Source, settings: Settings
    ) -> None:
        check_characters([source.text], tokenizer, settings)
        self._fields = fields
        self._source = source
        self._temperature = manifest.temperature
        sentences = sentences_of(source.structure)
        if not sentences:
            raise InvalidInput(f"{source.called} holds only invisible characters; it must hold text.")
        # Headings and heads of tables are read too, as context for the text below them, but no summary holds them,
        # unless the text has nothing else.
        read = read_sentences(sentences)
        prose = np.array([sentence.is_prose for sentence in read])
        self._chosen_from = np.flatnonzero(prose if prose.any() else ~prose)
        self._sentences = [read[index] for index in self._chosen_from]
        self._added = sentence_features(source.text, read) @ weights_of_features(manifest.sentence_weights)
        uses_types = manifest.sentence_token_types
        self._windows: list[SentenceWindow] = sentence_windows(
            tokens_of_sentences(encode(tokenizer, source.text, source.called, source.structure), read),
            [sentence.token_type if uses_types else 0 for sentence in read],
            template=tokenizer.template,
            max_tokens=manifest.max_tokens,
        )
        self.documents = [Document(window.input_ids, window.token_type_ids) for window in self._windows]
        Budget(manifest, settings).spend(self.documents)

    def cut(self, stride: int) -> None:
        """Nothing: each sentence stands in one window, so windows do not overlap."""

    def decode(self, outputs: Sequence[Outputs]) -> Summary:
        fields, sentences, text = self._fields, self._sentences, self._source.text
        logits = [output["logits"].reshape(-1) for output in outputs]  # (tokens, 1) -> (tokens,)
        scores = sentence_probabilities(self._windows, logits, self._added, temperature=self._temperature)
        scores = scores[self._chosen_from]
        no_length = fields.max_sentences is None and fields.ratio is None and fields.max_characters is None
        reading = self._source.structure.reading
        read = [reading.between(sentence.start, sentence.end, text) for sentence in sentences]
        selected = decode_summary(
            read,
            scores,
            max_sentences=DEFAULT_SENTENCES if no_length else fields.max_sentences,
            ratio=fields.ratio,
            max_characters=fields.max_characters,
            diversity=fields.diversity,
        )
        offsets = offsets_of(text, fields.offset_unit)
        chosen = set(selected)
        results = [
            self._result(index, sentence, score, offsets, selected=index in chosen)
            for index, (sentence, score) in enumerate(zip(sentences, scores.tolist(), strict=True))
        ]
        return Summary(join_summary([read[index] for index in selected]), results)

    def _result(
        self, index: int, sentence: Sentence, score: float, offsets: Sequence[int], *, selected: bool
    ) -> SentenceResult:
        source, start, end = self._source, sentence.start, sentence.end
        return SentenceResult(
            text=source.text[start:end],
            start=offsets[start],
            end=offsets[end],
            index=index,
            score=score,
            selected=selected,
            cut=sentence.cut,
            page=source.places.page_of(start),
            heading=source.heading(start) if selected else None,
            boxes=source.boxes(start, end) if selected else None,
        )


def sentence_probabilities(
    windows: Sequence[SentenceWindow], logits: Sequence[FloatArray], added: DoubleArray, *, temperature: float
) -> DoubleArray:
    """How probable it is that a summary keeps each sentence. (sentences,)

    It is the sigmoid of (mean logit of the tokens + `added`) / temperature. `added` comes from the length and the place
    of the sentence.
    The mean of logits that are linear in the states is the logit of the mean state, as encoders of sentences pool them.
    """
    means = [
        np.add.reduceat(of.astype(np.float64), window.starts) / np.diff(window.starts, append=len(of))
        for window, of in zip(windows, logits, strict=True)
    ]
    return sigmoid((np.concatenate(means) + added) / temperature)


def decode_summary(
    sentences: Sequence[str],
    probabilities: DoubleArray,
    *,
    max_sentences: int | None = None,
    ratio: float | None = None,
    max_characters: int | None = None,
    diversity: float = 0.0,
) -> list[int]:
    """Indices of the selected sentences, in document order. One length is given; each is a limit.

    Sentences are selected greedily by (1 - diversity) * probability - diversity * the share of their bigrams that the
    selected sentences hold (maximal marginal relevance, Carbonell and Goldstein 1998). They are selected one after
    another, and once there are hundreds, a hundredth as many at a time, so that a long text does not need a pass for
    each sentence. A sentence that adds next to nothing is never selected, such as one with the letters of another, so a
    summary may be shorter than its limit. One that differs from another in a number adds that number.
    With `max_characters`, sentences that no longer fit are skipped; `join_summary` of the result keeps that limit.

    Args:
        sentences: as they are read.
        probabilities: the result of `sentence_probabilities`.

    Raises:
        InvalidInput: not even the shortest sentence fits in `max_characters`.
    """
    count = len(sentences)
    limit = count
    if max_sentences is not None:
        limit = max_sentences
    elif ratio is not None:
        limit = int(np.ceil(round(ratio * count, 9)))
    lengths = np.array([len(sentence) for sentence in sentences])
    repetition = Repetition(sentences)
    available = repetition.shares() < 1  # a sentence without letters says nothing
    room = np.inf
    if max_characters is not None:
        room = max_characters + 1  # every sentence counts with a separator, and the last one has none
        if (shortest := lengths[available].min()) > max_characters:
            raise InvalidInput(
                f"No sentence fits in max_characters = {max_characters}: the shortest has {shortest} characters, "
                "and sentences are never cut."
            )
    selected: list[int] = []
    while len(selected) < limit:
        repeated = repetition.shares()
        available &= (lengths + 1 <= room) & ((repeated < NOTHING_NEW) | repetition.have_new_numbers())
        if not available.any():
            break
        value = (1 - diversity) * probabilities - diversity * repeated
        at_once = min(max(len(selected) // 100, 1), limit - len(selected))
        for index in _best(np.where(available, value, -np.inf), at_once):
            if available[index] and lengths[index] + 1 <= room and not repetition.adds_nothing(index):
                selected.append(index)
                available[index] = False
                room -= lengths[index] + 1
                repetition.take(index)
    return sorted(selected)


def _best(values: DoubleArray, count: int) -> list[int]:
    """The places of the greatest values, greatest first; of equal values, the first."""
    if count == 1:
        return [int(values.argmax())]
    candidates = np.flatnonzero(values >= np.partition(values, -count)[-count])
    return [int(index) for index in candidates[np.argsort(-values[candidates], kind="stable")[:count]]]


def join_summary(sentences: Sequence[str]) -> str:
    """Sentences as one text. A line break follows a sentence without an end mark, such as a heading."""
    parts: list[str] = []
    for sentence in sentences:
        if parts and not parts[-1].endswith(_CLOSING):
            parts.append("\n")
        parts.append(sentence)
    return "".join(parts)


def _of_documents(results: Sequence[Summary | None], sources: Sequence[Source]) -> list[DocumentSummary]:
    read = [summary or Summary("", []) for summary in results]
    return [
        DocumentSummary(document=source.name or "", summary=summary.text, sentences=summary.sentences)
        for source, summary in zip(sources, read, strict=True)
    ]


SUMMARIZE = TaskSpec(
    name="summarize",
    text_field="text",
    fields=SummarizeFields,
    request=SummarizeRequest,
    response=SummarizeResponse,
    prepare=PreparedSummary,
    result=lambda summary: {"summary": summary.text, "sentences": summary.sentences},
    documents_request=SummarizeDocumentsRequest,
    documents_response=SummarizeDocumentsResponse,
    prepare_documents=partial(PreparedEach, PreparedSummary),
    documents_results=_of_documents,
)

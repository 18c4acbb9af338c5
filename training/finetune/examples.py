"""Turns examples into training sequences: the input of one step, and its target.

Text goes through the tokenizer and windows of the service, so training and serving use the same input. This module does
not know models or steps.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm import tqdm

from app.packing import Document
from app.tasks.sentence_features import SENTENCE_FEATURES, sentence_features
from app.text.sentences import read_sentences, split_sentences
from app.text.tokenizer import Tokenizer, Tokens
from app.text.windows import context_room, question_windows, sentence_windows, text_windows, tokens_of_sentences
from app.types import DoubleArray, FloatArray, IntArray
from training.config import ConfigError, ContextUnit, DataSet, FinetuneConfig, TrainingTask
from training.data import (
    DataError,
    LabelledText,
    QuestionExample,
    held_out_by_text,
    in_held_out_split,
    in_share,
    kyoto_articles,
    kyoto_text,
    livedoor_articles,
    read_labelled,
)
from training.reading_set import MarkedText, marked_texts, reading_questions
from training.squad import read_squad, title_on_its_own

READERS: Mapping[TrainingTask, tuple[str, ...]] = {
    "qa": ("squad", "reading-set"),
    "classify": ("labelled", "kyoto-categories", "livedoor"),
    "summarize": ("reading-set",),
}


@dataclass(frozen=True)
class Target:
    """The right answer to one sequence: a token span, a class, or the sentences that a summary keeps."""

    start: int = 0
    end: int = 0
    label: int = 0
    starts: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))  # first token of each sentence
    kept: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))  # 1 where a summary keeps it
    weights: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))  # 0 where no summary may keep it
    features: DoubleArray = field(default_factory=lambda: np.zeros((0, len(SENTENCE_FEATURES))))  # of each sentence


@dataclass(frozen=True)
class TrainingSequence:
    document: Document
    target: Target
    shift: int = 0  # number of positions by which the text is moved


class ExampleSource:
    """The examples of one data set. `draw(index, rng)` makes one sequence: a random crop when the text is too long.

    Args:
        size: number of examples.
        read: all that was read from the files; two sources with equal examples have one `digest`.
    """

    labels: tuple[str, ...] = ()
    label_counts: IntArray = np.zeros(0, dtype=np.int32)  # examples of each label

    def __init__(
        self, size: int, draw: Callable[[int, np.random.Generator], TrainingSequence], read: Iterable[object]
    ) -> None:
        self.size = size
        self.draw = draw
        self.digest = _digest(read)


def _digest(values: Iterable[object]) -> str:
    """SHA-256 of the `repr` of the values, in hexadecimal."""
    digest = hashlib.sha256()
    for value in values:
        digest.update(f"{value!r}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()


class Mixture:
    """The data sets of a run. An epoch reads the configured share of each set, drawn again for every epoch.

    `label_weights` holds the weight of each label in the loss; None: equal weights.
    """

    def __init__(self, sources: Sequence[ExampleSource], shares: Sequence[float], class_balance: float = 0.0) -> None:
        self.sources, self.shares = sources, shares
        self.labels = sources[0].labels
        self.label_weights: FloatArray | None = None
        if class_balance and self.labels:
            of_sets = [source.label_counts * share for source, share in zip(sources, shares, strict=True)]
            counts = np.sum(of_sets, axis=0)  # (labels,), of one epoch
            self.label_weights = ((counts.mean() / counts) ** class_balance).astype(np.float32)
        self.digest = _digest(source.digest for source in sources)

    @property
    def size(self) -> int:
        """Sequences of one epoch."""
        return sum(self._counts())

    def _counts(self) -> list[int]:
        return [round(source.size * share) for source, share in zip(self.sources, self.shares, strict=True)]

    def epoch(self, rng: np.random.Generator) -> Iterator[TrainingSequence]:
        """The sequences of one epoch in random order; they depend on the generator alone."""
        picks: list[tuple[int, int]] = []
        for number, (source, count) in enumerate(zip(self.sources, self._counts(), strict=True)):
            while count > 0:
                order = rng.permutation(source.size)[:count]
                picks += [(number, int(index)) for index in order]
                count -= len(order)
        for place in rng.permutation(len(picks)):
            number, index = picks[place]
            yield self.sources[number].draw(index, rng)


def build_mixture(config: FinetuneConfig, data: Path, tokenizer: Tokenizer) -> Mixture:
    """Read and tokenize the data sets of a run.

    Raises:
        ConfigError: a reader does not exist or does not fit the task, or the sets have different classes.
        DataError: the data cannot be read, or there is nothing in it to learn from.
    """
    encoded: dict[str, Tokens] = {}  # several sets often read the same texts, at other lengths
    sources = [_source(config, one, data, tokenizer, encoded) for one in config.sets]
    for one, source in zip(config.sets, sources, strict=True):
        if round(source.size * one.share) == 0:
            raise DataError(
                f"{data / one.data} gives no training example with max_tokens = {one.max_tokens}, "
                f"texts_share = {one.texts_share} and share = {one.share} (usable examples: {source.size})."
            )
        if source.labels != sources[0].labels:
            raise ConfigError(
                f"{one.data} has other classes than {config.sets[0].data}; one run needs the same classes in all sets."
            )
    if config.task == "classify" and len(sources[0].labels) < 2:
        raise DataError(
            f"All texts of {data / config.sets[0].data} have the class {sources[0].labels[0]!r}; a classifier needs at "
            "least two classes."
        )
    return Mixture(sources, [one.share for one in config.sets], config.class_balance)


def _source(
    config: FinetuneConfig, one: DataSet, data: Path, tokenizer: Tokenizer, encoded: dict[str, Tokens]
) -> ExampleSource:
    path = data / one.data
    if one.reader not in READERS[config.task]:
        raise ConfigError(
            f"The reader {one.reader!r} has no examples for the task {config.task!r}; allowed are "
            f"{', '.join(READERS[config.task])}."
        )
    if config.task == "qa":
        questions = question_examples(one.reader, path, one.context)
        asked = [question for question in questions if in_share(question.context, one.texts_share)]
        return _questions(config, one, asked, tokenizer, encoded)
    if config.task == "classify":
        labelled = labelled_split(one.reader, path, one.held_out_percent)[0]
        return _labelled(one, [text for text in labelled if in_share(text.text, one.texts_share)], tokenizer, encoded)
    documents = [document for document in marked_texts(path) if in_share(document.text, one.texts_share)]
    return _summaries(config, one, documents, tokenizer)


def question_examples(reader: str, path: Path, context: ContextUnit) -> list[QuestionExample]:
    """The questions of SQuAD JSON, or of a reading set."""
    if reader == "reading-set":
        return reading_questions(path)
    return [*map(title_on_its_own, read_squad(path, context))]


def labelled_split(reader: str, path: Path, percent: int) -> tuple[list[LabelledText], list[LabelledText]]:
    """(training, held-out) texts, split by document: by its id, or by its text where it has none."""
    split: tuple[list[LabelledText], list[LabelledText]] = ([], [])
    if reader == "labelled":
        for example in read_labelled(path):
            split[held_out_by_text(example.text, percent)].append(example)
    elif reader == "livedoor":
        for name, label, text in livedoor_articles(path):
            split[in_held_out_split(name, percent)].append(LabelledText(text, label))
    else:
        for article in kyoto_articles(path):
            text = kyoto_text(article)
            if text.strip():
                held_out = in_held_out_split(article["id"], percent)
                split[held_out].append(LabelledText(text, article["category"]))
    return split


def _encode_all(texts: Iterable[str], tokenizer: Tokenizer, what: str, encoded: dict[str, Tokens]) -> None:
    """Add the tokens of these texts to `encoded`, without those that it has."""
    for text in tqdm(sorted(set(texts) - encoded.keys()), desc=f"tokenizing {what}"):
        encoded[text] = tokenizer.encode(text)


def _questions(
    config: FinetuneConfig,
    one: DataSet,
    examples: Sequence[QuestionExample],
    tokenizer: Tokenizer,
    encoded: dict[str, Tokens],
) -> ExampleSource:
    _encode_all((example.context for example in examples), tokenizer, "contexts", encoded)
    _encode_all((example.question for example in examples), tokenizer, "questions", encoded)
    prepared: list[_Question] = []
    for example in examples:
        context, question = encoded[example.context], encoded[example.question]
        if not len(context):
            continue
        span = None
        if example.answers:
            text, at = example.answers[0]
            first = int(np.searchsorted(context.ends, at, side="right"))
            last = int(np.searchsorted(context.starts, at + len(text), side="left")) - 1
            if first > last:
                continue
            span = (first, last)
        # Skip questions that leave no room for the answer and some context at this length.
        answer_tokens = span[1] - span[0] + 1 if span else 0
        if len(question) + answer_tokens <= one.max_tokens // 2:
            prepared.append(_Question(question, context, span, example))
    if left := len(examples) - len(prepared):
        print(
            f"{one.data}: {left} of {len(examples)} questions are left out: question and answer take more than half of "
            f"max_tokens = {one.max_tokens}, or their place in the text has no tokens.",
            file=sys.stderr,
        )
    if one.unrelated_share and len({id(asked.context) for asked in prepared}) == 1:
        raise DataError(f"{one.data} asks about one text only; unrelated_share needs questions about at least two.")

    def draw(index: int, rng: np.random.Generator) -> TrainingSequence:
        asked = prepared[index]
        context, span, must_hold = asked.context, asked.span, asked.span
        if span is not None:
            dice = rng.random()
            if dice < one.unrelated_share:
                other = asked
                while other.context is context:  # a question about the same text: the text may answer both
                    other = prepared[int(rng.integers(len(prepared)))]
                context, span, must_hold = other.context, None, other.span
            elif dice < one.unrelated_share + one.removed_share:
                without = _without_sentence(asked)
                if without is not None:
                    context, span, must_hold = without[0], None, without[1]
        room = context_room(asked.question, one.max_tokens, tokenizer.template)
        start = _crop_start(len(context), room, must_hold, rng)
        cropped = context.slice(start, min(start + room, len(context)))
        (window,) = question_windows(
            asked.question,
            cropped,
            template=tokenizer.template,
            max_tokens=one.max_tokens,
            doc_stride=max(1, len(cropped)),
            overlap_token_type=2 if config.question_overlap else None,
        )
        document = Document(window.input_ids, window.token_type_ids, window.question_length)
        if span is None:
            return TrainingSequence(document, Target())  # [CLS], which is the null answer
        shift = window.context_start - start
        end = min(span[1] + shift, len(window.input_ids) - 2)
        return TrainingSequence(document, Target(start=span[0] + shift, end=end))

    return ExampleSource(len(prepared), draw, examples)


@dataclass(frozen=True)
class _Question:
    """A tokenized question; `span` holds the first and the last token of its answer, None where the text has none."""

    question: Tokens
    context: Tokens
    span: tuple[int, int] | None
    example: QuestionExample


def _crop_start(tokens: int, room: int, must_hold: tuple[int, int] | None, rng: np.random.Generator) -> int:
    """The first token of a random crop of `room` tokens. The crop holds the tokens `must_hold`, if given."""
    if tokens <= room:
        return 0
    first, last = must_hold or (tokens, -1)
    lowest, highest = max(0, last + 1 - room), min(first, tokens - room)
    return int(rng.integers(lowest, highest + 1)) if highest > lowest else max(0, lowest)


def _without_sentence(asked: _Question) -> tuple[Tokens, tuple[int, int]] | None:
    """The context without the sentence of the answer, and the token next to the gap.

    It teaches "not stated" best: everything around the answer is there, and the answer is not. None where the rest of
    the text still holds one of the right answers, or is empty.
    """
    context, text = asked.context, asked.example.context
    answer, at = asked.example.answers[0]
    inside = [s for s in split_sentences(text) if s.start < at + len(answer) and s.end > at]
    if not inside:
        return None
    start, end = inside[0].start, inside[-1].end
    if any(right in text[:start] or right in text[end:] for right, _ in asked.example.answers):
        return None
    first, last = (int(place) for place in np.searchsorted(context.starts, [start, end]))
    rest = Tokens(
        *(
            np.concatenate([part[:first], part[last:]])
            for part in (context.ids, context.starts, context.ends, context.word_starts)
        )
    )
    if not len(rest):
        return None
    near = max(first - 1, 0)
    return rest, (near, near)


def _labelled(
    one: DataSet,
    examples: Sequence[LabelledText],
    tokenizer: Tokenizer,
    encoded: dict[str, Tokens],
) -> ExampleSource:
    labels = tuple(sorted({example.label for example in examples}))
    _encode_all((example.text for example in examples), tokenizer, "texts", encoded)
    tokens = [encoded[example.text] for example in examples]

    def draw(index: int, rng: np.random.Generator) -> TrainingSequence:
        text, room = tokens[index], context_room(None, one.max_tokens, tokenizer.template)
        # Half of the crops are the beginning, because readers see it first; the others teach the rest.
        start = int(rng.integers(0, len(text) - room + 1)) if len(text) > room and rng.random() < 0.5 else 0
        (window,) = text_windows(
            text.slice(start, start + room),
            None,
            template=tokenizer.template,
            max_tokens=one.max_tokens,
            doc_stride=room,
        )
        document = Document(window.input_ids, window.token_type_ids)
        return TrainingSequence(document, Target(label=labels.index(examples[index].label)))

    source = ExampleSource(len(examples), draw, examples)
    source.labels = labels
    source.label_counts = np.array([sum(example.label == label for example in examples) for label in labels], np.int32)
    return source


def _summaries(
    config: FinetuneConfig, one: DataSet, documents: Sequence[MarkedText], tokenizer: Tokenizer
) -> ExampleSource:
    sequences: list[TrainingSequence] = []
    for document in tqdm(documents, desc="tokenizing documents"):
        sentences = read_sentences(split_sentences(document.text))
        if not sentences:
            continue
        windows = sentence_windows(
            tokens_of_sentences(tokenizer.encode(document.text), sentences),
            [sentence.token_type if config.sentence_types else 0 for sentence in sentences],
            template=tokenizer.template,
            max_tokens=one.max_tokens,
        )
        marked = np.array([any(s.start <= mark < s.end for mark in document.marks) for s in sentences], np.float32)
        counted = np.array([sentence.is_prose for sentence in sentences], np.float32)
        features = sentence_features(document.text, sentences)
        first = 0
        for window in windows:
            own = slice(first, first + len(window.starts))
            first = own.stop
            target = Target(starts=window.starts, kept=marked[own], weights=counted[own], features=features[own])
            if counted[own].any():
                sequences.append(TrainingSequence(Document(window.input_ids, window.token_type_ids), target))
    return ExampleSource(len(sequences), lambda index, rng: sequences[index], documents)
